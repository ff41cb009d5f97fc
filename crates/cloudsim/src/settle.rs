//! Time passing: what becomes of a record when something in it is due.
//!
//! [`Cluster::advance`] decides, on the record alone, and lists what must change in the member; [`Shared`] does that
//! and then stores the record. Every step can be repeated, and the record is written last, so that a crash in between
//! leaves a record that still says the step is due.

use std::time::Duration;

use jiff::Timestamp;

use fleetwright_names::TAG_POOL;
use serde_json::json;

use crate::eks::{NODEGROUP_LABEL, NodegroupRequest};
use crate::faults::{Fault, lacks_capacity};
use crate::member::Surroundings;
use crate::state::{Change, Cluster, Phase, Progress, Target, Trouble, digest_hex, with_values};
use crate::{SettleError, Shared};

/// What AWS's controllers do in a member.
pub(crate) static AWS: Surroundings = Surroundings {
    driver: "ebs.csi.aws.com",
    ingress: |uid, region| json!({ "hostname": format!("{}.elb.{region}.amazonaws.com", digest_hex(uid, 32)) }),
    volume: "vol-",
};

/// What must change in a member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Its API appears, or shows another version.
    Attach,
    /// A group's nodes become what the record says. Labels and taints of `before` that are no more go.
    Nodes { group: String, before: Box<NodegroupRequest> },
    /// A group's nodes go.
    NoNodes { group: String },
}

/// What time has done to a record.
#[derive(Debug, Default)]
pub(crate) struct Advance {
    pub(crate) changed: bool,
    pub(crate) effects: Vec<Effect>,
    /// The cluster is no more.
    pub(crate) gone: bool,
}

impl Advance {
    fn with(&mut self, effect: Effect) {
        self.changed = true;
        self.effects.push(effect);
    }
}

impl Cluster {
    /// Makes every transition that is due at `now`.
    pub(crate) fn advance(&mut self, now: Timestamp, faults: &[Fault]) -> Advance {
        let mut advance = Advance::default();
        if self.phase.is_made_at(now) {
            self.phase = Phase::Active;
            advance.with(Effect::Attach);
        }
        if self.phase.is_gone_at(now) {
            return Advance { gone: true, changed: true, effects: Vec::new() };
        }
        self.advance_nodegroups(now, faults, &mut advance);
        self.advance_updates(now, &mut advance);
        self.advance_parts(now, &mut advance);
        advance
    }

    fn advance_nodegroups(&mut self, now: Timestamp, faults: &[Fault], advance: &mut Advance) {
        let cluster = self.key.name.clone();
        let updates = &mut self.updates;
        self.nodegroups.retain(|name, group| {
            let gone = group.phase.is_gone_at(now);
            if gone {
                // Another group of that name has no part in them.
                updates.retain(|update| update.target != Target::Nodegroup(name.clone()));
                advance.with(Effect::NoNodes { group: name.clone() });
            }
            !gone
        });
        for (name, group) in &mut self.nodegroups {
            let declared = group.tags.get(TAG_POOL).map_or(&**name, String::as_str);
            let lacking = lacks_capacity(faults, &[&cluster], &[name, declared]);
            let desired = group.request.scaling().desired_size;
            let recovers = group.short && !lacking;
            match group.phase {
                Phase::Creating { .. } if group.phase.is_made_at(now) && lacking => {
                    let message = NO_CAPACITY.to_owned();
                    (group.phase, group.short) = (Phase::CreateFailed { message }, true);
                    advance.changed = true;
                }
                Phase::Creating { .. } if group.phase.is_made_at(now) => {
                    (group.phase, group.machines) = (Phase::Active, desired);
                }
                Phase::Active | Phase::CreateFailed { .. } if recovers => {
                    (group.phase, group.machines, group.short) = (Phase::Active, desired, false);
                }
                // One machine was taken away and cannot be had again.
                Phase::Active if lacking && !group.short => {
                    group.machines = group.machines.min(desired.saturating_sub(1));
                    group.short = true;
                }
                _ => continue,
            }
            group.modified_at = now;
            let before = Box::new(group.request.clone());
            advance.with(Effect::Nodes { group: name.clone(), before });
        }
    }

    fn advance_updates(&mut self, now: Timestamp, advance: &mut Advance) {
        let mut updates = std::mem::take(&mut self.updates);
        for update in &mut updates {
            let Progress::Open { due, change, doomed } = &update.progress else {
                continue;
            };
            if *due > now {
                continue;
            }
            let result = match doomed {
                Some(trouble) => Err(trouble.clone()),
                None => self.apply(&update.target, change, now, advance),
            };
            advance.changed = true;
            update.progress = match result {
                Ok(()) => Progress::Successful,
                Err(trouble) => Progress::Failed(trouble),
            };
        }
        self.updates = updates;
    }

