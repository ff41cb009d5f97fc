//! The members behind K3s clusters: they come with the first server that is up, and their nodes follow the records.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::{HostKey, Node, Role, Site};
use super::{SiteKey, host_of};
use crate::member::{Hosted, Machine};
use crate::state::digest_hex;
use crate::{SettleError, Shared};

impl Site {
    /// The hosts where its data lies.
    pub(super) fn holders(&self) -> impl Iterator<Item = &HostKey> {
        self.holders.iter()
    }

    /// Its nodes as its API shows them.
    fn objects(&self, now: Timestamp) -> Vec<Value> {
        let listed = self.nodes.iter().filter(|(_, node)| node.is_listed(now));
        listed.map(|(name, node)| object(name, node, now)).collect()
    }
}

fn object(name: &str, node: &Node, now: Timestamp) -> Value {
    let mut labels = node.labels.clone();
    labels.insert("node.kubernetes.io/instance-type".to_owned(), "k3s".to_owned());
    if node.role == Role::Server {
        labels.insert("node-role.kubernetes.io/control-plane".to_owned(), "true".to_owned());
    }
    let machine = Machine {
        id: &digest_hex(&node.uid, 32),
        name,
        provider_id: format!("k3s://{name}"),
        labels,
        taints: node.taints.iter().filter_map(|taint| taint_of(taint)).collect(),
        system: "linux",
        arch: "amd64",
        kubelet: node.shown_version(now).to_owned(),
        ready_since: node.up_at.or(node.last_up).unwrap_or(now),
    };
    let mut object = machine.node();
    if node.cordoned {
        object["spec"]["unschedulable"] = json!(true);
    }
    if let Some(why) = &node.in_turn {
        object["metadata"]["annotations"] = json!({ "fleetwright.dev/in-turn": why });
    }
    object["status"]["addresses"][0]["address"] = json!(node.address);
    if let Some(conditions) = object["status"]["conditions"].as_array_mut()
        && node.unready_since(now).is_some()
    {
        for condition in conditions.iter_mut().filter(|condition| condition["type"] == "Ready") {
            condition["status"] = json!("Unknown");
            condition["reason"] = json!("NodeStatusUnknown");
        }
    }
    object
}

/// `key=value:Effect` or `key:Effect`.
fn taint_of(text: &str) -> Option<Value> {
    let (pair, effect) = text.rsplit_once(':')?;
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some(json!({ "key": key, "value": value, "effect": effect }))
}

impl Shared {
    /// Lets the member of a cluster be as its record says.
    pub(super) async fn follow_site(
        &self,
        site: &mut Site,
        now: Timestamp,
    ) -> Result<(), SettleError> {
        if !site.answers(now) {
            return Ok(());
        }
        let objects = site.objects(now);
        let told = digest_hex(&format!("{}{}", site.shown_version(), json!(objects)), 32);
        if site.told == told {
            return Ok(());
        }
        self.members.attach(site).await?;
        site.made = true;
        self.members.show_nodes(&site.key.0, objects).await?;
        site.told = told;
        Ok(())
    }

    /// The member whose API answers at an address or URL at this moment.
    pub(crate) async fn member_at(&self, endpoint: &str) -> Result<Option<SiteKey>, SettleError> {
        let _turn = self.turn.lock().await;
        let (place, now) = (host_of(endpoint), self.clock.now());
        let sites = self.ledger.all::<SiteKey>().await?;
        let Some(mut site) =
            sites.into_iter().find(|site| site.answers(now) && site.is_at(place, now))
        else {
            return Ok(None);
        };
        let before = site.clone();
        self.follow_site(&mut site, now).await?;
        if site != before {
            self.ledger.save(&site.key, &site).await?;
        }
        Ok(Some(site.key))
    }
}
