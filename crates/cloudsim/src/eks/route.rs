//! Which operation a method and a path mean.

use percent_encoding::percent_decode_str;

use super::answer::EksError;

/// The operations with their routes, the source of everything below; `*` stands for any segment, `**` for the rest.
macro_rules! operations {
    ($($op:ident $method:literal $path:literal;)*) => {
        /// An operation of EKS.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Op { $($op,)* }

        const ROUTES: &[(Op, &str, &str)] = &[$((Op::$op, $method, $path),)*];

        impl Op {
            /// As the API reference names it.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$op => stringify!($op),)* }
            }
        }
    };
}

operations! {
    CreateCluster "POST" "clusters";
    ListClusters "GET" "clusters";
    DescribeCluster "GET" "clusters/*";
    DeleteCluster "DELETE" "clusters/*";
    UpdateClusterConfig "POST" "clusters/*/update-config";
    UpdateClusterVersion "POST" "clusters/*/updates";
    ListUpdates "GET" "clusters/*/updates";
    DescribeUpdate "GET" "clusters/*/updates/*";
    CancelUpdate "POST" "clusters/*/updates/*/cancel-update";
    AssociateEncryptionConfig "POST" "clusters/*/encryption-config/associate";
    CreateNodegroup "POST" "clusters/*/node-groups";
    ListNodegroups "GET" "clusters/*/node-groups";
    DescribeNodegroup "GET" "clusters/*/node-groups/*";
    DeleteNodegroup "DELETE" "clusters/*/node-groups/*";
    UpdateNodegroupConfig "POST" "clusters/*/node-groups/*/update-config";
    UpdateNodegroupVersion "POST" "clusters/*/node-groups/*/update-version";
    CreateAddon "POST" "clusters/*/addons";
    ListAddons "GET" "clusters/*/addons";
    DescribeAddon "GET" "clusters/*/addons/*";
    DeleteAddon "DELETE" "clusters/*/addons/*";
    UpdateAddon "POST" "clusters/*/addons/*/update";
    DescribeAddonVersions "GET" "addons/supported-versions";
    CreateAccessEntry "POST" "clusters/*/access-entries";
    ListAccessEntries "GET" "clusters/*/access-entries";
    DescribeAccessEntry "GET" "clusters/*/access-entries/*";
    UpdateAccessEntry "POST" "clusters/*/access-entries/*";
    DeleteAccessEntry "DELETE" "clusters/*/access-entries/*";
    AssociateAccessPolicy "POST" "clusters/*/access-entries/*/access-policies";
    ListAssociatedAccessPolicies "GET" "clusters/*/access-entries/*/access-policies";
    DisassociateAccessPolicy "DELETE" "clusters/*/access-entries/*/access-policies/*";
    ListAccessPolicies "GET" "access-policies";
    CreatePodIdentityAssociation "POST" "clusters/*/pod-identity-associations";
    ListPodIdentityAssociations "GET" "clusters/*/pod-identity-associations";
    DescribePodIdentityAssociation "GET" "clusters/*/pod-identity-associations/*";
    UpdatePodIdentityAssociation "POST" "clusters/*/pod-identity-associations/*";
    DeletePodIdentityAssociation "DELETE" "clusters/*/pod-identity-associations/*";
    CreateFargateProfile "POST" "clusters/*/fargate-profiles";
    ListFargateProfiles "GET" "clusters/*/fargate-profiles";
    DescribeFargateProfile "GET" "clusters/*/fargate-profiles/*";
    DeleteFargateProfile "DELETE" "clusters/*/fargate-profiles/*";
    ListInsights "POST" "clusters/*/insights";
    DescribeInsight "GET" "clusters/*/insights/*";
    DescribeClusterVersions "GET" "cluster-versions";
    TagResource "POST" "tags/**";
    UntagResource "DELETE" "tags/**";
    ListTagsForResource "GET" "tags/**";

    // EKS has these, the simulation does not.
    AssociateIdentityProviderConfig "POST" "clusters/*/identity-provider-configs/associate";
    DisassociateIdentityProviderConfig "POST" "clusters/*/identity-provider-configs/disassociate";
    DescribeIdentityProviderConfig "POST" "clusters/*/identity-provider-configs/describe";
    ListIdentityProviderConfigs "GET" "clusters/*/identity-provider-configs";
    DescribeAddonConfiguration "GET" "addons/configuration-schemas";
    CreateCapability "POST" "clusters/*/capabilities";
    ListCapabilities "GET" "clusters/*/capabilities";
    DescribeCapability "GET" "clusters/*/capabilities/*";
    UpdateCapability "POST" "clusters/*/capabilities/*";
    DeleteCapability "DELETE" "clusters/*/capabilities/*";
    CreateCertificateAuthority "POST" "clusters/*/certificate-authorities";
    ListCertificateAuthorities "GET" "clusters/*/certificate-authorities";
    RegisterCluster "POST" "cluster-registrations";
    DeregisterCluster "DELETE" "cluster-registrations/*";
}

