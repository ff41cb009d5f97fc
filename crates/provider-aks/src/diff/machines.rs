//! Names that Azure gives to what nodes are made of, and when two of them mean the same.

/// Images end in a date such as `202511.03.0`; of those without, any other one counts.
pub(super) fn is_newer(latest: &str, there: &str) -> bool {
    let date = |image: &str| -> Option<Vec<u64>> {
        image.rsplit('-').next()?.split('.').map(|part| part.parse().ok()).collect()
    };
    match (date(latest), date(there)) {
        (Some(latest), Some(there)) => latest > there,
        _ => latest != there,
    }
}

/// A SKU without a release, such as `Ubuntu`, stands for whatever AKS takes it for; one with a release also fits when the
/// image says so.
pub(super) fn is_same_sku(declared: &str, found: &str, image: &str) -> bool {
    let plain = |text: &str| {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    // Azure Linux was called CBL-Mariner.
    let renamed = |text: String| if text == "cblmariner" { "azurelinux".to_owned() } else { text };
    let (declared, found, image) = (renamed(plain(declared)), renamed(plain(found)), plain(image));
    let release = declared.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let family = &declared[..declared.len() - release.len()];
    let alike = found.starts_with(family);
    if release.is_empty() {
        return alike && found[family.len()..].bytes().all(|b| b.is_ascii_digit());
    }
    // `AKSUbuntu-2204gen2containerd-…`, `AKSAzureLinux-V3gen2-…`, `AKSWindows-2022-containerd-…`
    let named = [format!("{family}{release}"), format!("{family}v{release}")];
    found == declared || (found == family && named.iter().any(|name| image.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_newer_by_its_date() {
        let image = |date: &str| format!("AKSUbuntu-2204gen2containerd-{date}");
        assert!(is_newer(&image("202511.03.0"), &image("202510.29.0")));
        assert!(is_newer(&image("202511.10.0"), &image("202511.9.0")));
        assert!(!is_newer(&image("202510.29.0"), &image("202511.03.0")));
        assert!(!is_newer(&image("202511.03.0"), &image("202511.03.0")));
        assert!(is_newer("other", "one"));
    }

    #[test]
    fn a_sku_without_a_release_fits_any_of_its_family() {
        for (declared, found, image, expected) in [
            ("Ubuntu", "Ubuntu2204", "", true),
            ("Ubuntu", "AzureLinux", "", false),
            ("AzureLinux", "AzureLinux3", "", true),
            ("AzureLinux", "CBLMariner", "", true),
            ("AzureLinux", "AzureLinuxOSGuard", "", false),
            ("Ubuntu2204", "Ubuntu", "AKSUbuntu-2204gen2containerd-202511.03.0", true),
            ("Ubuntu2404", "Ubuntu", "AKSUbuntu-2204gen2containerd-202511.03.0", false),
            ("AzureLinux3", "AzureLinux", "AKSAzureLinux-V3gen2-202511.03.0", true),
            ("Windows2022", "windows2022", "", true),
            ("Windows2022", "Windows2019", "", false),
        ] {
            assert_eq!(is_same_sku(declared, found, image), expected, "{declared} and {found}");
        }
    }
}
