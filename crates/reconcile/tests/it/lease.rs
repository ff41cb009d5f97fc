//! Two candidates for one lease, over the embedded API server: never two leaders, and never none for long.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleetwright_apiserver::{
    ApiServer, ClusterSpec, Identity, LogicalCluster, MemoryStore, ResourceRef, Scheme,
    StaticTokens,
};
use fleetwright_clock::{Clock, RandomIds};
use fleetwright_reconcile::{Context, LeaseSettings, lead};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::ServiceExt as _;

/// A clock that is wrong by some seconds.
#[derive(Debug)]
struct Wrong {
    start: Instant,
    by_seconds: i64,
}

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.start.elapsed().as_millis()).expect("small");
        Timestamp::from_millisecond(1_767_268_800_000 + self.by_seconds * 1000 + passed)
            .expect("a time")
    }
}

/// Who led when; fails as soon as two do.
#[derive(Debug, Default)]
struct Book {
    leading: AtomicUsize,
    entries: Mutex<Vec<(String, Instant)>>,
}

/// Leads until dropped.
struct Leading(Arc<Book>);

impl Leading {
    fn begin(book: &Arc<Book>, name: &str) -> Self {
        assert_eq!(book.leading.fetch_add(1, Ordering::SeqCst), 0, "{name} is the second leader");
        book.lock().push((name.to_owned(), Instant::now()));
        Self(Arc::clone(book))
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.leading.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Book {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Instant)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> (String, Instant) {
        self.lock().last().expect("somebody led").clone()
    }

    fn is_led(&self) -> bool {
        self.leading.load(Ordering::SeqCst) == 1
    }
}

struct Candidate {
    task: JoinHandle<()>,
    stop: Arc<Notify>,
    /// Nothing gets through any more.
    cut: Arc<AtomicBool>,
}

struct Hub {
    hub: LogicalCluster,
    start: Instant,
    book: Arc<Book>,
}

const LEASES: ResourceRef = ResourceRef::new("coordination.k8s.io", "v1", "leases");
const NAMESPACES: ResourceRef = ResourceRef::new("", "v1", "namespaces");

impl Hub {
    async fn new() -> Self {
        let start = Instant::now();
        let clock: Arc<dyn Clock> = Arc::new(Wrong { start, by_seconds: 0 });
        let store = Arc::new(MemoryStore::new());
        let api = ApiServer::open(store, clock, Arc::new(RandomIds::seeded(1))).await;
        let spec = ClusterSpec {
            name: "hub".into(),
            scheme: Arc::new(Scheme::builtin()),
            authenticator: Arc::new(StaticTokens::new()),
            version: "v1.34.0-test".into(),
        };
        let hub = api.expect("a server").add_cluster(spec).await.expect("a hub");
        let system =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "system"}});
        hub.put(&NAMESPACES, system).await.expect("a namespace");
        Self { hub, start, book: Arc::default() }
    }

    fn candidate(&self, name: &'static str, by_seconds: i64) -> Candidate {
        let (stop, cut) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let is_cut = Arc::clone(&cut);
        let service = self.hub.service_as(Identity::system(name));
        let wire = tower::service_fn(move |request| {
            let (service, is_cut) = (service.clone(), Arc::clone(&is_cut));
            async move {
                if is_cut.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                service.oneshot(request).await
            }
        });
        let clock = Arc::new(Wrong { start: self.start, by_seconds });
        let seed = name.bytes().map(u64::from).sum();
        let ids = Arc::new(RandomIds::seeded(seed));
        let context = Context::new(Client::new(wire, "default"), clock, ids);
        let (book, stopped) = (Arc::clone(&self.book), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let settings = LeaseSettings::new("system", "fleetwright");
            let run = || async {
                let _leading = Leading::begin(&book, name);
                std::future::pending::<()>().await;
            };
            lead(&context, name, &settings, stopped.notified(), run).await;
        });
        Candidate { task, stop, cut }
    }

    async fn lease(&self) -> Value {
        let found = self.hub.get(&LEASES, Some("system"), "fleetwright").await;
        Value::clone(&found.expect("a lease"))
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Seconds from `since` until somebody began to lead after it.
fn led_after(hub: &Hub, since: Instant) -> u64 {
    let (_, at) = hub.book.last();
    at.checked_duration_since(since).expect("nobody began to lead").as_secs()
}

#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_goes_on_leading() {
    let hub = Hub::new().await;
    let (_a, _b) = (hub.candidate("a", 0), hub.candidate("b", 3600));
    pass(600).await;
    assert_eq!(
        hub.book.lock().len(),
        1,
        "the lead never moved, though the clocks differ by an hour"
    );
    assert_eq!(hub.lease().await["spec"]["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_followed_within_20_seconds() {
    for seconds_wrong in [-3600, 0, 3600] {
        let hub = Hub::new().await;
        let a = hub.candidate("a", seconds_wrong);
        pass(5).await;
        let _b = hub.candidate("b", 0);
        pass(60).await;
        a.task.abort();
        let died = Instant::now();
        pass(20).await;
        assert_eq!(hub.book.last().0, "b");
        let waited = led_after(&hub, died);
        assert!((11..=19).contains(&waited), "{waited} s");
        assert_eq!(hub.lease().await["spec"]["holderIdentity"], "b");
        assert_eq!(hub.lease().await["spec"]["leaseTransitions"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_before_the_next_one_starts() {
    let hub = Hub::new().await;
    let a = hub.candidate("a", 0);
    pass(5).await;
    let _b = hub.candidate("b", 0);
    pass(30).await;
    a.cut.store(true, Ordering::SeqCst);
    pass(11).await;
    assert!(!hub.book.is_led(), "it gave up by itself, and nobody else may lead yet");
    pass(10).await;
    assert_eq!(hub.book.last().0, "b");
    a.cut.store(false, Ordering::SeqCst);
    pass(60).await;
    assert_eq!(hub.book.last().0, "b", "who comes back stands by");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_stop_gives_the_lease_back() {
    let hub = Hub::new().await;
    let a = hub.candidate("a", 0);
    pass(5).await;
    let _b = hub.candidate("b", 0);
    pass(30).await;
    let asked = Instant::now();
    a.stop.notify_one();
    a.task.await.expect("an orderly end");
    pass(5).await;
    assert_eq!(hub.book.last().0, "b");
    let waited = led_after(&hub, asked);
    assert!(waited <= 4, "{waited} s: nobody waits for a lease that was given back");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_else_took_is_not_fought_for() {
    let hub = Hub::new().await;
    let _a = hub.candidate("a", 0);
    pass(5).await;
    let mut lease = hub.lease().await;
    lease["spec"]["holderIdentity"] = json!("a-thief");
    hub.hub.put(&LEASES, lease).await.expect("taken");
    pass(4).await;
    assert!(!hub.book.is_led(), "stopped at the next look");
    pass(20).await;
    assert_eq!(hub.book.lock().len(), 2, "and leads again when the thief does not renew");
}