/// An operation with what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) op: Op,
    /// The segments that stand for something, decoded.
    pub(super) names: Vec<String>,
}

impl Route {
    /// The cluster that the path names.
    pub(super) fn cluster(&self) -> Option<&str> {
        let (_, _, pattern) = ROUTES.iter().find(|(op, _, _)| *op == self.op)?;
        self.names.first().filter(|_| pattern.starts_with("clusters/")).map(String::as_str)
    }

    /// The second name of the path, if it is the one of such a thing.
    pub(super) fn inner(&self, kind: &str) -> Option<&str> {
        let (_, _, pattern) = ROUTES.iter().find(|(op, _, _)| *op == self.op)?;
        let fits = pattern.split('/').nth(2) == Some(kind);
        self.names.get(1).filter(|_| fits).map(String::as_str)
    }
}

/// Finds the operation. `path` is still percent-encoded, without the mount's prefix.
pub(super) fn route(method: &str, path: &str) -> Result<Route, EksError> {
    let unknown = || EksError::unknown_operation(method, path);
    let decoded =
        path.trim_matches('/').split('/').map(|segment| percent_decode_str(segment).decode_utf8());
    let segments: Vec<String> = decoded
        .map(|segment| segment.map(std::borrow::Cow::into_owned))
        .collect::<Result<_, _>>()
        .map_err(|_not_utf8| unknown())?;
    let own = ROUTES.iter().filter(|(_, verb, _)| *verb == method);
    let mut found = own.filter_map(|(op, _, pattern)| {
        names(pattern, &segments).map(|names| Route { op: *op, names })
    });
    found.next().ok_or_else(unknown)
}

/// What a path says, if it is one of a pattern.
fn names(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = segments;
    for want in pattern.split('/') {
        match want {
            "**" if !rest.is_empty() => return Some(vec![rest.join("/")]),
            "*" => names.push(rest.first().filter(|name| !name.is_empty())?.clone()),
            _ if rest.first().is_some_and(|have| have == want) => {}
            _ => return None,
        }
        rest = &rest[1..];
    }
    rest.is_empty().then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: &str, path: &str) -> String {
        match route(method, path) {
            Ok(Route { op, names }) => format!("{} {names:?}", op.name()),
            Err(error) => format!("{} {}", error.code, error.message),
        }
    }

    #[test]
    fn an_arn_is_one_encoded_segment() {
        let path = "/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A1%3Acluster%2Fshop";
        let expect = r#"UntagResource ["arn:aws:eks:us-east-1:1:cluster/shop"]"#;
        assert_eq!(named("DELETE", path), expect);
    }

    #[test]
    fn what_a_path_says_comes_in_its_order() {
        let role = "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fops";
        let path = format!("/clusters/shop/access-entries/{role}/access-policies/arn%3Ap");
        let expect = r#"DisassociateAccessPolicy ["shop", "arn:aws:iam::1:role/ops", "arn:p"]"#;
        assert_eq!(named("DELETE", &path), expect);
        let found = route("POST", "/clusters/shop/node-groups/a/update-config").expect("known");
        assert_eq!((found.cluster(), found.inner("node-groups")), (Some("shop"), Some("a")));
        assert_eq!(found.inner("addons"), None);
    }

    #[test]
    fn what_eks_does_not_have_is_no_operation() {
        let expect = "UnknownOperationException PUT /clusters is no operation of EKS.";
        assert_eq!(named("PUT", "/clusters"), expect);
        assert!(named("GET", "/").starts_with("UnknownOperationException"));
        assert!(named("GET", "/clusters/").starts_with("ListClusters"));
    }
}
