//! What was done in the cloud for one cluster, newest last: one ConfigMap a cluster, which outlives the cluster.
//!
//! `fleetwright history` reads it. It is for people; nothing is ever decided from it, and a line that could not be written
//! stops no work (the audit log has it as well).

use std::collections::BTreeMap;

use fleetwright_api_types::SYSTEM_NAMESPACE;
use fleetwright_errclass::Class;
use fleetwright_names::ObjectKey;
use fleetwright_reconcile::Failure;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};

/// Label of every history.
pub const LABEL_HISTORY: &str = "fleetwright.dev/history";
/// Annotation with `namespace/name` of the object that a history is about.
pub const ANNOTATION_OBJECT: &str = "fleetwright.dev/object";
/// The key under which the lines are.
const LINES: &str = "lines";
/// No more lines than this are kept of one cluster.
const KEPT: usize = 200;
/// How often a write that lost a race is tried again.
const RACES: usize = 3;

/// One call to a cloud that changed something, or failed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// When the answer came.
    pub at: Timestamp,
    /// Who did it: `controller` and the hub's id, or a person.
    pub actor: String,
    /// `namespace/name` of the cluster's object.
    pub object: String,
    /// The generation of the object that asked for it.
    pub generation: i64,
    /// The call, for example `eks:CreateCluster`.
    pub operation: String,
    /// On what, for example `pool web`.
    pub resource: String,
    /// The first 12 hexadecimal digits of the SHA-256 of the plan's text; empty when no plan asked for it.
    pub plan: String,
    /// The cloud's id of the request, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `done`, or a code and what went wrong.
    pub result: String,
}

impl Line {
    /// Whether this says the same as an earlier line: a failure that lasts is one line, not one for every try.
    fn repeats(&self, before: &Self) -> bool {
        let said = |line: &Self| {
            let texts = [&line.actor, &line.operation, &line.resource, &line.result];
            (line.generation, texts.map(String::clone))
        };
        self.result != DONE && said(self) == said(before)
    }
}

/// [`Line::result`] of a call that did what it should.
pub const DONE: &str = "done";

/// Appends lines to the history of `object`. `uid` is that of the object: the same name made anew has a history of its own.
///
/// # Errors
/// When the hub's API does not take them.
pub async fn append(
    client: &Client,
    object: &ObjectKey,
    uid: &str,
    lines: &[Line],
) -> Result<(), Failure> {
    let api = config_maps(client);
    let name = format!("history-{uid}");
    let failed = |verb: &str, error: &kube::Error| {
        Failure::kube(&format!("{verb} configmap {SYSTEM_NAMESPACE}/{name}"), error)
    };
    let mut lost = Failure::new(Class::Conflict, "Conflict", "the history keeps changing");
    for _ in 0..RACES {
        let found = api.get_opt(&name).await.map_err(|error| failed("get", &error))?;
        let kept = found.as_ref().map(lines_of).unwrap_or_default();
        let Some(text) = appended(kept, lines) else { return Ok(()) };
        let data = Some(BTreeMap::from([(LINES.to_owned(), text)]));
        let written = match found {
            Some(map) => {
                api.replace(&name, &PostParams::default(), &ConfigMap { data, ..map }).await
            }
            None => {
                let metadata = ObjectMeta {
                    name: Some(name.clone()),
                    labels: Some([(LABEL_HISTORY.to_owned(), "cluster".to_owned())].into()),
                    annotations: Some([(ANNOTATION_OBJECT.to_owned(), object.to_string())].into()),
                    ..ObjectMeta::default()
                };
                let map = ConfigMap { metadata, data, ..ConfigMap::default() };
                api.create(&PostParams::default(), &map).await
            }
        };
        match written {
            Ok(_) => return Ok(()),
            Err(error @ kube::Error::Api(_)) => {
                lost = failed("write", &error);
                if lost.class != Class::Conflict {
                    break;
                }
            }
            Err(error) => return Err(failed("write", &error)),
        }
    }
    Err(lost)
}

/// What was done for the objects of this name, of all their lives, oldest first.
///
/// # Errors
/// When the hub's API does not give it.
pub async fn read(client: &Client, object: &ObjectKey) -> Result<Vec<Line>, Failure> {
    let labelled = ListParams::default().labels(LABEL_HISTORY);
    let listed = config_maps(client).list(&labelled).await.map_err(|error| {
        Failure::kube(&format!("list the histories in {SYSTEM_NAMESPACE}"), &error)
    })?;
    let wanted = object.to_string();
    let about =
        listed.items.iter().filter(|map| map.annotations().get(ANNOTATION_OBJECT) == Some(&wanted));
    let mut lines: Vec<Line> = about.flat_map(lines_of).collect();
    // Stable: lines of one instant keep their order.
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

fn config_maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), SYSTEM_NAMESPACE)
}

/// The lines of one ConfigMap; what cannot be read is left out.
fn lines_of(map: &ConfigMap) -> Vec<Line> {
    let text = map.data.as_ref().and_then(|data| data.get(LINES));
    let lines = text.into_iter().flat_map(|text| text.lines());
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The text after appending; `None` when there is no news.
fn appended(mut kept: Vec<Line>, lines: &[Line]) -> Option<String> {
    let mut news = false;
    for line in lines {
        if kept.last().is_none_or(|last| !line.repeats(last)) {
            kept.push(line.clone());
            news = true;
        }
    }
    let excess = kept.len().saturating_sub(KEPT);
    let texts = kept.iter().skip(excess).filter_map(|line| serde_json::to_string(line).ok());
    news.then(|| texts.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, result: &str) -> Line {
        Line {
            at: Timestamp::from_second(second).expect("a time"),
            actor: "controller ab".into(),
            object: "shop/one".into(),
            generation: 1,
            operation: "eks:CreateCluster".into(),
            resource: "control plane".into(),
            plan: "0123456789ab".into(),
            request_id: None,
            result: result.into(),
        }
    }

    #[test]
    fn a_line_is_one_json_object() {
        assert_eq!(
            appended(Vec::new(), &[line(0, DONE)]).as_deref(),
            Some(
                r#"{"at":"1970-01-01T00:00:00Z","actor":"controller ab","object":"shop/one","generation":1,"operation":"eks:CreateCluster","resource":"control plane","plan":"0123456789ab","result":"done"}"#
            )
        );
    }

    #[test]
    fn a_failure_that_lasts_is_one_line() {
        assert_eq!(
            appended(vec![line(1, "QuotaExceeded: no")], &[line(2, "QuotaExceeded: no")]),
            None
        );
        assert!(appended(vec![line(1, "QuotaExceeded: no")], &[line(2, DONE)]).is_some());
        assert!(appended(vec![line(1, DONE)], &[line(2, DONE)]).is_some());
    }

    #[test]
    fn only_the_newest_are_kept() {
        let many: Vec<Line> = (0..250).map(|second| line(second, DONE)).collect();
        let text = appended(many, &[line(250, DONE)]).expect("news");
        assert_eq!(text.lines().count(), 200);
        assert!(text.starts_with(r#"{"at":"1970-01-01T00:00:51Z""#), "{}", &text[..60]);
    }
}
