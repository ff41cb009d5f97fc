//! What an object, its account and its hub allow: annotations and fields, parsed. Pure.

use std::time::Duration;

use fleetwright_api_types::{
    ANNOTATION_HANDS_OFF_UNTIL, ANNOTATION_TAKE_OVER, Adoption, ManagedCluster, ManagementMode,
    Permission,
};
use fleetwright_names::Uid;
use fleetwright_plan::{CloudRules, Goal, Problem, Rules, Waiting, Windows};
use fleetwright_provider::Access;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{CLEAN_UP, Declared, drift};
use crate::safety::Safety;

/// A cloud's clock may be behind ours by so much, and its records are held against an instant of ours.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// The rules for a cluster that shall be there.
///
/// # Errors
/// Every annotation and field that cannot be read.
pub(super) fn rules(
    cluster: &ManagedCluster,
    access: &Access,
    (safety, cloud): (&Safety, CloudRules),
    now: Timestamp,
) -> Result<Rules, Vec<Problem>> {
    let mut problems = Vec::new();
    let edited = is_edit(cluster, Some(access));
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
        hands_off_until: hands_off.max(drift::contested_until(cluster).filter(|_| !edited)),
        deletes_held: deletes_held(cluster, Some(access), safety),
        clean_up_until: None,
        edited_at: edited_at(cluster, Some(access), now).checked_sub(SKEW).ok(),
        cloud,
    })
}

/// The rules for a cluster whose object is being deleted. A bad annotation must not keep it.
pub(super) fn rules_on_the_way_out(declared: &Declared, goal: Goal, cloud: CloudRules) -> Rules {
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
        cloud,
        ..Rules::default()
    }
}

/// Which account was read, and in which state: `uid/generation`.
pub(super) fn revision(access: &Access) -> String {
    let meta = &access.account.metadata;
    format!("{}/{}", meta.uid.as_deref().unwrap_or_default(), meta.generation.unwrap_or_default())
}

/// Whether what is declared was not seen before as it is now: the object was edited, or its account was.
pub(super) fn is_edit(cluster: &ManagedCluster, access: Option<&Access>) -> bool {
    let status = cluster.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation);
    let read = status.and_then(|status| status.observed.as_ref()?.provider_config_revision.clone());
    let differs = |access| read.is_some_and(|read| read != revision(access));
    seen != cluster.metadata.generation || access.is_some_and(differs)
}

/// Since when what is declared is as it is, as far as we saw.
pub(super) fn edited_at(
    cluster: &ManagedCluster,
    access: Option<&Access>,
    now: Timestamp,
) -> Timestamp {
    let told = cluster.status.as_ref().and_then(|status| status.edited_at.as_ref());
    told.filter(|_| !is_edit(cluster, access)).map_or(now, |told| told.0)
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
            "metadata": {"name": "aws", "uid": "0a", "generation": 2}, "spec": {"limits": limits},
        });
        Access {
            account: Arc::new(serde_json::from_value(account).expect("an account")),
            hub: HubId::new("ab").expect("a hub"),
            namespace: "shop".into(),
            secret: None,
            own_secrets: std::collections::BTreeMap::new(),
        }
    }

    fn parsed(cluster: &ManagedCluster, limits: Value) -> Result<Rules, Vec<Problem>> {
        let brakes = (&Safety::default(), CloudRules::default());
        rules(cluster, &access(limits), brakes, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_edit_is_one_of_the_object_or_of_its_account() {
        let seen = |generation: i64, account: Value| {
            let mut cluster = cluster(json!({}), json!({}));
            let status = json!({
                "observedGeneration": generation, "editedAt": "2026-01-01T00:00:00Z",
                "observed": {"providerConfigRevision": account},
            });
            cluster.status = Some(serde_json::from_value(status).expect("a status"));
            cluster
        };
        let access = access(json!({}));
        let since = |cluster: &ManagedCluster| {
            edited_at(cluster, Some(&access), Timestamp::UNIX_EPOCH).to_string()
        };
        let (earlier, now) = ("2026-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
        assert_eq!(since(&seen(1, json!("0a/2"))), earlier);
        assert_eq!(since(&seen(0, json!("0a/2"))), now, "the object");
        assert_eq!(since(&seen(1, json!("0a/1"))), now, "its account");
        assert_eq!(since(&seen(1, Value::Null)), earlier, "written before accounts were noted");
        assert!(!is_edit(&seen(1, json!("0a/1")), None), "an account that is gone is no edit");
    }

    #[test]
    fn bad_annotations_are_problems_at_their_place() {
        let annotations = json!({
            "fleetwright.dev/hands-off-until": "tomorrow",
            "fleetwright.dev/take-over": "the old one",
        });
        let maintenance = json!({"maintenance": {"windows": [{"start": "2", "duration": "4h"}]}});
        let wrong =
            parsed(&cluster(annotations, maintenance), json!({})).expect_err("three problems");
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
        let rules = parsed(&cluster(json!({}), json!({})), json!({})).expect("rules");
        let edited_at = Some("1969-12-31T23:59:30Z".parse().expect("an instant"));
        assert_eq!(rules, Rules { edited_at, ..Rules::default() });
    }

    #[test]
    fn an_account_may_forbid_every_delete() {
        let found = parsed(
            &cluster(json!({}), json!({"mode": "CreateOnly", "adoption": "Existing"})),
            json!({"delete": "Denied"}),
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
