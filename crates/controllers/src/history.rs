//! What was done in the cloud for one cluster, newest last: one ConfigMap a cluster, which outlives the cluster.
//!
//! `fleetwright history` reads it. It is for people; nothing is ever decided from it, and a line that could not be written
//! stops no work (the audit log has it as well).

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::SYSTEM_NAMESPACE;
use fleetwright_errclass::Class;
use fleetwright_names::ObjectKey;
use fleetwright_reconcile::Failure;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::{Deserialize, Serialize};

/// Label of every history.
pub const LABEL_HISTORY: &str = "fleetwright.dev/history";
/// Annotation with `namespace/name` of the object that a history is about.
pub const ANNOTATION_OBJECT: &str = "fleetwright.dev/object";
/// Annotation with the instant of the last line.
const ANNOTATION_LAST: &str = "fleetwright.dev/last-line";
/// The histories of objects that are gone are kept so long after their last line.
const KEPT_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);
/// And no more of them than this; the oldest go first.
const KEPT_OF_GONE: usize = 500;
/// So many of those that do not say when their last line was written are read at once.
const DATED_AT_ONCE: usize = 100;
/// So many are listed at once.
const PAGE: u32 = 500;
/// The name of a history is this and the uid of the object.
const PREFIX: &str = "history-";
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
    let name = format!("{PREFIX}{uid}");
    let failed = |verb: &str, error: &kube::Error| {
        Failure::kube(&format!("{verb} configmap {SYSTEM_NAMESPACE}/{name}"), error)
    };
    let mut lost = Failure::new(Class::Conflict, "Conflict", "the history keeps changing");
    for _ in 0..RACES {
        let found = api.get_opt(&name).await.map_err(|error| failed("get", &error))?;
        let kept = found.as_ref().map(lines_of).unwrap_or_default();
        let Some(text) = appended(kept, lines) else { return Ok(()) };
        let data = Some(BTreeMap::from([(LINES.to_owned(), text)]));
        let last = lines.last().map(|line| (ANNOTATION_LAST.to_owned(), line.at.to_string()));
        let written = match found {
            Some(mut map) => {
                map.annotations_mut().extend(last);
                api.replace(&name, &PostParams::default(), &ConfigMap { data, ..map }).await
            }
            None => {
                let about = (ANNOTATION_OBJECT.to_owned(), object.to_string());
                let metadata = ObjectMeta {
                    name: Some(name.clone()),
                    labels: Some([(LABEL_HISTORY.to_owned(), "cluster".to_owned())].into()),
                    annotations: Some(last.into_iter().chain([about]).collect()),
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

/// Removes the histories that nobody will ask for: of objects that are gone, those without a line for 30 days, and the oldest
/// of more than 500. `living` are the uids of the objects that there are; theirs stay. Gives how many went.
///
/// # Errors
/// When the hub's API does not list or delete them.
pub(crate) async fn prune(
    client: &Client,
    living: &BTreeSet<String>,
    now: Timestamp,
) -> Result<usize, Failure> {
    let api = config_maps(client);
    let mut params = ListParams::default().labels(LABEL_HISTORY).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list_metadata(&params).await.map_err(|error| {
            Failure::kube(&format!("list the histories in {SYSTEM_NAMESPACE}"), &error)
        })?;
        found.extend(page.items.iter().map(Kept::of).filter(|kept| !kept.lives(living)));
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            break;
        }
    }
    let outdated = outdated(dated(&api, found).await?, now);
    for kept in &outdated {
        let preconditions = Preconditions {
            uid: kept.uid.clone(),
            resource_version: kept.resource_version.clone(),
        };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match api.delete(&kept.name, &params).await {
            Ok(_) => {}
            // Gone, or somebody wrote a line: the next time tells.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                let deed = format!("delete configmap {SYSTEM_NAMESPACE}/{}", kept.name);
                return Err(Failure::kube(&deed, &error));
            }
        }
    }
    Ok(outdated.len())
}

/// Tells of histories that do not say it when their last line was written, and notes it there: those of older programs. Of
/// many only some; the rest is not judged before its turn comes, the next time.
async fn dated(api: &Api<ConfigMap>, found: Vec<Kept>) -> Result<Vec<Kept>, Failure> {
    let (mut dated, undated): (Vec<Kept>, Vec<Kept>) =
        found.into_iter().partition(|kept| kept.noted);
    for kept in undated.into_iter().take(DATED_AT_ONCE) {
        let failed = |verb: &str, error: &kube::Error| {
            let deed = format!("{verb} configmap {SYSTEM_NAMESPACE}/{}", kept.name);
            Failure::kube(&deed, error)
        };
        let found = api.get_opt(&kept.name).await.map_err(|error| failed("get", &error))?;
        let Some(mut map) = found else { continue };
        let last = lines_of(&map).iter().map(|line| line.at).max().unwrap_or(kept.last);
        map.annotations_mut().insert(ANNOTATION_LAST.to_owned(), last.to_string());
        match api.replace(&kept.name, &PostParams::default(), &map).await {
            Ok(map) => dated.push(Kept { last, noted: true, ..Kept::of(&map) }),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => return Err(failed("write", &error)),
        }
    }
    Ok(dated)
}

/// A history without its lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    /// When its last line was written; where it does not say so, when it was begun.
    last: Timestamp,
    /// Whether it says so.
    noted: bool,
    name: String,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Kept {
    fn of(map: &impl Resource<DynamicType = ()>) -> Self {
        let noted = map.annotations().get(ANNOTATION_LAST).and_then(|text| text.parse().ok());
        let born = || map.meta().creation_timestamp.as_ref().map(|born| born.0);
        Self {
            last: noted.or_else(born).unwrap_or_default(),
            noted: noted.is_some(),
            name: map.name_any(),
            uid: map.uid(),
            resource_version: map.resource_version(),
        }
    }

    fn lives(&self, living: &BTreeSet<String>) -> bool {
        self.name.strip_prefix(PREFIX).is_some_and(|uid| living.contains(uid))
    }
}

/// Which of the histories of objects that are gone nobody will ask for.
fn outdated(mut found: Vec<Kept>, now: Timestamp) -> Vec<Kept> {
    found.sort();
    let excess = found.len().saturating_sub(KEPT_OF_GONE);
    let old = found.partition_point(|kept| now.duration_since(kept.last) > KEPT_AFTER);
    found.truncate(excess.max(old));
    found
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

    fn kept(uid: usize, day: i64) -> Kept {
        Kept {
            last: Timestamp::from_second(day * 86_400).expect("a time"),
            noted: true,
            name: format!("history-{uid}"),
            uid: None,
            resource_version: None,
        }
    }

    #[test]
    fn the_history_of_a_gone_object_is_kept_for_thirty_days_and_that_of_a_living_one_for_ever() {
        let living = BTreeSet::from(["2".to_owned()]);
        let mut found = vec![kept(1, 10), kept(2, 0), kept(3, 69), kept(4, 0)];
        found.retain(|kept| !kept.lives(&living));
        let now = Timestamp::from_second(70 * 86_400 - 1).expect("a time");
        assert_eq!(outdated(found.clone(), now), [kept(4, 0), kept(1, 10)]);
        let now = Timestamp::from_second(40 * 86_400).expect("a time");
        assert_eq!(outdated(found, now), [kept(4, 0)], "thirty days are not more");
    }

    #[test]
    fn of_too_many_histories_of_gone_objects_the_oldest_go() {
        let many: Vec<Kept> =
            (0..503_usize).map(|uid| kept(uid, 100 - i64::from(uid < 3))).collect();
        let now = Timestamp::from_second(100 * 86_400).expect("a time");
        let gone = outdated(many.clone(), now);
        assert_eq!(gone, [kept(0, 99), kept(1, 99), kept(2, 99)]);
        let living = BTreeSet::from(["0".to_owned(), "1".to_owned(), "2".to_owned()]);
        let gone = many.into_iter().filter(|kept| !kept.lives(&living)).collect();
        assert_eq!(outdated(gone, now), []);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let many: Vec<Line> = (0..250).map(|second| line(second, DONE)).collect();
        let text = appended(many, &[line(250, DONE)]).expect("news");
        assert_eq!(text.lines().count(), 200);
        assert!(text.starts_with(r#"{"at":"1970-01-01T00:00:51Z""#), "{}", &text[..60]);
    }
}
