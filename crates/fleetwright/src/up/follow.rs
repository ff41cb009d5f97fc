//! Following the fleet by watch: one line for every change of a cluster's state, until all is Ready.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_api_types::{ClusterPolicy, ManagedCluster, ProviderConfig};
use fleetwright_controllers::Fleet;
use fleetwright_controllers::preview::Preview;
use fleetwright_reconcile::{Cache, watch};
use fleetwright_verbs::standing::{Standing, State, of_cluster, of_policy, table, with_next_look};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cli::{Format, Up};
use crate::output;

/// Between two looks though no watch reported anything.
const AT_LEAST: Duration = Duration::from_secs(1);

/// How following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Ready,
    /// Nothing moves any more, and something waits for an edit.
    Stuck,
    OutOfTime,
}

/// What was seen of the fleet, and what was said about it.
pub(super) struct Follower {
    fleet: Fleet,
    format: Format,
    once: bool,
    began: Instant,
    clusters: Arc<Cache<ManagedCluster>>,
    policies: Arc<Cache<ClusterPolicy>>,
    changed: Arc<Notify>,
    told: BTreeMap<(String, String), Standing>,
    /// Kept for their end: dropping the follower ends its watches.
    _watches: JoinSet<()>,
}

impl Follower {
    /// Starts to watch.
    pub(super) fn new(asked: &Up, fleet: Fleet, began: Instant) -> Self {
        let (clusters, policies, changed) = (Cache::new(), Cache::new(), Arc::new(Notify::new()));
        let mut watches = JoinSet::new();
        let (client, ids) = (&fleet.context.client, &fleet.context.ids);
        let wake = Arc::clone(&changed);
        let clusters_api: Api<ManagedCluster> = Api::all(client.clone());
        let woken = move |_: Option<&ManagedCluster>, _: Option<&ManagedCluster>| wake.notify_one();
        watches.spawn(watch(clusters_api, Arc::clone(&clusters), Arc::clone(ids), woken));
        let wake = Arc::clone(&changed);
        let policies_api: Api<ClusterPolicy> = Api::all(client.clone());
        let woken = move |_: Option<&ClusterPolicy>, _: Option<&ClusterPolicy>| wake.notify_one();
        watches.spawn(watch(policies_api, Arc::clone(&policies), Arc::clone(ids), woken));
        Self {
            format: asked.output,
            once: asked.once,
            told: BTreeMap::new(),
            _watches: watches,
            fleet,
            began,
            clusters,
            policies,
            changed,
        }
    }

    /// Tells what changes until all is Ready. `deadline` belongs to `--once`, and so does ending when only what is stuck
    /// is left.
    pub(super) async fn until_ready(&mut self, deadline: Option<Instant>) -> End {
        self.clusters.loaded().await;
        self.policies.loaded().await;
        loop {
            let standings = self.tell();
            let all =
                |wanted: fn(State) -> bool| standings.iter().all(|standing| wanted(standing.state));
            if all(|state| state == State::Ready) && within(deadline, self.holds()).await {
                return End::Ready;
            }
            let clusters = || standings.iter().filter(|standing| standing.kind != "policy");
            if self.once
                && clusters().all(|one| one.state != State::Working)
                && clusters().any(|one| one.state == State::Stuck)
                && within(deadline, self.stuck()).await
            {
                return End::Stuck;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return End::OutOfTime;
            }
            let next = Instant::now() + AT_LEAST;
            let next = deadline.map_or(next, |deadline| deadline.min(next));
            // Woken or not, the next thing is to look.
            drop(timeout_at(next, self.changed.notified()).await);
        }
    }

    /// Whether a fresh look at clouds and members finds nothing to do: what the objects say may be from before a restart.
    async fn holds(&self) -> bool {
        let Some(preview) = self.preview().await else { return false };
        for cluster in self.clusters.list() {
            if !preview.cluster(Arc::clone(&cluster)).await.is_settled()
                || !preview.policies(cluster).await.is_settled()
            {
                return false;
            }
        }
        true
    }

    /// Whether a fresh look finds something wrong with every cluster that says so: another object's edit may have mended it.
    async fn stuck(&self) -> bool {
        let Some(preview) = self.preview().await else { return false };
        for cluster in self.clusters.list() {
            if of_cluster(&cluster).state == State::Stuck
                && !preview.cluster(cluster).await.needs_an_edit()
            {
                return false;
            }
        }
        true
    }

    async fn preview(&self) -> Option<Preview> {
        let accounts: Api<ProviderConfig> = Api::all(self.fleet.context.client.clone());
        match accounts.list(&ListParams::default()).await {
            Ok(accounts) => {
                let accounts = accounts.items.into_iter().map(Arc::new);
                Some(Preview::new(&self.fleet, accounts, self.policies.list()))
            }
            Err(error) => {
                tracing::debug!(%error, "cannot list the accounts");
                None
            }
        }
    }

