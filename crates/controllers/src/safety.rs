//! The brakes of the whole hub: freeze stops every write, and the fuse holds deletes after three of them in ten minutes.
//!
//! Both live in one ConfigMap, `fleetwright-system/safety`, so that every process of the hub obeys them and a restart
//! forgets nothing. It is polled rather than watched: a watch that hangs looks like one with no news, while a freeze must
//! stop writes within [`UNHEARD`] whatever happens. Start at [`SafetyGate`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_api_types::{SAFETY_CONFIG_MAP, SYSTEM_NAMESPACE};
use fleetwright_errclass::Class;
use fleetwright_names::Owner;
use fleetwright_plan::Waiting;
use fleetwright_reconcile::{Failure, Gate};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// Writes stop when nothing was heard of a freeze for this long.
pub const UNHEARD: Duration = Duration::from_secs(5);
/// How often the ConfigMap is read.
const POLL: Duration = Duration::from_secs(2);
/// After an answer that got lost it is read again sooner, so that one of them does not close the gate.
const POLL_AGAIN: Duration = Duration::from_millis(500);
/// An answer that takes longer counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// This many deletes within [`FUSE_WINDOW`] trip the fuse.
const FUSE_DELETES: usize = 3;
/// Deletes older than this no longer count.
const FUSE_WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// The ConfigMap lists no more deletes than this.
const LISTED_DELETES: usize = 20;
/// How often a write that lost a race is tried again.
const RACES: usize = 5;

const FROZEN: &str = "frozen";
const DELETES: &str = "deletes";
const TRIPPED: &str = "tripped";

/// What the ConfigMap says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Safety {
    /// No write at all while this is there.
    pub frozen: Option<Frozen>,
    /// Deletes of the last ten minutes and some before, oldest first.
    pub deletes: Vec<CountedDelete>,
    /// Since when the fuse holds deletes back.
    pub tripped: Option<Timestamp>,
}

/// A freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when; `None` when the ConfigMap was written by hand and does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// A delete that counts for the fuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedDelete {
    /// When it was about to be sent.
    pub at: Timestamp,
    /// `namespace/name` of the cluster's object.
    pub object: String,
    /// The object's uid: the same name made anew is another cluster.
    #[serde(default)]
    pub uid: String,
    /// What of it: `control plane`, or `pool web`.
    pub what: String,
}

#[derive(Serialize, Deserialize)]
struct Tripped {
    at: Timestamp,
}

impl Safety {
    fn of(map: Option<&ConfigMap>) -> Self {
        let text = |key: &str| map.and_then(|map| map.data.as_ref()?.get(key));
        let parsed = |text: &String| serde_json::from_str::<Frozen>(text).ok();
        Self {
            // What nobody can read still means: stop.
            frozen: text(FROZEN).map(|raw| {
                let unread = || Frozen { by: "somebody".into(), reason: raw.clone(), since: None };
                parsed(raw).unwrap_or_else(unread)
            }),
            deletes: text(DELETES)
                .and_then(|raw| serde_json::from_str(raw).ok())
                .unwrap_or_default(),
            tripped: text(TRIPPED).map(|raw| {
                serde_json::from_str(raw).map_or(Timestamp::UNIX_EPOCH, |found: Tripped| found.at)
            }),
        }
    }

    fn data(&self) -> BTreeMap<String, String> {
        let json = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
        let mut data = BTreeMap::new();
        if let Some(frozen) = &self.frozen {
            data.insert(FROZEN.to_owned(), json(serde_json::to_string(frozen)));
        }
        if !self.deletes.is_empty() {
            data.insert(DELETES.to_owned(), json(serde_json::to_string(&self.deletes)));
        }
        if let Some(at) = self.tripped {
            data.insert(TRIPPED.to_owned(), json(serde_json::to_string(&Tripped { at })));
        }
        data
    }

