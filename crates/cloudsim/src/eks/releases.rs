//! Releases of node images: a new one of every image comes out each time the simulation is told so.

use super::answer::EksError;
use super::check;

/// Days of the month on which releases came out, from November 2025 on; enough for a simulation.
const FIRST_DAY: jiff::civil::Date = jiff::civil::date(2025, 11, 1);
const DAYS_BETWEEN: i64 = 7;

/// The name of release `number` of an image for a Kubernetes version, as `releaseVersion` has it.
pub(super) fn name(ami_type: &str, version: &str, number: u32) -> String {
    if ami_type.starts_with("BOTTLEROCKET") {
        let commit = crate::state::digest_hex(&format!("bottlerocket {number}"), 8);
        return format!("1.{}.0-{commit}", 50 + number);
    }
    let days = i64::from(number).saturating_mul(DAYS_BETWEEN);
    let day = FIRST_DAY.saturating_add(jiff::Span::new().days(days.min(1_000_000)));
    format!("{version}.1-{}", day.strftime("%Y%m%d"))
}

/// Only what has come out can be had, for its own Kubernetes version.
pub(super) fn check(
    ami_type: &str,
    version: &str,
    release: &str,
    latest: u32,
) -> Result<(), EksError> {
    if number(ami_type, version, release, latest).is_some() {
        return Ok(());
    }
    Err(EksError::invalid_parameter(format!(
        "Requested release version {release} is not valid for kubernetes version {version}."
    )))
}

/// How many releases came out before this one.
pub(super) fn number(ami_type: &str, version: &str, release: &str, latest: u32) -> Option<u32> {
    (0..=latest).find(|number| name(ami_type, version, *number) == release)
}

/// What SSM says under a name: the latest release of an image.
pub(crate) fn parameter(path: &str, latest: u32) -> Option<String> {
    let arch = |arch: &str| match arch {
        "x86_64" => Some("x86_64"),
        "arm64" => Some("ARM_64"),
        _ => None,
    };
    let known = |version: &str| check::version(version).is_ok();
    let segments: Vec<&str> = path.strip_prefix("/aws/service/")?.split('/').collect();
    match segments.as_slice() {
        [
            "eks",
            "optimized-ami",
            version,
            "amazon-linux-2023",
            cpu,
            variant,
            "recommended",
            "release_version",
        ] if known(version) && ["standard", "nvidia", "neuron"].contains(variant) => {
            let ami = format!("AL2023_{}_{}", arch(cpu)?, variant.to_uppercase());
            Some(name(&ami, version, latest))
        }
        ["bottlerocket", variant, cpu, "latest", "image_version"] => {
            let rest = variant.strip_prefix("aws-k8s-")?;
            let (version, flavour) = rest.split_once('-').unwrap_or((rest, ""));
            let flavours = ["", "nvidia", "fips", "nvidia-fips"];
            arch(cpu)?;
            (known(version) && flavours.contains(&flavour))
                .then(|| name("BOTTLEROCKET", version, latest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_the_names_of_their_families() {
        assert_eq!(name("AL2023_x86_64_STANDARD", "1.34", 0), "1.34.1-20251101");
        assert_eq!(name("AL2023_x86_64_STANDARD", "1.34", 2), "1.34.1-20251115");
        let bottlerocket = name("BOTTLEROCKET_ARM_64", "1.34", 2);
        assert!(bottlerocket.starts_with("1.52.0-"), "{bottlerocket}");
    }

    #[test]
    fn only_what_came_out_for_this_version_can_be_had() {
        let ami = "AL2023_x86_64_STANDARD";
        assert!(check(ami, "1.34", "1.34.1-20251108", 1).is_ok());
        assert!(check(ami, "1.34", "1.34.1-20251108", 0).is_err());
        assert!(check(ami, "1.35", "1.34.1-20251101", 0).is_err());
    }

    #[test]
    fn parameters_are_those_of_the_user_guides() {
        let at = |rest: &str| parameter(&format!("/aws/service/{rest}"), 0);
        let path =
            "eks/optimized-ami/1.34/amazon-linux-2023/arm64/standard/recommended/release_version";
        assert_eq!(at(path).as_deref(), Some("1.34.1-20251101"));
        assert!(at("bottlerocket/aws-k8s-1.34-nvidia/x86_64/latest/image_version").is_some());
        assert_eq!(at("bottlerocket/aws-k8s-1.12/x86_64/latest/image_version"), None);
        assert_eq!(at(&path.replace("arm64", "mips")), None);
    }
}
