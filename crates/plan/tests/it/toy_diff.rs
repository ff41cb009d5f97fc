//! The toy cloud's provider: what differs between a wish and a look.

use fleetwright_api_types::Governed;
use fleetwright_names::{Ownership, PoolName};
use fleetwright_plan::{
    Change, ChangeKind, Difference, Phase, Replacement, Resource, Seen, SeenCluster, SeenPool,
    Snapshot, Update, Upgrade,
};
use serde_json::{Value, json};

use crate::check::{name, owner};
use crate::toy::{PoolWish, Wish};
use crate::words::{upgrade, version};

/// All differences, as a sane provider tells them.
pub(crate) fn diff(wish: &Wish, snapshot: &Snapshot) -> Vec<Change> {
    let mut found = Found { wish, snapshot, changes: Vec::new() };
    match &snapshot.cluster {
        Seen::Unknown { .. } => {}
        Seen::Present(cluster) if !ours(&cluster.tags) => {
            found.push(Resource::Cluster, ChangeKind::Claim);
            found.claims();
        }
        Seen::Present(cluster) => {
            found.cluster(cluster);
            found.claims();
            found.pools(Some(cluster));
            found.parts();
        }
        Seen::Absent => {
            let body = json!({"version": wish.version.to_string(), "setting": wish.setting});
            found.push(Resource::Cluster, ChangeKind::Create { body, replaces: None });
            found.pools(None);
            found.parts();
        }
    }
    found.changes
}

struct Found<'a> {
    wish: &'a Wish,
    snapshot: &'a Snapshot,
    changes: Vec<Change>,
}

impl Found<'_> {
    fn push(&mut self, resource: Resource, kind: ChangeKind) {
        self.changes.push(Change { resource, kind });
    }

    /// What is declared and there without being ours.
    fn claims(&mut self) {
        for name in self.wish.pools.keys() {
            let seen = self.snapshot.pools.get(name).and_then(Seen::present);
            if seen.is_some_and(|pool| !ours(&pool.tags)) {
                self.push(Resource::Pool(name.clone()), ChangeKind::Claim);
            }
        }
        for key in self.wish.parts.keys() {
            let seen = self.snapshot.parts.get(key).and_then(Seen::present);
            if seen.is_some_and(|part| !ours(&part.tags)) {
                self.push(Resource::Part(key.clone()), ChangeKind::Claim);
            }
        }
    }

    fn cluster(&mut self, seen: &SeenCluster) {
        let runs = version(&seen.version);
        if let Some(to) = runs.next_towards(self.wish.version) {
            let walk = Upgrade { from: runs, to, target: self.wish.version };
            self.push(Resource::Cluster, ChangeKind::Update(upgrade(walk)));
        }
        self.number(Resource::Cluster, &seen.body, ("setting", self.wish.setting), None);
    }

    /// An update of one number, if it differs.
    fn number(
        &mut self,
        resource: Resource,
        body: &Value,
        (what, wanted): (&str, u8),
        governed: Option<Governed>,
    ) {
        if body[what] == json!(wanted) {
            return;
        }
        let differences = vec![Difference {
            field: format!("spec.{what}"),
            declared: wanted.to_string(),
            found: body[what].to_string(),
        }];
        let body = json!({what: wanted});
        let update = Update { what: what.into(), differences, body, governed, upgrade: None };
        self.push(resource, ChangeKind::Update(update));
    }

    fn pools(&mut self, cluster: Option<&SeenCluster>) {
        for (name, wish) in &self.wish.pools {
            self.pool(name, *wish, cluster);
        }
        for (name, pool) in self.ours() {
            if !self.wish.pools.contains_key(&pool.stands_for) {
                self.push(Resource::Pool(name), ChangeKind::Delete);
            }
        }
    }

    fn ours(&self) -> Vec<(PoolName, SeenPool)> {
        let present = self.snapshot.pools.iter().filter_map(|(name, seen)| {
            let pool = seen.present().filter(|pool| ours(&pool.tags))?;
            Some((name.clone(), pool.clone()))
        });
        present.collect()
    }

    fn pool(&mut self, declared: &PoolName, wish: PoolWish, cluster: Option<&SeenCluster>) {
        let standing: Vec<_> =
            self.ours().into_iter().filter(|(_, pool)| pool.stands_for == *declared).collect();
        let successor = name(&format!("{declared}-{}", wish.shape));
        let fit = standing.iter().find(|(_, pool)| Wish::fits(pool, wish));
        let body = json!({
            "for": declared, "shape": wish.shape, "scale": wish.scale, "image": wish.image
        });
        match (fit, standing.first()) {
            (None, None) => {
                let there = self.snapshot.pools.get(declared);
                if there.is_none_or(|seen| matches!(seen, Seen::Absent)) {
                    let create = ChangeKind::Create { body, replaces: None };
                    self.push(Resource::Pool(declared.clone()), create);
                }
            }
            (None, Some((old, _))) => {
                let there = self.snapshot.pools.get(&successor);
                if there.is_none_or(|seen| matches!(seen, Seen::Absent)) {
                    let replaces = Some(Replacement { pool: old.clone(), differences: vec![] });
                    let create = ChangeKind::Create { body, replaces };
                    self.push(Resource::Pool(successor.clone()), create);
                }
                self.retire(&standing, &successor);
            }
            (Some((fit, pool)), _) => {
                self.retire(&standing, fit);
                if let Some(cluster) = cluster.filter(|_| pool.phase != Phase::Failed) {
                    self.in_place(fit, pool, (wish, cluster));
                }
            }
        }
    }

    fn retire(&mut self, standing: &[(PoolName, SeenPool)], successor: &PoolName) {
        for (old, _) in standing.iter().filter(|(name, _)| name != successor) {
            let retire = ChangeKind::Retire { successor: successor.clone() };
            self.push(Resource::Pool(old.clone()), retire);
        }
    }

    fn in_place(
        &mut self,
        name: &PoolName,
        pool: &SeenPool,
        (wish, cluster): (PoolWish, &SeenCluster),
    ) {
        let resource = || Resource::Pool(name.clone());
        let (from, to) = (version(&pool.version), version(&cluster.version));
        if from < to {
            let walk = Upgrade { from, to, target: to };
            self.push(resource(), ChangeKind::Update(upgrade(walk)));
        }
        self.number(resource(), &pool.body, ("scale", wish.scale), None);
        self.number(resource(), &pool.body, ("image", wish.image), Some(Governed::Roll));
    }

    fn parts(&mut self) {
        for (key, value) in &self.wish.parts {
            let resource = Resource::Part(key.clone());
            match self.snapshot.parts.get(key) {
                None | Some(Seen::Absent) => {
                    let body = json!({"value": value});
                    self.push(resource, ChangeKind::Create { body, replaces: None });
                }
                Some(Seen::Present(part)) if ours(&part.tags) => {
                    self.number(resource, &part.body, ("value", *value), None);
                }
                Some(Seen::Present(_) | Seen::Unknown { .. }) => {}
            }
        }
        for (key, seen) in &self.snapshot.parts {
            let is_ours = seen.present().is_some_and(|part| ours(&part.tags));
            if is_ours && !self.wish.parts.contains_key(key) {
                self.push(Resource::Part(key.clone()), ChangeKind::Delete);
            }
        }
    }
}

fn ours(tags: &std::collections::BTreeMap<String, String>) -> bool {
    owner("ours").reads(tags) == Ownership::Ours
}
