//! The account's `limits.hosts`: which hosts a cluster may lead us to.

use std::net::IpAddr;

use fleetwright_api_types::ProviderConfig;
use fleetwright_names::glob;

/// Nothing when the account lets clusters lead us to `host`, else a sentence that says what it allows. Case does not count.
pub(crate) fn outside(account: &ProviderConfig, host: &str) -> Option<String> {
    let patterns = &account.spec.limits.as_ref()?.hosts;
    let low = host.to_ascii_lowercase();
    let allowed = patterns.is_empty()
        || patterns.iter().any(|pattern| covers(&pattern.to_ascii_lowercase(), &low));
    (!allowed)
        .then(|| format!("{host} is outside the account's limits.hosts: {}", patterns.join(", ")))
}

/// A pattern that is written like addresses covers addresses only: a name such as `10.17.evil.example` leads anywhere.
fn covers(pattern: &str, host: &str) -> bool {
    let of_addresses = pattern.bytes().any(|b| b.is_ascii_digit() || b == b':')
        && pattern.bytes().all(|b| b.is_ascii_hexdigit() || b".:*".contains(&b))
        && (pattern.contains(':') || !pattern.bytes().any(|b| b.is_ascii_alphabetic()));
    glob(pattern, host) && (!of_addresses || host.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_like_addresses_covers_no_name() {
        for (pattern, host, expected) in [
            ("10.17.*", "10.17.0.11", true),
            ("10.17.*", "10.18.0.11", false),
            ("10.17.*", "10.17.evil.example", false),
            ("10.17.*", "10.17.0.1.nip.io", false),
            ("10.17.*", "10.17.1", false),
            ("fd00:17::*", "fd00:17::1", true),
            ("fd00:17::*", "fd00:18::1", false),
            ("*:17", "x.example:17", false),
            ("1*", "1.till.example", false),
            ("*", "till.example", true),
            ("*.store.example", "10.store.example", true),
            ("cafe*", "cafe.example", true),
            ("till-1*", "till-17.example", true),
        ] {
            assert_eq!(covers(pattern, host), expected, "{pattern} on {host}");
        }
    }

    #[test]
    fn case_does_not_count_and_no_limit_allows_all() {
        let account = |limits: serde_json::Value| -> ProviderConfig {
            serde_json::from_value(json!({
                "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig",
                "metadata": {"name": "edge"}, "spec": {"ssh": {}, "limits": limits},
            }))
            .expect("account")
        };
        let narrow = account(json!({"hosts": ["*.Store.example", "10.17.*"]}));
        assert_eq!(outside(&narrow, "TILL.store.example"), None);
        assert_eq!(
            outside(&narrow, "192.0.2.1").as_deref(),
            Some("192.0.2.1 is outside the account's limits.hosts: *.Store.example, 10.17.*")
        );
        assert_eq!(outside(&account(json!({})), "192.0.2.1"), None);
    }
}
