//! Problems collected while values are parsed, and the rules that several parts share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use fleetwright_api_types::{EksSpec, ProviderConfig};
use fleetwright_plan::{KubernetesVersion, Problem};
use fleetwright_provider::Asked;

const RESERVED_PREFIX: &str = "fleetwright.dev/";
/// AWS General Reference, "Tag naming limits and requirements".
const TAG_KEY_LIMIT: usize = 128;
const TAG_VALUE_LIMIT: usize = 256;
/// One of AWS's fifty is kept for the tag of a node pool.
const TAGS_LIMIT: usize = 49;

/// The partition of a region, and the domain of its endpoints (AWS partitions as the SDKs list them).
const PARTITIONS: [(&str, &str, &str); 7] = [
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
];

/// The partition that a region is in.
pub(crate) fn partition(region: &str) -> &'static str {
    place(region).0
}

/// The domain of a region's endpoints.
pub(crate) fn suffix(region: &str) -> &'static str {
    place(region).1
}

fn place(region: &str) -> (&'static str, &'static str) {
    let found = PARTITIONS.iter().find(|(prefix, _, _)| region.starts_with(prefix));
    found.map_or(("aws", "amazonaws.com"), |(_, partition, suffix)| (partition, suffix))
}

/// Also keeps the region fit for a host name: it becomes part of those of EKS and STS.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let [area, middle @ .., number] = parts.as_slice() else {
        return false;
    };
    text.len() <= 32
        && (area.len() == 2 || *area == "eusc")
        && letters(area)
        && !middle.is_empty()
        && middle.iter().all(letters)
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// An ARN in its six parts: `arn`, partition, service, region, account, resource.
pub(super) fn arn(text: &str) -> Option<[&str; 6]> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let parts: [&str; 6] = parts.try_into().ok()?;
    let partition = parts[1] == "aws" || parts[1].starts_with("aws-");
    (parts[0] == "arn" && partition && !parts[5].is_empty()).then_some(parts)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The account of a role's ARN.
pub(super) fn role_account(text: &str) -> Option<&str> {
    let [_, _, service, region, account, resource] = arn(text)?;
    let named = resource.strip_prefix("role/").is_some_and(|name| !name.is_empty());
    (service == "iam" && region.is_empty() && is_account(account) && named).then_some(account)
}

/// An IPv4 range: its first address and the length of its prefix; `None` for anything else, host bits included.
pub(super) fn cidr(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (Ipv4Addr, u8) = (address.parse().ok()?, length.parse().ok()?);
    let host_bits = 32_u32.checked_sub(u32::from(length))?;
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    (u32::from(address) & !mask == 0).then_some((address, length))
}

/// Collects problems.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) problems: Vec<Problem>,
    /// The partition that every ARN must be in; empty: not to be told.
    partition: String,
}