    /// Why nothing may be deleted now for the object with this uid, if the fuse has tripped. A cluster whose control plane
    /// was already counted may finish going.
    #[must_use]
    pub fn deletes_held(&self, uid: &str) -> Option<Waiting> {
        self.tripped?;
        if self.deletes.iter().any(|one| one.uid == uid && one.what == CONTROL_PLANE) {
            return None;
        }
        let newest = self.deletes.iter().rev().take(FUSE_DELETES);
        let mut listed: Vec<String> =
            newest.map(|one| format!("{} of {}", one.what, one.object)).collect();
        listed.reverse();
        Some(Waiting::new(
            format!(
                "deletes, which are held: {FUSE_DELETES} in {} minutes ({})",
                FUSE_WINDOW.as_mins(),
                listed.join(", ")
            ),
            "a person: fleetwright thaw",
        ))
    }

    /// Counts a delete that is about to be sent. `None`: it is counted already, and nothing changes.
    fn counting(&self, delete: CountedDelete) -> Option<Self> {
        let recent = |one: &&CountedDelete| delete.at.duration_since(one.at) < FUSE_WINDOW;
        let mut counted: Vec<CountedDelete> = self.deletes.iter().filter(recent).cloned().collect();
        if counted.iter().any(|one| one.uid == delete.uid && one.what == delete.what) {
            return None;
        }
        let at = delete.at;
        counted.push(delete);
        let excess = counted.len().saturating_sub(LISTED_DELETES);
        counted.drain(..excess);
        let trips = counted.len() >= FUSE_DELETES;
        Some(Self {
            frozen: self.frozen.clone(),
            deletes: counted,
            tripped: self.tripped.or_else(|| trips.then_some(at)),
        })
    }
}

/// What of a cluster is meant by its control plane, in [`CountedDelete::what`].
pub(crate) const CONTROL_PLANE: &str = "control plane";

/// The gate of the reconcile loop, closed by a freeze and by silence of the hub.
pub struct SafetyGate {
    client: Client,
    /// Asked as well.
    other: Arc<dyn Gate>,
    state: Mutex<State>,
    on_heard: Notify,
}

#[derive(Debug, Default)]
struct State {
    safety: Safety,
    /// When the hub last said so; `None` in a preview, which writes nothing and needs no gate.
    heard: Option<Instant>,
}

impl std::fmt::Debug for SafetyGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SafetyGate").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Gate for SafetyGate {
    fn writes(&self) -> Result<(), Waiting> {
        self.other.writes()?;
        let state = self.lock();
        if let Some(frozen) = &state.safety.frozen {
            let since = frozen.since.map(|since| format!(" since {since}")).unwrap_or_default();
            return Err(Waiting::new(
                format!("a thaw: {} froze every write{since}: {}", frozen.by, frozen.reason),
                "a person: fleetwright thaw",
            ));
        }
        if state.heard.is_none_or(|heard| heard.elapsed() > UNHEARD) {
            let what = "word from the hub that nothing is frozen";
            return Err(Waiting::new(what, "the hub's API"));
        }
        Ok(())
    }
}

impl SafetyGate {
    /// A gate that stays closed until [`Self::poll`] has heard from the hub.
    #[must_use]
    pub fn new(client: Client, other: Arc<dyn Gate>) -> Arc<Self> {
        let (state, on_heard) = (Mutex::default(), Notify::new());
        Arc::new(Self { client, other, state, on_heard })
    }

    /// What was read last.
    #[must_use]
    pub fn safety(&self) -> Safety {
        self.lock().safety.clone()
    }

    /// Takes over what was read elsewhere, by a question asked at `asked`.
    pub(crate) fn hear(&self, safety: Safety, asked: Instant) {
        *self.lock() = State { safety, heard: Some(asked) };
        self.on_heard.notify_waiters();
    }

    /// Waits until the hub was heard once.
    pub(crate) async fn heard(&self) {
        loop {
            let notified = self.on_heard.notified();
            if self.lock().heard.is_some() {
                return;
            }
            notified.await;
        }
    }

