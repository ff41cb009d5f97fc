//! Members: how their APIs are reached, and the watches that notice when somebody changes what we wrote.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_api_types::{Connection, MANAGED_BY};
use fleetwright_clock::{Clock, Ids};
use fleetwright_errclass::backoff;
use fleetwright_names::ObjectKey;
use fleetwright_plan::Address;
use fleetwright_provider::{Access, Provider, Secret};
use fleetwright_reconcile::{Failure, Queue};
use fleetwright_render::LABEL_MANAGED_BY;
use futures::{Stream, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::accounts::same;
use crate::managed_cluster::cloud_failure;

/// Makes a client of a member's API: over TLS in the real world, in process in a simulated one.
pub trait Connector: Send + Sync + Debug {
    /// A client of `member` that sends `token`.
    ///
    /// # Errors
    /// When the connection data cannot be used at all; nothing is sent yet.
    fn connect(&self, member: &Member, token: &Secret) -> Result<Client, Failure>;
}

/// Which way leads to a member's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberWay {
    /// The network, perhaps with a proxy.
    Direct,
    /// As its hosts are reached: [`Provider::dial`].
    Hosts,
}

/// A member to talk to.
#[derive(Debug, Clone)]
pub struct Member {
    /// The cluster's object on the hub.
    pub key: ObjectKey,
    /// Where it is in its cloud.
    pub address: Address,
    /// How its API is reached.
    pub connection: Connection,
    /// Which way leads there.
    pub way: MemberWay,
    /// The cloud that makes its tokens.
    pub cloud: Arc<dyn Provider>,
    /// The account through which it does.
    pub access: Access,
}

impl Member {
    /// Whether a client or watch made for `self` serves `other` as well.
    fn is_as(&self, other: &Self) -> bool {
        let place = |member: &Self| (member.connection.clone(), member.way);
        // A way over hosts leads where the address says.
        let hosts = self.way == MemberWay::Direct || self.address == other.address;
        place(self) == place(other) && hosts && same(&self.access, &other.access)
    }
}

/// Clients and watches of all members.
#[derive(Debug)]
pub struct Members {
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clients: BTreeMap<ObjectKey, Held>,
    /// One task a member, under the way it was started for; dropped (and so aborted) with the member.
    watches: BTreeMap<ObjectKey, (Member, JoinSet<()>)>,
    answers: BTreeMap<ObjectKey, Instant>,
}

impl Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("members", &self.clients.keys()).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Held {
    member: Member,
    client: Client,
    expires_at: Timestamp,
}

/// A token is renewed this long before it expires.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(60);
/// A token that is good for less than this is no good.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);
/// Code of a failed look at a member that answered a short while ago.
pub const GRACE_PERIOD: &str = "GracePeriod";

impl Members {
    /// No member yet.
    #[must_use]
    pub fn new(connector: Arc<dyn Connector>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { connector, clock, ids, state: Mutex::default() }
    }

    /// A client of the member, with a token that is good for a minute at least.
    ///
    /// # Errors
    /// When no token or no client can be made.
    pub async fn client(&self, member: &Member) -> Result<Client, Failure> {
        let soon = self.clock.now() + RENEW_BEFORE;
        if let Some(held) = self.lock().clients.get(&member.key)
            && held.member.is_as(member)
            && held.expires_at > soon
        {
            return Ok(held.client.clone());
        }
        let held = connect(self.connector.as_ref(), member).await?;
        let client = held.client.clone();
        self.lock().clients.insert(member.key.clone(), held);
        Ok(client)
    }

    /// Watches the member, so that `queue` gets its key whenever a namespace or one of our NetworkPolicies changes.
    pub fn watch(&self, member: &Member, queue: &Arc<Queue>) {
        let mut state = self.lock();
        if state.watches.get(&member.key).is_some_and(|(watched, _)| watched.is_as(member)) {
            return;
        }
        let mut task = JoinSet::new();
        task.spawn(watch(
            Arc::clone(&self.connector),
            member.clone(),
            Arc::clone(queue),
            Arc::clone(&self.clock),
            Arc::clone(&self.ids),
        ));
        state.watches.insert(member.key.clone(), (member.clone(), task));
    }

    /// Keeps when the member answered last. A failure within `grace` of an answer is given the code [`GRACE_PERIOD`].
    ///
    /// # Errors
    /// That failure.
    pub fn answered<T>(
        &self,
        key: &ObjectKey,
        looked: &Result<T, Failure>,
        grace: Duration,
    ) -> Result<(), Failure> {
        let mut state = self.lock();
        match looked {
            Ok(_) => {
                state.answers.insert(key.clone(), Instant::now());
                Ok(())
            }
            Err(failure) if state.answers.get(key).is_some_and(|at| at.elapsed() < grace) => {
                Err(Failure { code: GRACE_PERIOD.to_owned(), ..failure.clone() })
            }
            Err(_) => Ok(()),
        }
    }

    /// Drops the client of a member, for example after its token was refused.
    pub fn disconnect(&self, key: &ObjectKey) {
        self.lock().clients.remove(key);
    }

    /// Drops client and watch of a member that is gone.
    pub fn forget(&self, key: &ObjectKey) {
        let mut state = self.lock();
        state.clients.remove(key);
        state.watches.remove(key);
        state.answers.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(connector: &dyn Connector, member: &Member) -> Result<Held, Failure> {
    let token = member.cloud.token(&member.access, &member.address).await.map_err(cloud_failure)?;
    let client = connector.connect(member, &token.token)?;
    Ok(Held { member: member.clone(), client, expires_at: token.expires_at })
}

/// Watches one member for ever, with a new client whenever the token nears its end.
async fn watch(
    connector: Arc<dyn Connector>,
    member: Member,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) {
    let mut failures = 0;
    loop {
        match connect(connector.as_ref(), &member).await {
            Ok(held) => {
                let life = held.expires_at.duration_since(clock.now() + RENEW_BEFORE);
                let life = Duration::try_from(life).unwrap_or_default();
                // The end of the token's life is the usual way out; anything else is a failure, and so is a token that is
                // born at its end.
                let heard =
                    tokio::time::timeout(life, listen(&held.client, &member.key, &queue)).await;
                failures = if heard.is_err() && life > SHORTEST_LIFE { 0 } else { failures + 1 };
            }
            Err(error) => {
                tracing::debug!(member = %member.key, %error, "cannot watch the member");
                failures += 1;
            }
        }
        if failures > 0 {
            let delay = backoff(
                Duration::from_secs(1),
                Duration::from_secs(60),
                failures - 1,
                ids.jitter(),
            );
            tokio::time::sleep(delay).await;
        }
    }
}

/// Adds the key for every change, until a watch fails.
async fn listen(client: &Client, key: &ObjectKey, queue: &Queue) {
    let ours = watcher::Config::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGED_BY}"));
    let policies = changes(Api::<NetworkPolicy>::all(client.clone()), ours);
    let namespaces = changes(Api::<Namespace>::all(client.clone()), watcher::Config::default());
    let mut all = std::pin::pin!(stream::select(policies, namespaces));
    while let Some(Ok(())) = all.next().await {
        queue.add(key.clone());
    }
}

/// The changes of one kind; the end of each full list counts as one, since anything may have happened before it.
fn changes<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Result<(), ()>>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    watcher(api, config).filter_map(|event| async move {
        match event {
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
            Ok(watcher::Event::InitDone | watcher::Event::Apply(_) | watcher::Event::Delete(_)) => {
                Some(Ok(()))
            }
            Err(error) => {
                tracing::debug!(%error, "a member's watch broke");
                Some(Err(()))
            }
        }
    })
}