impl Check {
    pub(super) fn that(&mut self, holds: bool, field: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(Problem::new(field, message()));
        }
    }

    pub(super) fn keep<T>(&mut self, parsed: Result<T, Problem>) -> Option<T> {
        parsed.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// An ARN of this partition.
    fn in_partition(&mut self, field: &str, text: &str) {
        let wanted = self.partition.clone();
        let found = arn(text).map_or("", |parts| parts[1]);
        let fits = wanted.is_empty() || found.is_empty() || found == wanted;
        self.that(fits, field, || {
            format!("{text:?} is in partition {found}, the region in {wanted}")
        });
    }

    pub(super) fn role(&mut self, field: &str, text: &str) {
        self.that(role_account(text).is_some(), field, || {
            format!("{text:?} is not a role; write it like arn:aws:iam::111122223333:role/name")
        });
        self.in_partition(field, text);
    }

    /// Any ARN of `services`.
    pub(super) fn arn_of(&mut self, field: &str, text: &str, services: &[&str]) {
        let fits = arn(text).is_some_and(|parts| services.contains(&parts[2]));
        self.that(fits, field, || format!("{text:?} is not an ARN of {}", services.join(" or ")));
        self.in_partition(field, text);
    }

    /// A list whose entries must differ.
    pub(super) fn distinct<'a>(&mut self, field: &str, entries: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for entry in entries {
            self.that(!entry.is_empty(), field, || "holds an empty entry".into());
            self.that(seen.insert(entry), field, || format!("{entry:?} stands there twice"));
        }
    }

    pub(super) fn account(&mut self, asked: &Asked<'_>) {
        let name = &asked.cluster.spec.provider_config_ref.name;
        self.that(asked.account.spec.aws.is_some(), "spec.providerConfigRef", || {
            format!("ProviderConfig {name} has no aws block, which an EKS cluster needs")
        });
    }

    pub(super) fn region(&mut self, eks: &EksSpec, account: &ProviderConfig) {
        let region = &eks.region;
        if !is_region(region) {
            self.that(false, "spec.eks.region", || {
                format!("{region:?} is not an AWS region; write it like eu-west-1")
            });
            return;
        }
        partition(region).clone_into(&mut self.partition);
        let declared = account.spec.aws.as_ref().and_then(|aws| aws.partition.as_deref());
        let (partition, declared) = (partition(region), declared.unwrap_or(partition(region)));
        self.that(partition == declared, "spec.eks.region", || {
            format!("{region} is in partition {partition}, the ProviderConfig in {declared}")
        });
    }

    pub(super) fn version(&mut self, text: &str) -> Option<KubernetesVersion> {
        let field = "spec.version";
        let version = self.keep(KubernetesVersion::parse(field, text))?;
        // EKS takes a minor and chooses the patch itself.
        self.that(version.major == 1 && version.to_string() == text, field, || {
            format!("{text:?} is not MAJOR.MINOR; write it like 1.34, EKS chooses the patch")
        });
        Some(version)
    }

    /// All tags together; a cluster's own win over its account's, and ownership over both.
    pub(super) fn tags(&mut self, asked: &Asked<'_>) -> BTreeMap<String, String> {
        let account = &asked.cluster.spec.provider_config_ref.name;
        for (key, value) in &asked.account.spec.default_tags {
            let what = format!("ProviderConfig {account}, defaultTags[{key}]: ");
            self.tag("spec.providerConfigRef", &what, key, value);
        }
        for (key, value) in &asked.cluster.spec.tags {
            self.tag(&format!("spec.tags[{key}]"), "", key, value);
        }
        let mut tags = asked.account.spec.default_tags.clone();
        tags.extend(asked.cluster.spec.tags.clone());
        tags.extend(asked.owner.tags());
        self.that(tags.len() <= TAGS_LIMIT, "spec.tags", || {
            format!(
                "{} tags with those of the account and ours; {TAGS_LIMIT} are allowed",
                tags.len()
            )
        });
        let object = asked.owner.object.to_string();
        self.that(object.chars().count() <= TAG_VALUE_LIMIT, "metadata.name", || {
            format!("namespace/name is longer than {TAG_VALUE_LIMIT} characters, too long for an AWS tag")
        });
        tags
    }

    fn tag(&mut self, field: &str, what: &str, key: &str, value: &str) {
        for prefix in [RESERVED_PREFIX, "aws:"] {
            self.that(!key.starts_with(prefix), field, || {
                format!("{what}keys under {prefix} are reserved")
            });
        }
        self.that((1..=TAG_KEY_LIMIT).contains(&key.chars().count()), field, || {
            format!("{what}a tag's key has 1 to {TAG_KEY_LIMIT} characters")
        });
        self.that(value.chars().count() <= TAG_VALUE_LIMIT, field, || {
            format!("{what}a tag's value has at most {TAG_VALUE_LIMIT} characters")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_tells_its_partition_and_domain() {
        assert_eq!((partition("eu-west-1"), suffix("eu-west-1")), ("aws", "amazonaws.com"));
        assert_eq!((partition("cn-north-1"), suffix("cn-north-1")), ("aws-cn", "amazonaws.com.cn"));
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        assert_eq!(suffix("us-isob-east-1"), "sc2s.sgov.gov");
        assert_eq!(partition("eusc-de-east-1"), "aws-eusc");
        assert!(is_region("eusc-de-east-1") && is_region("us-gov-west-1") && !is_region("x"));
    }

    #[test]
    fn a_range_has_no_host_bits() {
        assert_eq!(cidr("10.0.0.0/8"), Some((Ipv4Addr::new(10, 0, 0, 0), 8)));
        assert_eq!(cidr("0.0.0.0/0"), Some((Ipv4Addr::UNSPECIFIED, 0)));
        assert_eq!(cidr("203.0.113.7/32"), Some((Ipv4Addr::new(203, 0, 113, 7), 32)));
        for bad in ["10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "::/0", "10.0.0/8", "10.0.0.0/-1"] {
            assert_eq!(cidr(bad), None, "{bad}");
        }
    }
}
