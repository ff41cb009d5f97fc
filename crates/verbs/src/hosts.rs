//! Which hosts a control plane must never be sent to by somebody's declaration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a host (a name or an address, as in a URL) leads back into this machine or its link: loopback, link-local
/// (where clouds keep the credentials of machines), unspecified. Names are judged as written, not looked up.
#[must_use]
pub fn is_inward(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    if host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost") {
        return true;
    }
    match host.parse() {
        Ok(IpAddr::V4(address)) => inward_v4(address),
        Ok(IpAddr::V6(address)) => inward_v6(address),
        Err(_not_an_address) => false,
    }
}

/// Where every machine on Azure finds the agent of its host, with what that knows of the machine.
const AZURES_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

const fn inward_v4(address: Ipv4Addr) -> bool {
    let azures_host = address.to_bits() == AZURES_HOST.to_bits();
    address.is_loopback() || address.is_link_local() || address.is_unspecified() || azures_host
}

fn inward_v6(address: Ipv6Addr) -> bool {
    // fd00:ec2::/32 holds the instance metadata of AWS.
    let metadata = address.segments()[..2] == [0xfd00, 0xec2];
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unicast_link_local()
        || metadata
        || address.to_ipv4_mapped().is_some_and(inward_v4)
}

#[cfg(test)]
mod tests {
    use super::is_inward;

    #[test]
    fn what_leads_inward_is_told_from_what_leads_out() {
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "localhost",
            "a.LocalHost.",
            "0.0.0.0",
            "169.254.169.254",
            "[::1]",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
            "fd00:ec2::254",
            "168.63.129.16",
        ] {
            assert!(is_inward(host), "{host}");
        }
        for host in
            ["eks.eu-west-1.amazonaws.com", "10.0.0.1", "2001:db8::1", "localhost.example.com"]
        {
            assert!(!is_inward(host), "{host}");
        }
    }
}