    fn apply(
        &mut self,
        target: &Target,
        change: &Change,
        now: Timestamp,
        advance: &mut Advance,
    ) -> Result<(), Trouble> {
        let Change { values, version, release } = change;
        match target {
            Target::Cluster => {
                let used_entries = self.request.uses_entries();
                self.request = with_values(&self.request, values).map_err(damaged)?;
                if !used_entries {
                    self.let_creator_in(now);
                }
                if let Some(version) = version {
                    self.version.clone_from(version);
                    advance.with(Effect::Attach);
                }
            }
            Target::Nodegroup(name) => {
                let group = self.nodegroups.get_mut(name).ok_or_else(vanished)?;
                let rolls = release.as_ref().is_some_and(|release| *release != group.release)
                    || values.iter().any(|(path, _)| path.starts_with("launchTemplate"));
                if rolls && group.short {
                    let code = "NodeCreationFailure".to_owned();
                    return Err(Trouble { code, message: NO_CAPACITY.to_owned() });
                }
                let before = Box::new(group.request.clone());
                group.request = with_values(&group.request, values).map_err(damaged)?;
                if let Some(version) = version {
                    group.version.clone_from(version);
                }
                if let Some(release) = release {
                    group.release.clone_from(release);
                }
                group.roll += u32::from(rolls);
                let desired = group.request.scaling().desired_size;
                group.machines = if group.short { group.machines.min(desired) } else { desired };
                group.modified_at = now;
                advance.with(Effect::Nodes { group: name.clone(), before });
            }
            Target::Addon(name) => {
                let addon = self.addons.get_mut(name).ok_or_else(vanished)?;
                addon.request = with_values(&addon.request, values).map_err(damaged)?;
                if let Some(version) = version {
                    addon.version.clone_from(version);
                }
                addon.modified_at = now;
            }
        }
        Ok(())
    }

    fn advance_parts(&mut self, now: Timestamp, advance: &mut Advance) {
        let mut gone = Vec::new();
        let updates = &mut self.updates;
        self.addons.retain(|name, addon| {
            let stays = !addon.phase.is_gone_at(now);
            if !stays {
                updates.retain(|update| update.target != Target::Addon(name.clone()));
                gone.push(addon.arn(&self.key));
            }
            stays
        });
        // The associations of an add-on go with it.
        self.identities
            .retain(|_, one| one.owner_arn.as_ref().is_none_or(|owner| !gone.contains(owner)));
        advance.changed |= !gone.is_empty();
        let before = self.fargate.len();
        self.fargate.retain(|_, profile| !profile.phase.is_gone_at(now));
        advance.changed |= self.fargate.len() < before;
        let addons = self.addons.values_mut().map(|addon| &mut addon.phase);
        let profiles = self.fargate.values_mut().map(|profile| &mut profile.phase);
        for phase in addons.chain(profiles) {
            if phase.is_made_at(now) {
                *phase = Phase::Active;
                advance.changed = true;
            }
        }
    }
}

/// What EKS says when machines cannot be had.
pub(crate) const NO_CAPACITY: &str = "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We \
     currently do not have sufficient capacity in the Availability Zone you requested. Launching EC2 instance failed.";

fn damaged(message: String) -> Trouble {
    Trouble { code: "Unknown".to_owned(), message }
}

fn vanished() -> Trouble {
    damaged("what was to be updated is no more".to_owned())
}

impl Shared {
    /// When something that takes about `latency` will be done.
    pub(crate) fn due_in(&self, latency: Duration) -> Timestamp {
        let now = self.clock.now();
        let spread = 0.8 + 0.4 * self.ids.jitter();
        // Past the end of time is never reached anyway.
        now.checked_add(latency.mul_f64(spread)).unwrap_or(Timestamp::MAX)
    }

    /// Makes the transitions of one cluster that are due. `None`: it is gone.
    pub(crate) async fn settle_cluster(
        &self,
        mut cluster: Cluster,
    ) -> Result<Option<Cluster>, SettleError> {
        let mut simulation = self.ledger.simulation().await?;
        let now = self.clock.now();
        let had_member = cluster.has_member();
        let mut advance = cluster.advance(now, &simulation.faults);
        if had_member {
            let Cluster { key, outside, .. } = &mut cluster;
            let (id, region) = (key.member_id(), &key.region);
            advance.changed |= self.members.look_outside(&id, region, &AWS, outside).await?;
        }
        if advance.gone {
            if !cluster.outside.is_empty() {
                simulation.orphans.extend(cluster.orphans());
                simulation.orphans.sort();
                simulation.orphans.dedup();
                self.ledger.save_simulation(&simulation).await?;
            }
            self.members.detach(cluster.key.member_id()).await?;
            self.ledger.forget(&cluster.key).await?;
            return Ok(None);
        }
        for effect in &advance.effects {
            match effect {
                Effect::Attach => self.members.attach(&cluster).await?,
                Effect::NoNodes { group } => {
                    let pool = (NODEGROUP_LABEL, group.as_str());
                    self.members.remove_nodes(&cluster.key.member_id(), pool).await?;
                }
                Effect::Nodes { group, before } => {
                    let Some(machines) = cluster.machines(group, before) else {
                        continue;
                    };
                    let id = cluster.key.member_id();
                    let refused = self.members.sync_nodes(&id, machines).await?;
                    if let (Some(message), Some(group)) =
                        (refused, cluster.nodegroups.get_mut(group))
                    {
                        group.phase = Phase::CreateFailed { message };
                    }
                }
            }
        }
        if advance.changed {
            self.ledger.save(&cluster.key, &cluster).await?;
        }
        Ok(Some(cluster))
    }
}

impl Cluster {
    /// What it would leave behind if it went now.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = String> {
        let of = format!("{}/{}", self.key.region, self.key.name);
        self.outside.iter().map(move |what| format!("{what} of {of}"))
    }
}
