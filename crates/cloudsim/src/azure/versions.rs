//! Versions of Kubernetes that the simulated AKS has.

use serde_json::{Value, json};

/// The minor versions on offer, each with these patches.
const MINORS: std::ops::RangeInclusive<u32> = 30..=36;
const PATCHES: [u32; 2] = [1, 2];
/// What a cluster gets when nobody says.
pub(super) const DEFAULT: &str = "1.34";
/// Kubelets may be so many minor versions behind their API server.
pub(super) const MAX_SKEW: u32 = 3;

/// The full version that a version or its beginning means, if it is on offer.
pub(super) fn resolve(said: &str) -> Option<String> {
    let parts: Vec<&str> = said.split('.').collect();
    let (minor, patch) = match parts.as_slice() {
        ["1", minor] => (*minor, None),
        ["1", minor, patch] => (*minor, Some(*patch)),
        _ => return None,
    };
    let known = MINORS.clone().find(|n| n.to_string() == minor)?;
    let patch = match patch {
        None => PATCHES.last().copied()?,
        Some(text) => PATCHES.iter().copied().find(|n| n.to_string() == text)?,
    };
    Some(format!("1.{known}.{patch}"))
}

/// The full version that something shall run which runs another: the beginning of a version means any patch of it.
pub(super) fn goal(said: &str, running: &str) -> String {
    let same_minor = said.split('.').count() == 2 && minor(said) == minor(running);
    if same_minor || said.is_empty() {
        return running.to_owned();
    }
    resolve(said).unwrap_or_else(|| running.to_owned())
}

/// The `34` of `1.34.2`; 0 when there is none.
pub(super) fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The `1.34` of `1.34.2`.
pub(super) fn short(version: &str) -> String {
    format!("1.{}", minor(version))
}

/// Whether `to` is later than `from`.
pub(super) fn is_later(to: &str, from: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').flat_map(str::parse).collect() };
    numbers(to) > numbers(from)
}

/// Where one may go from a version: newer patches, and the next minor.
pub(super) fn upgrades(from: &str) -> Vec<String> {
    let minor = minor(from);
    let all = MINORS.flat_map(|n| PATCHES.map(|patch| (n, patch)));
    let near = all.filter(|(n, _)| (minor..=minor + 1).contains(n));
    near.map(|(n, patch)| format!("1.{n}.{patch}")).filter(|to| is_later(to, from)).collect()
}

/// The name of a node image; `number` counts releases.
pub(super) fn image(pool: &Value, number: u32) -> String {
    let family = match (pool["osType"].as_str(), pool["osSKU"].as_str()) {
        (Some("Windows"), sku) => {
            format!("AKS{}-containerd", sku.unwrap_or("Windows2022").replace("Windows", "Windows-"))
        }
        (_, Some(sku)) if sku.starts_with("AzureLinux") => "AKSAzureLinux-V3gen2".to_owned(),
        (_, Some("Ubuntu2404")) => "AKSUbuntu-2404gen2containerd".to_owned(),
        _ => "AKSUbuntu-2204gen2containerd".to_owned(),
    };
    format!("{family}-202611.{}.0", 22 + number)
}

/// All versions, as `kubernetesVersions` lists them.
pub(super) fn list() -> Value {
    let versions = MINORS.map(|n| {
        let patches: serde_json::Map<String, Value> = PATCHES
            .iter()
            .map(|patch| {
                let version = format!("1.{n}.{patch}");
                let upgrades = upgrades(&version);
                (version, json!({ "upgrades": upgrades }))
            })
            .collect();
        json!({
            "version": format!("1.{n}"), "isPreview": false, "isDefault": format!("1.{n}") == DEFAULT,
            "capabilities": { "supportPlan": ["KubernetesOfficial", "AKSLongTermSupport"] },
            "patchVersions": patches,
        })
    });
    json!({ "values": versions.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_version_means_its_newest_patch_unless_one_of_it_runs() {
        assert_eq!(resolve("1.34").as_deref(), Some("1.34.2"));
        assert_eq!(resolve("1.34.1").as_deref(), Some("1.34.1"));
        for bad in ["1.29", "1.37", "1.34.9", "1.034", "v1.34", ""] {
            assert_eq!(resolve(bad), None, "{bad}");
        }
        assert_eq!(goal("1.34", "1.34.1"), "1.34.1");
        assert_eq!(goal("1.35", "1.34.1"), "1.35.2");
    }

    #[test]
    fn upgrades_are_newer_patches_and_the_next_minor() {
        assert_eq!(upgrades("1.34.1"), ["1.34.2", "1.35.1", "1.35.2"]);
        assert_eq!(upgrades("1.36.2"), Vec::<String>::new());
    }
}
