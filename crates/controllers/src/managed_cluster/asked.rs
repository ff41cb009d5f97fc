//! What an object, its account and its hub allow: annotations and fields, parsed. Pure.

use std::time::Duration;

use fleetwright_api_types::{
    ANNOTATION_HANDS_OFF_UNTIL, ANNOTATION_TAKE_OVER, Adoption, ManagedCluster, ManagementMode,
    Permission,
};
use fleetwright_names::Uid;
use fleetwright_plan::{Goal, Problem, Rules, Waiting, Windows};
use fleetwright_provider::Access;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{CLEAN_UP, Declared, drift};
use crate::safety::Safety;

/// The rules for a cluster that shall be there.
///
/// # Errors
/// Every annotation and field that cannot be read.
pub(super) fn rules(
    cluster: &ManagedCluster,
    access: &Access,
    safety: &Safety,
) -> Result<Rules, Vec<Problem>> {
    let mut problems = Vec::new();
    let windows = cluster.spec.maintenance.as_ref().map(Windows::parse).transpose();
    let windows = windows.unwrap_or_else(|wrong| {
        problems.extend(wrong);
        None
    });
    let hands_off = hands_off(cluster).unwrap_or_else(|wrong| {
        problems.push(wrong);
        None
    });
    let take_over = take_over(cluster).unwrap_or_else(|wrong| {
        problems.push(wrong);
        None
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Rules {
        mode: mode(cluster),
        adoption: cluster.spec.adoption.unwrap_or(Adoption::Never),
        take_over,
        windows,
        // Whoever fights us over a field gets the same peace as one who asks for it, but by the hour.
        hands_off_until: hands_off.max(drift::contested_until(cluster)),
        deletes_held: deletes_held(cluster, Some(access), safety),
        clean_up_until: None,
    })
}

/// The rules for a cluster whose object is being deleted. A bad annotation must not keep it.
pub(super) fn rules_on_the_way_out(declared: &Declared, goal: Goal) -> Rules {
    let cluster = declared.cluster.as_ref();
    // Counted from when nothing held the deletion back, not from its date: a deletion that was frozen, or waited for a
    // person, for longer than the time to clean up would otherwise not clean up at all.
    let began = cluster.status.as_ref().and_then(|status| status.clean_up_since.as_ref());
    let began = began.map_or(declared.now, |since| since.0);
    let until = began.checked_add(signed(CLEAN_UP)).ok();
    Rules {
        mode: mode(cluster),
        adoption: cluster.spec.adoption.unwrap_or(Adoption::Never),
        take_over: take_over(cluster).unwrap_or_default(),
        deletes_held: deletes_held(cluster, declared.access.as_ref(), &declared.safety),
        clean_up_until: until.filter(|_| goal == Goal::Absent),
        ..Rules::default()
    }
}

/// How far we may go.
pub(crate) fn mode(cluster: &ManagedCluster) -> ManagementMode {
    cluster.spec.mode.unwrap_or(ManagementMode::Manage)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn deletes_held(
    cluster: &ManagedCluster,
    access: Option<&Access>,
    safety: &Safety,
) -> Option<Waiting> {
    let limits = access.and_then(|access| access.account.spec.limits.as_ref());
    if limits.is_some_and(|limits| limits.delete == Some(Permission::Denied)) {
        let name = access.map(|access| access.account.name_any()).unwrap_or_default();
        return Some(Waiting::new(
            format!("ProviderConfig {name:?} to allow deletes (spec.limits.delete is Denied)"),
            "its owner",
        ));
    }
    safety.deletes_held(cluster.metadata.uid.as_deref().unwrap_or_default())
}

fn annotation<'c>(cluster: &'c ManagedCluster, key: &str) -> Option<(String, &'c str)> {
    let value = cluster.annotations().get(key)?;
    Some((format!("metadata.annotations[{key}]"), value))
}

/// The instant of annotation `fleetwright.dev/hands-off-until`, wherever it stands.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    text.trim().parse().ok()
}

fn hands_off(cluster: &ManagedCluster) -> Result<Option<Timestamp>, Problem> {
    let Some((field, text)) = annotation(cluster, ANNOTATION_HANDS_OFF_UNTIL) else {
        return Ok(None);
    };
    instant(text).map(Some).ok_or_else(|| {
        let message =
            format!("{text:?} is no RFC 3339 instant; write it like 2026-03-01T18:00:00Z");
        Problem::new(field, message)
    })
}

fn take_over(cluster: &ManagedCluster) -> Result<Option<Uid>, Problem> {
    let Some((field, text)) = annotation(cluster, ANNOTATION_TAKE_OVER) else { return Ok(None) };
    let uid = Uid::new(text).map_err(|error| Problem::new(field, error.to_string()))?;
    Ok(Some(uid))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fleetwright_names::HubId;
    use serde_json::{Value, json};

    use super::*;

    fn cluster(annotations: Value, extra: Value) -> ManagedCluster {
        let mut object = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"namespace": "shop", "name": "one", "generation": 1, "annotations": annotations},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}},
        });
        if let (Some(spec), Value::Object(extra)) = (object["spec"].as_object_mut(), extra) {
            spec.extend(extra);
        }
        serde_json::from_value(object).expect("a cluster")
    }

    fn access(limits: Value) -> Access {
        let account = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig",
            "metadata": {"name": "aws"}, "spec": {"limits": limits},
        });
        Access {
            account: Arc::new(serde_json::from_value(account).expect("an account")),
            hub: HubId::new("ab").expect("a hub"),
            namespace: "shop".into(),
            secret: None,
        }
    }

    #[test]
    fn bad_annotations_are_problems_at_their_place() {
        let annotations = json!({
            "fleetwright.dev/hands-off-until": "tomorrow",
            "fleetwright.dev/take-over": "the old one",
        });
        let maintenance = json!({"maintenance": {"windows": [{"start": "2", "duration": "4h"}]}});
        let wrong =
            rules(&cluster(annotations, maintenance), &access(json!({})), &Safety::default())
                .expect_err("three problems");
        let fields: Vec<&str> = wrong.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "spec.maintenance.windows[0].start",
                "metadata.annotations[fleetwright.dev/hands-off-until]",
                "metadata.annotations[fleetwright.dev/take-over]",
            ]
        );
        assert_eq!(
            wrong[1].message,
            r#""tomorrow" is no RFC 3339 instant; write it like 2026-03-01T18:00:00Z"#
        );
    }

    #[test]
    fn what_is_absent_has_its_documented_meaning() {
        let rules = rules(&cluster(json!({}), json!({})), &access(json!({})), &Safety::default())
            .expect("rules");
        assert_eq!(rules, Rules::default());
    }

    #[test]
    fn an_account_may_forbid_every_delete() {
        let found = rules(
            &cluster(json!({}), json!({"mode": "CreateOnly", "adoption": "Existing"})),
            &access(json!({"delete": "Denied"})),
            &Safety::default(),
        )
        .expect("rules");
        let held = found.deletes_held.expect("held");
        assert_eq!(
            (held.what.as_str(), held.on.as_str()),
            (
                r#"ProviderConfig "aws" to allow deletes (spec.limits.delete is Denied)"#,
                "its owner"
            )
        );
        assert_eq!(found.mode, ManagementMode::CreateOnly);
        assert_eq!(found.adoption, Adoption::Existing);
    }
}
