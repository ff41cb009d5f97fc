//! Work that Azure took on and goes on with after its answer: what we sent it for, and where it tells how it goes.
//!
//! In memory only: after a restart `provisioningState` says enough.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleetwright_plan::{Resource, SeenUpdate, UpdateState};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::error::{Call, in_words};
use crate::wire::{self, Answer, Arm, Follow, FollowKind};

/// How much is kept in mind.
const KNOWN_LIMIT: usize = 10_000;
/// How long something that is over is kept in mind.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Azure's default where it gives no `Retry-After`, and the most that we honour.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(120));

/// A cluster's external name, and what of it.
type Key = (String, Resource);

#[derive(Debug, Clone)]
struct Known {
    update: SeenUpdate,
    follow: Option<Follow>,
    /// Azure does not want to be asked before.
    not_before: Timestamp,
}

/// What Azure works on for one account, one at a time for each resource.
#[derive(Debug, Default)]
pub(crate) struct Operations(Mutex<BTreeMap<Key, Known>>);

impl Operations {
    /// Notes what a write has begun. One that is over with its answer is no operation.
    pub(crate) fn began(&self, call: &Call<'_>, what: &str, (answer, now): (&Answer, Timestamp)) {
        let key = key(call);
        let mut known = self.lock();
        let Some(follow) = answer.follow.clone().filter(|_| !is_over(answer)) else {
            known.remove(&key);
            return;
        };
        if known.len() >= KNOWN_LIMIT {
            known.clear();
        }
        let update = SeenUpdate {
            id: id(&follow.url),
            what: what.to_owned(),
            state: UpdateState::InProgress,
            trouble: String::new(),
            at: now,
        };
        let not_before = later(now, answer);
        known.insert(key, Known { update, follow: Some(follow), not_before });
    }

    /// The last work on a resource, asked for anew if it was not over yet. `is_busy`: so says the resource itself, which
    /// counts where the work does not tell how it goes.
    pub(crate) async fn last(
        &self,
        arm: &Arm,
        call: &Call<'_>,
        (is_busy, now): (bool, Timestamp),
    ) -> Option<SeenUpdate> {
        let key = key(call);
        let known = self.lock().get(&key).cloned()?;
        let Some(follow) = &known.follow else {
            let old = now.duration_since(known.update.at) > KEPT;
            if old {
                self.lock().remove(&key);
            }
            return (!old).then_some(known.update);
        };
        if now < known.not_before {
            return Some(known.update);
        }
        let told = match wire::follow(arm, call, &follow.url).await {
            Ok(answer) => told(&answer, follow.kind).map(|told| (told, later(now, &answer))),
            Err(error) => {
                tracing::debug!(%error, "an operation did not tell how it goes");
                Some((Told::Nothing, now))
            }
        };
        let (state, trouble, not_before) = match told {
            Some((Told::Standing(state, trouble), not_before)) => (state, trouble, not_before),
            Some((Told::Nothing, _)) => return is_busy.then_some(known.update),
            // Azure does not know it any more.
            None => {
                self.lock().remove(&key);
                return None;
            }
        };
        let update = SeenUpdate { state, trouble, ..known.update };
        let follow = (state == UpdateState::InProgress).then(|| follow.clone());
        let known = Known { update: update.clone(), follow, not_before };
        // Something newer may have begun meanwhile.
        let mut all = self.lock();
        if all.get(&key).is_some_and(|held| held.update.id == update.id) {
            all.insert(key, known);
        }
        Some(update)
    }

