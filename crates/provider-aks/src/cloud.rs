//! Azure's clouds: where Resource Manager and Entra ID are in each.

use fleetwright_api_types::AzureCloud;

/// The application that AKS's API servers are in Entra ID, the same in every cloud: AKS documentation, "Use kubelogin to
/// authenticate users".
pub(crate) const MEMBER_SCOPE: &str = "6dae42f8-4368-4678-94ff-3960e28e3630/.default";

/// One of Azure's clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cloud {
    /// Azure Resource Manager.
    pub(crate) manager: &'static str,
    /// What a token for it is asked for.
    pub(crate) manager_scope: &'static str,
    /// Entra ID.
    pub(crate) authority: &'static str,
}

impl Cloud {
    /// The cloud that an account names; absent: the public one.
    pub(crate) const fn of(named: Option<AzureCloud>) -> Self {
        match named {
            None | Some(AzureCloud::Public) => Self {
                manager: "https://management.azure.com",
                manager_scope: "https://management.azure.com/.default",
                authority: "https://login.microsoftonline.com",
            },
            Some(AzureCloud::China) => Self {
                manager: "https://management.chinacloudapi.cn",
                manager_scope: "https://management.chinacloudapi.cn/.default",
                authority: "https://login.partner.microsoftonline.cn",
            },
            Some(AzureCloud::UsGovernment) => Self {
                manager: "https://management.usgovcloudapi.net",
                manager_scope: "https://management.usgovcloudapi.net/.default",
                authority: "https://login.microsoftonline.us",
            },
        }
    }
}

/// Whether a URL is at or below one of `bases`: the only places where a token for Resource Manager may be sent.
pub(crate) fn is_below(url: &str, bases: &[String]) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else { return false };
    bases.iter().any(|base| {
        let Ok(base) = base.parse::<http::Uri>() else { return false };
        let same = |one: Option<&str>, other: Option<&str>| match (one, other) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        };
        let path = base.path().trim_end_matches('/');
        let below = url.path().strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        same(url.scheme_str(), base.scheme_str())
            && same(
                url.authority().map(http::uri::Authority::as_str),
                base.authority().map(http::uri::Authority::as_str),
            )
            && below
            && !url.path().split('/').any(|part| matches!(part, "." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_only_where_resource_manager_is() {
        let bases =
            ["https://management.azure.com".to_owned(), "http://127.0.0.1:81/cloud/azure".into()];
        for url in [
            "https://management.azure.com/subscriptions/x?t=1",
            "https://MANAGEMENT.azure.com/subscriptions/x",
            "http://127.0.0.1:81/cloud/azure/subscriptions/x",
        ] {
            assert!(is_below(url, &bases), "{url}");
        }
        for url in [
            "http://management.azure.com/subscriptions/x",
            "https://management.azure.com.evil.example/subscriptions/x",
            "https://management.azure.com@evil.example/subscriptions/x",
            "https://user@management.azure.com/subscriptions/x",
            "https://management.azure.com:444/x",
            "http://127.0.0.1:81/cloud/aws/x",
            "http://127.0.0.1:81/cloud/azure/../aws/x",
            "/subscriptions/x",
            "",
        ] {
            assert!(!is_below(url, &bases), "{url}");
        }
    }
}
