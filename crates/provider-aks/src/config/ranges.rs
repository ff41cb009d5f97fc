//! IPv4 ranges, and the rules of AKS about them.

use std::net::Ipv4Addr;

use super::check::Check;

/// A range: its first address and the length of its prefix.
pub(crate) type Range = (Ipv4Addr, u8);

/// What AKS takes for itself (AKS, "IP address planning": not for pods, Services or the virtual network).
const TAKEN: [(&str, Range); 4] = [
    ("169.254.0.0/16", (Ipv4Addr::new(169, 254, 0, 0), 16)),
    ("172.30.0.0/16", (Ipv4Addr::new(172, 30, 0, 0), 16)),
    ("172.31.0.0/16", (Ipv4Addr::new(172, 31, 0, 0), 16)),
    ("192.0.2.0/24", (Ipv4Addr::new(192, 0, 2, 0), 24)),
];

/// An IPv4 range; `None` for anything else, host bits included.
pub(crate) fn cidr(text: &str) -> Option<Range> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (Ipv4Addr, u8) = (address.parse().ok()?, length.parse().ok()?);
    (length <= 32 && u32::from(address) & !mask(length) == 0).then_some((address, length))
}

/// The bits of a prefix.
pub(crate) fn mask(length: u8) -> u32 {
    let host_bits = 32_u32.saturating_sub(u32::from(length));
    u32::MAX.checked_shl(host_bits).unwrap_or(0)
}

pub(super) fn holds((first, length): Range, address: Ipv4Addr) -> bool {
    u32::from(address) & mask(length) == u32::from(first)
}

pub(super) fn overlap(one: Range, other: Range) -> bool {
    holds(one, other.0) || holds(other, one.0)
}

/// The address so many above a range's first, if the range reaches that far.
pub(super) fn nth(range: Range, count: u32) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(u32::from(range.0).checked_add(count)?);
    holds(range, address).then_some(address)
}

impl Check {
    /// A range inside a cluster: `None` after a problem.
    pub(super) fn inner_range(&mut self, field: &str, text: &str) -> Option<Range> {
        let range = cidr(text);
        self.that(range.is_some(), field, || {
            format!("{text:?} is not an IPv4 range; write it like 10.0.0.0/16, without host bits")
        });
        let range = range?;
        let taken = TAKEN.iter().find(|(_, taken)| overlap(*taken, range));
        self.that(taken.is_none(), field, || {
            format!("{text} overlaps {}, which AKS keeps for itself", taken.map_or("", |t| t.0))
        });
        Some(range)
    }

    /// A range from which a public API server is reached.
    pub(super) fn outer_range(&mut self, field: &str, text: &str) {
        let Some((first, length)) = cidr(text) else {
            self.that(false, field, || {
                format!(
                    "{text:?} is not an IPv4 range; write it like 203.0.113.0/24, without host bits"
                )
            });
            return;
        };
        // 0.0.0.0/32 is AKS's word for the cluster's own way out alone.
        let word = first.is_unspecified() && length == 32;
        let inner = first.is_private() || first.is_loopback() || first.is_link_local();
        let special = inner || first.is_multicast() || first.is_broadcast();
        self.that(word || !special, field, || {
            format!("{text} is not a public range; AKS refuses it")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_no_host_bits() {
        assert_eq!(cidr("10.0.0.0/8"), Some((Ipv4Addr::new(10, 0, 0, 0), 8)));
        assert_eq!(cidr("0.0.0.0/0"), Some((Ipv4Addr::UNSPECIFIED, 0)));
        assert_eq!(cidr("203.0.113.7/32"), Some((Ipv4Addr::new(203, 0, 113, 7), 32)));
        for bad in ["10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "::/0", "10.0.0/8", "10.0.0.0/-1"] {
            assert_eq!(cidr(bad), None, "{bad}");
        }
    }

    #[test]
    fn ranges_overlap_when_one_holds_the_other() {
        let range = |text| cidr(text).expect(text);
        assert!(overlap(range("10.0.0.0/8"), range("10.244.0.0/16")));
        assert!(overlap(range("10.244.0.0/16"), range("10.0.0.0/8")));
        assert!(!overlap(range("10.0.0.0/16"), range("10.1.0.0/16")));
        assert_eq!(nth(range("10.0.0.0/16"), 10), Some(Ipv4Addr::new(10, 0, 0, 10)));
        assert_eq!(nth(range("10.0.0.0/30"), 10), None);
    }
}