    /// Forgets all about a cluster that is gone.
    pub(crate) fn forget(&self, external_name: &str) {
        self.lock().retain(|(name, _), _| name != external_name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(call: &Call<'_>) -> Key {
    (call.address.external_name.clone(), call.resource.clone())
}

/// The last segment of an operation's path.
fn id(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn is_over(answer: &Answer) -> bool {
    let state = answer.body["properties"]["provisioningState"].as_str();
    answer.status == 204 || (answer.status == 200 && state == Some("Succeeded"))
}

fn later(now: Timestamp, answer: &Answer) -> Timestamp {
    let (usual, most) = PATIENCE;
    let patience = answer.retry_after.unwrap_or(usual).min(most);
    now.checked_add(patience).unwrap_or(now)
}

/// What an operation said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// How it stands, and why it failed.
    Standing(UpdateState, String),
    /// The question was refused, or not understood.
    Nothing,
}

/// How an operation stands ("Track asynchronous Azure operations"). `None`: Azure knows nothing of it.
fn told(answer: &Answer, kind: FollowKind) -> Option<Told> {
    let error = &answer.body["error"];
    let told = match (kind, answer.status) {
        (_, 404 | 410) => return None,
        (FollowKind::AsyncOperation, 200..=299) => {
            let state = match answer.body["status"].as_str().unwrap_or_default() {
                "Succeeded" => UpdateState::Successful,
                "Failed" => UpdateState::Failed,
                "Canceled" | "Cancelled" => UpdateState::Cancelled,
                _ => UpdateState::InProgress,
            };
            let failed = matches!(state, UpdateState::Failed | UpdateState::Cancelled);
            Told::Standing(state, if failed { words(error) } else { String::new() })
        }
        (FollowKind::Location, 202) => Told::Standing(UpdateState::InProgress, String::new()),
        (FollowKind::Location, 200..=299) => Told::Standing(UpdateState::Successful, String::new()),
        (_, 401 | 403 | 408 | 429 | 500..=599) | (FollowKind::AsyncOperation, _) => Told::Nothing,
        (FollowKind::Location, _) => Told::Standing(
            UpdateState::Failed,
            words(if error.is_object() { error } else { &answer.body }),
        ),
    };
    Some(told)
}

fn words(error: &Value) -> String {
    let text = in_words(error);
    if text.is_empty() { "Azure gives no reason".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_of_azures_ways_to_tell_are_understood() {
        use FollowKind::{AsyncOperation, Location};
        use UpdateState::{Cancelled, Failed, InProgress, Successful};
        let standing = |state, words: &str| Some(Told::Standing(state, words.to_owned()));
        let error = json!({"code": "SubnetIsFull", "message": "no address is left"});
        let words = "SubnetIsFull: no address is left";
        let table = [
            (AsyncOperation, 200, json!({"status": "Creating"}), standing(InProgress, "")),
            (AsyncOperation, 202, json!({"status": "InProgress"}), standing(InProgress, "")),
            (AsyncOperation, 200, json!({"status": "Succeeded"}), standing(Successful, "")),
            (
                AsyncOperation,
                200,
                json!({"status": "Failed", "error": error}),
                standing(Failed, words),
            ),
            (
                AsyncOperation,
                200,
                json!({"status": "Canceled"}),
                standing(Cancelled, "Azure gives no reason"),
            ),
            (AsyncOperation, 404, json!({}), None),
            (AsyncOperation, 403, json!({"error": error}), Some(Told::Nothing)),
            (AsyncOperation, 503, json!({}), Some(Told::Nothing)),
            (Location, 202, Value::Null, standing(InProgress, "")),
            (Location, 200, json!({"name": "a"}), standing(Successful, "")),
            (Location, 204, Value::Null, standing(Successful, "")),
            (Location, 400, json!({"error": error}), standing(Failed, words)),
            (Location, 409, error.clone(), standing(Failed, words)),
            (Location, 429, json!({}), Some(Told::Nothing)),
            (Location, 410, json!({}), None),
        ];
        for (kind, status, body, expected) in table {
            let answer = Answer { status, body, ..Answer::default() };
            assert_eq!(told(&answer, kind), expected, "{kind:?} {answer:?}");
        }
    }

    #[test]
    fn an_operation_is_named_by_the_last_part_of_its_path() {
        assert_eq!(id("https://a/subscriptions/x/operations/op-1?api-version=1"), "op-1");
        assert_eq!(id(""), "");
    }
}