    /// Tells what changes, for ever.
    pub(super) async fn forever(&mut self) {
        loop {
            self.tell();
            drop(timeout(AT_LEAST, self.changed.notified()).await);
        }
    }

    /// Looks, and prints a line for every object whose standing is another than last time.
    fn tell(&mut self) -> Vec<Standing> {
        let mut standings: Vec<Standing> =
            self.clusters.list().iter().map(|cluster| self.standing(cluster)).collect();
        standings.extend(self.policies.list().iter().map(|policy| of_policy(policy)));
        let widest = |text: fn(&Standing) -> &str| {
            standings.iter().map(|one| text(one).chars().count()).max().unwrap_or_default()
        };
        let (names, kinds) = (widest(|one| &one.name), widest(|one| &one.kind));
        let mut now = BTreeMap::new();
        for standing in &standings {
            let key = (standing.kind.clone(), standing.name.clone());
            let Standing { name, kind, state, text } = standing;
            // Nothing to say yet: the controllers have not looked.
            let silent = self.format == Format::Json || text.is_empty();
            if self.told.get(&key) != Some(standing) && !silent {
                let word = match state {
                    State::Ready => "Ready",
                    State::Working => "...",
                    State::Stuck => "STUCK",
                };
                let seconds = self.began.elapsed().as_secs_f64();
                output::line(&format!(
                    "  {name:names$}  {kind:kinds$}  {word:5}  {text:66}  {seconds:5.1} s"
                ));
            }
            now.insert(key, standing.clone());
        }
        for ((kind, name), _) in self.told.iter().filter(|(key, _)| !now.contains_key(*key)) {
            if self.format == Format::Text {
                output::line(&format!("  {name:names$}  {kind:kinds$}  gone"));
            }
        }
        self.told = now;
        standings
    }

    fn standing(&self, cluster: &ManagedCluster) -> Standing {
        let cloud = cluster.spec.provider().and_then(|key| self.fleet.clouds.get(key));
        with_next_look(cluster, cloud.map(|cloud| cloud.limits().poll_busy))
    }

    /// The summary, and for `--once` the table.
    pub(super) fn report(&self, end: End, kubeconfig: &Path) {
        if self.format == Format::Json {
            return self.report_json(end, kubeconfig);
        }
        let (ready, all) = self.count();
        let seconds = self.began.elapsed().as_secs_f64();
        match end {
            End::Ready if self.once => {
                output::line(&format!("Ready {ready}/{all} in {seconds:.1} s."))
            }
            End::Ready => {
                output::line(&format!(
                    "Ready {ready}/{all} in {seconds:.1} s. Leave this running (Ctrl-C stops, the next `up` resumes). In another terminal:"
                ));
                output::line(&format!(
                    "  export KUBECONFIG={}; kubectl get managedclusters.fleetwright.dev -A",
                    kubeconfig.display()
                ));
            }
            End::Stuck | End::OutOfTime => {
                let why = if end == End::Stuck {
                    "somebody must edit what is STUCK"
                } else {
                    "out of time"
                };
                output::line(&format!("Ready {ready}/{all} after {seconds:.1} s: {why}."));
                for one in self.told.values().filter(|one| one.state != State::Ready) {
                    let text = if one.text.is_empty() { "not looked at yet" } else { &one.text };
                    output::complain(&format!("not ready: {} {}: {text}", one.kind, one.name));
                }
            }
        }
        if self.once {
            output::line("");
            output::lines(table(&self.clusters.list(), &self.policies.list()));
        }
    }

    fn count(&self) -> (usize, usize) {
        let ready = self.told.values().filter(|one| one.state == State::Ready).count();
        (ready, self.told.len())
    }

    fn report_json(&self, end: End, kubeconfig: &Path) {
        let (ready, all) = self.count();
        let document = json!({
            "end": match end {
                End::Ready => "Ready",
                End::Stuck => "Stuck",
                End::OutOfTime => "OutOfTime",
            },
            "ready": ready,
            "objects": all,
            "elapsedSeconds": self.began.elapsed().as_secs_f64(),
            "kubeconfig": kubeconfig.display().to_string(),
            "standings": self.told.values().collect::<Vec<_>>(),
        });
        output::line(&document.to_string());
    }
}

/// A look that is not done by the deadline found nothing.
async fn within(deadline: Option<Instant>, look: impl Future<Output = bool>) -> bool {
    match deadline {
        Some(deadline) => timeout_at(deadline, look).await.unwrap_or(false),
        None => look.await,
    }
}