    /// Reads the ConfigMap again and again, for ever, and calls `on_change` when freeze or fuse change.
    pub(crate) async fn poll(self: Arc<Self>, on_change: impl Fn() + Send) {
        loop {
            let asked = Instant::now();
            let wait = match timeout(PATIENCE, state(&self.client)).await {
                Ok(Ok(safety)) => {
                    if self.is_news(&safety) {
                        self.hear(safety, asked);
                        on_change();
                    } else {
                        self.hear(safety, asked);
                    }
                    POLL
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "cannot tell whether writes are frozen");
                    POLL_AGAIN
                }
                Err(_elapsed) => {
                    tracing::debug!("no answer whether writes are frozen");
                    POLL_AGAIN
                }
            };
            sleep(wait).await;
        }
    }

    /// Whether somebody waits for this: freeze or fuse changed, or silence had closed the gate.
    fn is_news(&self, safety: &Safety) -> bool {
        let state = self.lock();
        let silent = state.heard.is_some_and(|heard| heard.elapsed() > UNHEARD);
        silent || state.safety.frozen != safety.frozen || state.safety.tripped != safety.tripped
    }

    /// Counts a delete that is about to be sent: the one that trips the fuse is still sent, those after it wait.
    ///
    /// # Errors
    /// When the fuse has tripped, writes are frozen, or the count could not be written; then it must not be sent.
    pub(crate) async fn count(
        &self,
        owner: &Owner,
        what: &str,
        at: Timestamp,
    ) -> Result<(), Failure> {
        let asked = Instant::now();
        let api = config_maps(&self.client);
        let found = get(&api).await?;
        let safety = Safety::of(found.as_ref());
        let held = safety.frozen.is_some() || safety.deletes_held(owner.uid.as_str()).is_some();
        let (object, uid) = (owner.object.to_string(), owner.uid.to_string());
        let delete = CountedDelete { at, object, uid, what: what.to_owned() };
        let counted = if held { None } else { safety.counting(delete) };
        let written = match &counted {
            Some(counted) => put(&api, found, counted).await,
            None => Ok(()),
        };
        if written.is_ok() {
            // What could not be written is old news: a freeze may have come between.
            self.hear(counted.unwrap_or(safety), asked);
        }
        if held {
            let message = format!("{what} is not deleted: the hub's brakes were pulled meanwhile");
            return Err(Failure::new(Class::Transient, "DeletesHeld", message));
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What freeze and fuse say now.
///
/// # Errors
/// When the hub's API does not answer.
pub async fn state(client: &Client) -> Result<Safety, Failure> {
    Ok(Safety::of(get(&config_maps(client)).await?.as_ref()))
}

/// Stops every write of this hub's controllers within five seconds, deletes included, until [`thaw`].
///
/// # Errors
/// When the hub's API does not take it.
pub async fn freeze(
    client: &Client,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    // Whole seconds, as people read it.
    let since = Timestamp::from_second(now.as_second()).ok();
    let frozen = Frozen { by: by.to_owned(), reason: reason.to_owned(), since };
    change(client, |safety| safety.frozen = Some(frozen.clone())).await.map(drop)
}

/// Ends a freeze, and lets deletes go on that the fuse held. Gives what it ended.
///
/// # Errors
/// When the hub's API does not take it.
pub async fn thaw(client: &Client) -> Result<Safety, Failure> {
    change(client, |safety| *safety = Safety::default()).await
}

/// Changes the ConfigMap, again if somebody else was faster. Gives what was there before.
async fn change(client: &Client, how: impl Fn(&mut Safety)) -> Result<Safety, Failure> {
    let api = config_maps(client);
    let mut last = Failure::new(Class::Conflict, "Conflict", "the safety ConfigMap keeps changing");
    for _ in 0..RACES {
        let found = get(&api).await?;
        let before = Safety::of(found.as_ref());
        let mut after = before.clone();
        how(&mut after);
        match put(&api, found, &after).await {
            Ok(()) => return Ok(before),
            Err(failure) if failure.class == Class::Conflict => last = failure,
            Err(failure) => return Err(failure),
        }
    }
    Err(last)
}

fn config_maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), SYSTEM_NAMESPACE)
}

fn deed(verb: &str) -> String {
    format!("{verb} configmap {SYSTEM_NAMESPACE}/{SAFETY_CONFIG_MAP}")
}

