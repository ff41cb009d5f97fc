//! What every provider must show, run against its emulated cloud by a few lines in the provider's own tests.
//!
//! Each check panics with a sentence; this module is for tests only.
#![allow(clippy::panic, clippy::expect_used, reason = "assertions for tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_api_types::ProviderConfig;
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, Owner, Ownership, Uid};
use fleetwright_plan::{
    ChangeKind, CloudAction, CloudStep, DesiredCluster, Resource, Seen, Snapshot, Update,
};

use crate::{Access, Provider};

/// A provider in an account, and what is declared there.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// The provider.
    pub provider: &'a dyn Provider,
    /// Through which account.
    pub access: &'a Access,
    /// What is declared.
    pub desired: &'a DesiredCluster,
}

/// The access that objects of `namespace` on `hub` have through `account`, without a Secret.
#[must_use]
pub fn access(account: ProviderConfig, hub: &HubId, namespace: &str) -> Access {
    let namespace = namespace.to_owned();
    Access {
        account: Arc::new(account),
        hub: hub.clone(),
        namespace,
        secret: None,
        own_secrets: BTreeMap::new(),
    }
}

impl Trial<'_> {
    async fn look(&self) -> Snapshot {
        self.provider.observe(self.access, &self.desired.address, Some(self.desired)).await
    }

    fn step(&self, owner: &Owner, action: CloudAction, generation: i64) -> CloudStep {
        let owner = (owner.clone(), generation);
        CloudStep::new(self.desired.address.clone(), Resource::Cluster, owner, action, "")
    }

    fn stranger(&self) -> Owner {
        Owner { uid: Uid::new("0bad").expect("a uid"), ..self.desired.owner.clone() }
    }

    /// Looking at a place where nothing is says `Absent`, not an error.
    ///
    /// # Panics
    /// When it does not hold.
    pub async fn nothing_is_absent(&self) {
        let snapshot = self.look().await;
        assert_eq!(snapshot.cluster, Seen::Absent, "a cluster that was never made must be Absent");
        assert!(snapshot.pools.is_empty(), "no pools where no cluster is");
        assert!(snapshot.parts.is_empty(), "no parts where no cluster is");
    }

    /// A create is one call and seen at once, carries our tags, and the same name for another wish is a conflict. (The same
    /// step twice may be a conflict too, or be done: some clouds take tokens.)
    ///
    /// # Panics
    /// When it does not hold.
    pub async fn create_is_seen_and_exclusive(&self) {
        let create = |generation| {
            let body = self.desired.body.clone();
            self.step(&self.desired.owner, CloudAction::Create { body }, generation)
        };
        let first = create(self.desired.generation);
        let receipt =
            self.provider.act(self.access, &first).await.expect("the first create succeeds");
        assert_eq!(receipt.calls.len(), 1, "a create is one call: {receipt:?}");
        let snapshot = self.look().await;
        let Seen::Present(cluster) = &snapshot.cluster else {
            panic!("a made cluster must be Present")
        };
        let whose = self.desired.owner.reads(&cluster.tags);
        assert_eq!(whose, Ownership::Ours, "a made cluster carries our tags");
        let again = create(self.desired.generation + 1);
        let error = self.provider.act(self.access, &again).await.expect_err("the name is taken");
        assert_eq!(error.class, Class::Conflict, "a taken name is a Conflict, got {error:?}");
    }

    /// Nothing that carries other tags is changed, claimed, destroyed or let go, even if a step says so.
    ///
    /// # Panics
    /// When it does not hold.
    pub async fn a_stranger_can_do_nothing(&self) {
        let before = self.look().await;
        let stranger = self.stranger();
        let update = Update {
            what: "tags".into(),
            differences: Vec::new(),
            body: serde_json::json!({}),
            governed: None,
            upgrade: None,
        };
        let claim = CloudAction::Claim { tags: stranger.tags(), from: None };
        let actions =
            [CloudAction::Update(update), claim, CloudAction::Delete, CloudAction::Release];
        for action in actions {
            let what = action.verb();
            let step = self.step(&stranger, action, 1);
            let error = self.provider.act(self.access, &step).await.expect_err(what);
            assert_eq!(error.class, Class::Refused, "{what} of what is not ours: {error:?}");
        }
        assert_eq!(self.look().await.cluster, before.cluster, "the cluster is as it was");
    }

    /// Deleting what is gone succeeds, without a call that changes anything.
    ///
    /// # Panics
    /// When it does not hold.
    pub async fn delete_of_nothing_succeeds(&self) {
        let delete = self.step(&self.desired.owner, CloudAction::Delete, 1);
        let receipt = self.provider.act(self.access, &delete).await;
        let receipt = receipt.expect("nothing to delete is fine");
        assert!(receipt.calls.is_empty(), "nothing was there to be deleted: {receipt:?}");
    }

    /// What was made as declared shows no difference once it is seen.
    ///
    /// # Panics
    /// When it does not hold.
    pub async fn what_was_made_shows_no_difference(&self) {
        let changes = self.provider.diff(self.desired, &self.look().await);
        let changes: Vec<_> =
            changes.into_iter().filter(|change| change.resource == Resource::Cluster).collect();
        assert!(changes.is_empty(), "a cluster just made must not differ: {changes:?}");
    }

    /// The first update that the diff asks for of the control plane is accepted; `settled` waits until the cloud is done.
    /// Then that kind of change is asked for no more.
    ///
    /// # Panics
    /// When it does not hold, or when nothing differs.
    pub async fn an_update_makes_right_what_differs(&self, settled: impl AsyncFnOnce()) {
        let updates = |snapshot: &Snapshot| -> Vec<Update> {
            let changes = self.provider.diff(self.desired, snapshot);
            let of_cluster = |resource: &Resource| *resource == Resource::Cluster;
            let kept = changes.into_iter().filter(|change| of_cluster(&change.resource));
            kept.filter_map(|change| match change.kind {
                ChangeKind::Update(update) => Some(update),
                _ => None,
            })
            .collect()
        };
        let found = updates(&self.look().await);
        let update = found.first().expect("something differs").clone();
        let what = update.what.clone();
        let step =
            self.step(&self.desired.owner, CloudAction::Update(update), self.desired.generation);
        let receipt = self.provider.act(self.access, &step).await.expect("the update is taken");
        assert!(!receipt.calls.is_empty(), "an update changes something");
        settled().await;
        let left = updates(&self.look().await);
        assert!(left.iter().all(|left| left.what != what), "{what} still differs: {left:?}");
    }

    /// What is ours is listed for our hub, and for no other.
    ///
    /// # Panics
    /// When it does not hold.
    pub async fn what_is_ours_is_listed(&self) {
        let address = &self.desired.address;
        let list = async |hub: &HubId| {
            let listed = self.provider.list_owned(self.access, address, hub).await;
            let listed = listed.expect("a whole list");
            let cluster = |owned: &&crate::Owned| owned.resource == Resource::Cluster;
            listed.iter().filter(cluster).cloned().collect::<Vec<_>>()
        };
        let owner = &self.desired.owner;
        let listed = list(&owner.hub).await;
        let [only] = &listed[..] else { panic!("one control plane is ours: {listed:?}") };
        assert_eq!((&only.address.external_name, &only.owner), (&address.external_name, owner));
        let stranger = HubId::new("0000").expect("a hub id");
        assert_eq!(list(&stranger).await, [], "another hub has none");
    }

    /// What is let go is nobody's: it cannot be destroyed, and it can be claimed again. `settled` waits until the cloud is
    /// done.
    ///
    /// # Panics
    /// When it does not hold.
    pub async fn what_is_let_go_may_be_claimed_again(&self, settled: impl AsyncFn()) {
        let owner = &self.desired.owner;
        let act = async |action: CloudAction| {
            let step = self.step(owner, action, self.desired.generation);
            self.provider.act(self.access, &step).await
        };
        let whose = async || match self.look().await.cluster {
            Seen::Present(cluster) => owner.reads(&cluster.tags),
            other => panic!("it stays where it is: {other:?}"),
        };
        act(CloudAction::Release).await.expect("let go");
        settled().await;
        assert_eq!(whose().await, Ownership::Released);
        let again = act(CloudAction::Release).await.expect("let go before");
        assert!(again.calls.is_empty(), "nothing was left to let go: {again:?}");
        let error = act(CloudAction::Delete).await.expect_err("it is nobody's");
        assert_eq!(error.class, Class::Refused, "{error:?}");
        let tags = self.desired.tags.clone();
        act(CloudAction::Claim { tags, from: None }).await.expect("claimed");
        settled().await;
        assert_eq!(whose().await, Ownership::Ours);
    }

    /// What is deleted goes. `settled` waits until the cloud is done.
    ///
    /// # Panics
    /// When it does not hold.
    pub async fn what_is_deleted_goes(&self, settled: impl AsyncFnOnce()) {
        let delete = self.step(&self.desired.owner, CloudAction::Delete, self.desired.generation);
        let receipt = self.provider.act(self.access, &delete).await.expect("the delete is taken");
        assert_eq!(receipt.calls.len(), 1, "a delete is one call: {receipt:?}");
        settled().await;
        self.nothing_is_absent().await;
        self.delete_of_nothing_succeeds().await;
    }
}
