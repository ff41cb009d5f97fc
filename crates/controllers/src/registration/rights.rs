//! Whether a cluster may be made known to an Argo CD at all: who administers the account bounds it. Pure.
//!
//! A right that was taken away takes with it what was written under it.

use fleetwright_api_types::{ArgoCdRegistration, ManagedCluster, ProviderLimits};
use fleetwright_names::glob;
use fleetwright_plan::Problem;
use fleetwright_provider::Access;
use fleetwright_render::argocd_namespace;
use kube::ResourceExt;

use crate::managed_cluster::usable;

/// The one namespace where the account names none.
const ARGOCD: &str = "argocd";

/// Why the cluster may not be made known: all reasons, each with its field.
pub(super) fn revoked(
    cluster: &ManagedCluster,
    access: Option<&Access>,
    wanted: &ArgoCdRegistration,
) -> Vec<Problem> {
    let access = match usable(cluster, access) {
        Ok(access) => access,
        Err(problem) => return vec![problem],
    };
    let account = access.account.name_any();
    let nothing = ProviderLimits::default();
    let limits = access.account.spec.limits.as_ref().unwrap_or(&nothing);
    let found = [
        namespace(&account, limits, wanted),
        project(&account, limits, wanted),
        role(&account, limits, wanted),
        somebody_elses(cluster),
    ];
    found.into_iter().flatten().collect()
}

/// Who may write Secrets into a namespace may do a lot there, so it is not for the object alone to say which.
fn namespace(
    account: &str,
    limits: &ProviderLimits,
    wanted: &ArgoCdRegistration,
) -> Option<Problem> {
    let named = argocd_namespace(wanted);
    let allowed = if limits.argocd_namespaces.is_empty() {
        ARGOCD.to_owned()
    } else {
        limits.argocd_namespaces.join(", ")
    };
    let may = if limits.argocd_namespaces.is_empty() {
        named == ARGOCD
    } else {
        limits.argocd_namespaces.iter().any(|one| one == named)
    };
    let message = || {
        format!(
            "ProviderConfig {account} does not allow {named:?}, only {allowed}; its owner can add it to spec.limits.argocdNamespaces"
        )
    };
    (!may).then(|| Problem::new("spec.registration.argocd.namespace", message()))
}

/// A project decides what Argo CD brings onto a cluster.
fn project(account: &str, limits: &ProviderLimits, wanted: &ArgoCdRegistration) -> Option<Problem> {
    let allowed = &limits.argocd_projects;
    let named = wanted.project.as_deref();
    if allowed.is_empty() || named.is_some_and(|named| allowed.iter().any(|one| one == named)) {
        return None;
    }
    let allowed = allowed.join(", ");
    let message = match named {
        Some(named) => format!("ProviderConfig {account} does not allow {named:?}, only {allowed}"),
        None => format!("is missing; ProviderConfig {account} allows {allowed}"),
    };
    Some(Problem::new("spec.registration.argocd.project", message))
}

/// The role is one that Argo CD assumes with its own rights, and that the object names.
fn role(account: &str, limits: &ProviderLimits, wanted: &ArgoCdRegistration) -> Option<Problem> {
    let role = wanted.aws_role_arn.as_deref()?;
    let allowed = &limits.role_arns;
    if allowed.is_empty() || allowed.iter().any(|pattern| glob(pattern, role)) {
        return None;
    }
    let message = format!(
        "{role} is outside limits.roleArns of ProviderConfig {account}: {}",
        allowed.join(", ")
    );
    Some(Problem::new("spec.registration.argocd.awsRoleArn", message))
}

/// In mode `Observe` any cluster of the account can be named, and it may be another object's.
fn somebody_elses(cluster: &ManagedCluster) -> Option<Problem> {
    let whose = cluster.status.as_ref()?.observed.as_ref()?.belongs_to.as_ref()?;
    let message = format!(
        "by its tags the cluster belongs to {whose}; only that object may make it known to Argo CD"
    );
    Some(Problem::new("spec.registration.argocd", message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fleetwright_names::HubId;
    use serde_json::{Value, json};

    use super::*;

    fn told(limits: Value, argocd: Value) -> Vec<String> {
        let cluster = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"namespace": "shop", "name": "one"},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}},
        });
        let account = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "aws"},
            "spec": {"allowedNamespaces": {"names": ["shop"]}, "limits": limits},
        });
        let access = Access {
            account: Arc::new(serde_json::from_value(account).expect("an account")),
            hub: HubId::new("ab").expect("a hub"),
            namespace: "shop".into(),
            secret: None,
            own_secrets: std::collections::BTreeMap::new(),
        };
        let cluster = serde_json::from_value(cluster).expect("a cluster");
        let argocd = serde_json::from_value(argocd).expect("a registration");
        revoked(&cluster, Some(&access), &argocd).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_limits_one_namespace_is_allowed_and_every_project_and_role() {
        let role = "arn:aws:iam::111122223333:role/argocd";
        assert_eq!(told(Value::Null, json!({"project": "a", "awsRoleArn": role})), [""; 0]);
        assert_eq!(told(json!({}), json!({"namespace": "argocd"})), [""; 0]);
        assert_eq!(
            told(json!({}), json!({"namespace": "kube-system"})),
            [
                r#"spec.registration.argocd.namespace: ProviderConfig aws does not allow "kube-system", only argocd; its owner can add it to spec.limits.argocdNamespaces"#
            ]
        );
    }

    #[test]
    fn namespaces_and_roles_are_held_against_the_accounts_limits() {
        let limits = json!({
            "argocdNamespaces": ["gitops", "edge"],
            "roleArns": ["arn:aws:iam::111122223333:role/argocd-*"],
        });
        let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
        let fine = json!({"namespace": "edge", "awsRoleArn": role("argocd-shop")});
        assert_eq!(told(limits.clone(), fine), [""; 0]);
        assert_eq!(
            told(limits, json!({"awsRoleArn": role("admin")})),
            [
                r#"spec.registration.argocd.namespace: ProviderConfig aws does not allow "argocd", only gitops, edge; its owner can add it to spec.limits.argocdNamespaces"#,
                "spec.registration.argocd.awsRoleArn: arn:aws:iam::111122223333:role/admin is outside limits.roleArns of ProviderConfig aws: arn:aws:iam::111122223333:role/argocd-*",
            ]
        );
    }
}