async fn get(api: &Api<ConfigMap>) -> Result<Option<ConfigMap>, Failure> {
    let found = api.get_opt(SAFETY_CONFIG_MAP).await;
    found.map_err(|error| Failure::kube(&deed("get"), &error))
}

/// Writes under the resourceVersion that was read: a count that was lost would be a delete too many.
async fn put(
    api: &Api<ConfigMap>,
    found: Option<ConfigMap>,
    safety: &Safety,
) -> Result<(), Failure> {
    let params = PostParams::default();
    let written = match found {
        Some(mut map) => {
            map.data = Some(safety.data());
            api.replace(SAFETY_CONFIG_MAP, &params, &map).await
        }
        None => {
            let name = Some(SAFETY_CONFIG_MAP.to_owned());
            let metadata = ObjectMeta { name, ..ObjectMeta::default() };
            let data = Some(safety.data());
            api.create(&params, &ConfigMap { metadata, data, ..ConfigMap::default() }).await
        }
    };
    written.map(drop).map_err(|error| Failure::kube(&deed("write"), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(minute: i64, object: &str, what: &str) -> CountedDelete {
        let at = Timestamp::from_second(1_767_225_600 + minute * 60).expect("a time");
        CountedDelete { at, object: object.into(), uid: object.into(), what: what.into() }
    }

    fn after(deletes: &[CountedDelete]) -> Safety {
        deletes
            .iter()
            .fold(Safety::default(), |safety, one| safety.counting(one.clone()).unwrap_or(safety))
    }

    #[test]
    fn the_third_delete_in_ten_minutes_trips_the_fuse() {
        let two = after(&[delete(0, "a/one", CONTROL_PLANE), delete(4, "a/two", CONTROL_PLANE)]);
        assert_eq!(two.tripped, None);
        let three = two.counting(delete(9, "a/three", "pool web")).expect("counted");
        assert_eq!(three.tripped, Some(delete(9, "", "").at));
        let held = three.deletes_held("a/four").expect("held");
        assert_eq!(
            held.what,
            "deletes, which are held: 3 in 10 minutes (control plane of a/one, control plane of a/two, pool web of a/three)"
        );
    }

    #[test]
    fn deletes_ten_minutes_apart_do_not_add_up() {
        let spread = after(&[
            delete(0, "a/one", CONTROL_PLANE),
            delete(5, "a/two", CONTROL_PLANE),
            delete(10, "a/three", CONTROL_PLANE),
        ]);
        assert_eq!((spread.tripped, spread.deletes.len()), (None, 2));
    }

    #[test]
    fn the_same_delete_sent_again_counts_once() {
        let one = after(&[delete(0, "a/one", CONTROL_PLANE)]);
        assert_eq!(one.counting(delete(1, "a/one", CONTROL_PLANE)), None);
        assert!(one.counting(delete(1, "a/one", "pool web")).is_some());
    }

    #[test]
    fn a_cluster_that_was_counted_may_finish_going() {
        let three = after(&[
            delete(0, "a/one", CONTROL_PLANE),
            delete(1, "a/two", CONTROL_PLANE),
            delete(2, "a/three", CONTROL_PLANE),
        ]);
        assert_eq!(three.deletes_held("a/two"), None);
        assert!(three.deletes_held("b/two").is_some());
    }

    #[test]
    fn what_is_written_reads_back_and_what_nobody_can_read_means_stop() {
        let frozen = Frozen { by: "ann".into(), reason: "audit".into(), since: None };
        let mut safety = after(&[delete(0, "a/one", CONTROL_PLANE)]);
        safety.frozen = Some(frozen);
        safety.tripped = Some(delete(3, "", "").at);
        let map = ConfigMap { data: Some(safety.data()), ..ConfigMap::default() };
        assert_eq!(Safety::of(Some(&map)), safety);
        let data = BTreeMap::from([("frozen".to_owned(), "please stop".to_owned())]);
        let map = ConfigMap { data: Some(data), ..ConfigMap::default() };
        let read = Safety::of(Some(&map)).frozen.expect("frozen");
        assert_eq!((read.by.as_str(), read.reason.as_str()), ("somebody", "please stop"));
    }
}
