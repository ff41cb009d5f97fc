//! Which operation a method and a path mean.

use percent_encoding::percent_decode_str;

use super::answer::EksError;

/// An operation of EKS, with what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    CreateCluster,
    DescribeCluster {
        name: String,
    },
    ListClusters,
    DeleteCluster {
        name: String,
    },
    CreateNodegroup {
        cluster: String,
    },
    DescribeNodegroup {
        cluster: String,
        name: String,
    },
    ListNodegroups {
        cluster: String,
    },
    DeleteNodegroup {
        cluster: String,
        name: String,
    },
    TagResource {
        arn: String,
    },
    UntagResource {
        arn: String,
    },
    ListTagsForResource {
        arn: String,
    },
    /// EKS has it, the simulation does not.
    Unsupported {
        name: &'static str,
    },
}

/// Operations that callers may try and that are refused by name; `*` stands for any segment.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    ("POST", "clusters/*/update-config", "UpdateClusterConfig"),
    ("POST", "clusters/*/updates", "UpdateClusterVersion"),
    ("GET", "clusters/*/updates", "ListUpdates"),
    ("GET", "clusters/*/updates/*", "DescribeUpdate"),
    ("POST", "clusters/*/updates/*/cancel-update", "CancelUpdate"),
    ("POST", "clusters/*/node-groups/*/update-config", "UpdateNodegroupConfig"),
    ("POST", "clusters/*/node-groups/*/update-version", "UpdateNodegroupVersion"),
    ("POST", "clusters/*/encryption-config/associate", "AssociateEncryptionConfig"),
    ("POST", "clusters/*/addons", "CreateAddon"),
    ("GET", "clusters/*/addons", "ListAddons"),
    ("GET", "clusters/*/addons/*", "DescribeAddon"),
    ("DELETE", "clusters/*/addons/*", "DeleteAddon"),
    ("POST", "clusters/*/addons/*/update", "UpdateAddon"),
    ("POST", "clusters/*/access-entries", "CreateAccessEntry"),
    ("GET", "clusters/*/access-entries", "ListAccessEntries"),
    ("GET", "clusters/*/access-entries/*", "DescribeAccessEntry"),
    ("DELETE", "clusters/*/access-entries/*", "DeleteAccessEntry"),
    ("POST", "clusters/*/access-entries/*/access-policies", "AssociateAccessPolicy"),
    ("POST", "clusters/*/pod-identity-associations", "CreatePodIdentityAssociation"),
    ("GET", "clusters/*/pod-identity-associations", "ListPodIdentityAssociations"),
    ("POST", "clusters/*/fargate-profiles", "CreateFargateProfile"),
    ("GET", "clusters/*/fargate-profiles", "ListFargateProfiles"),
    ("POST", "clusters/*/insights", "ListInsights"),
    ("POST", "clusters/*/identity-provider-configs/associate", "AssociateIdentityProviderConfig"),
    ("GET", "cluster-versions", "DescribeClusterVersions"),
    ("GET", "addons/supported-versions", "DescribeAddonVersions"),
    ("GET", "access-policies", "ListAccessPolicies"),
    ("POST", "cluster-registrations", "RegisterCluster"),
];

impl Operation {
    /// As the API reference names it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::CreateCluster => "CreateCluster",
            Self::DescribeCluster { .. } => "DescribeCluster",
            Self::ListClusters => "ListClusters",
            Self::DeleteCluster { .. } => "DeleteCluster",
            Self::CreateNodegroup { .. } => "CreateNodegroup",
            Self::DescribeNodegroup { .. } => "DescribeNodegroup",
            Self::ListNodegroups { .. } => "ListNodegroups",
            Self::DeleteNodegroup { .. } => "DeleteNodegroup",
            Self::TagResource { .. } => "TagResource",
            Self::UntagResource { .. } => "UntagResource",
            Self::ListTagsForResource { .. } => "ListTagsForResource",
            Self::Unsupported { name } => name,
        }
    }
}

/// Finds the operation. `path` is still percent-encoded, without the mount's prefix.
pub(super) fn route(method: &str, path: &str) -> Result<Operation, EksError> {
    let decoded =
        path.trim_matches('/').split('/').map(|segment| percent_decode_str(segment).decode_utf8());
    let segments: Vec<String> = decoded
        .map(|segment| segment.map(std::borrow::Cow::into_owned))
        .collect::<Result<_, _>>()
        .map_err(|_not_utf8| EksError::unknown_operation(method, path))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let own = str::to_owned;
    Ok(match (method, segments.as_slice()) {
        ("POST", ["clusters"]) => Operation::CreateCluster,
        ("GET", ["clusters"]) => Operation::ListClusters,
        ("GET", ["clusters", name]) => Operation::DescribeCluster { name: own(name) },
        ("DELETE", ["clusters", name]) => Operation::DeleteCluster { name: own(name) },
        ("POST", ["clusters", cluster, "node-groups"]) => {
            Operation::CreateNodegroup { cluster: own(cluster) }
        }
        ("GET", ["clusters", cluster, "node-groups"]) => {
            Operation::ListNodegroups { cluster: own(cluster) }
        }
        ("GET", ["clusters", cluster, "node-groups", name]) => {
            Operation::DescribeNodegroup { cluster: own(cluster), name: own(name) }
        }
        ("DELETE", ["clusters", cluster, "node-groups", name]) => {
            Operation::DeleteNodegroup { cluster: own(cluster), name: own(name) }
        }
        ("POST", ["tags", arn @ ..]) => Operation::TagResource { arn: arn.join("/") },
        ("DELETE", ["tags", arn @ ..]) => Operation::UntagResource { arn: arn.join("/") },
        ("GET", ["tags", arn @ ..]) => Operation::ListTagsForResource { arn: arn.join("/") },
        _ => unsupported(method, &segments)
            .ok_or_else(|| EksError::unknown_operation(method, path))?,
    })
}

fn unsupported(method: &str, segments: &[&str]) -> Option<Operation> {
    let matches = |pattern: &str| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        pattern.len() == segments.len()
            && pattern.iter().zip(segments).all(|(want, have)| *want == "*" || want == have)
    };
    let found = UNSUPPORTED.iter().find(|(verb, pattern, _)| *verb == method && matches(pattern));
    found.map(|(_, _, name)| Operation::Unsupported { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: &str, path: &str) -> String {
        match route(method, path) {
            Ok(operation) => format!("{operation:?}"),
            Err(error) => format!("{} {}", error.code, error.message),
        }
    }

    #[test]
    fn an_arn_is_one_encoded_segment() {
        let path = "/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A1%3Acluster%2Fshop";
        let expect = r#"UntagResource { arn: "arn:aws:eks:us-east-1:1:cluster/shop" }"#;
        assert_eq!(named("DELETE", path), expect);
    }

    #[test]
    fn what_is_not_simulated_is_refused_by_its_name() {
        let path = "/clusters/shop/node-groups/general/update-config";
        assert_eq!(named("POST", path), r#"Unsupported { name: "UpdateNodegroupConfig" }"#);
    }

    #[test]
    fn what_eks_does_not_have_is_no_operation() {
        let expect = "UnknownOperationException PUT /clusters is no operation of EKS.";
        assert_eq!(named("PUT", "/clusters"), expect);
    }
}
