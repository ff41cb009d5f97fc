//! What is declared of a K3s cluster on hosts alone.

use serde_json::{Value, json};

use super::Pool;
use crate::dice::Dice;

/// Releases on the way from the first to the last one, and the last: upgrades go minor by minor.
const PATH: [&str; 3] = ["v1.33.2+k3s1", "v1.34.2+k3s1", "v1.35.2+k3s1"];

/// A K3s cluster on hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct K3s {
    /// The name of its object, which those of its hosts begin with.
    pub site: String,
    /// Numbers of the hosts that are servers, in their order: one or three.
    pub servers: Vec<u8>,
    /// Numbers of the hosts that are agents.
    pub agents: Vec<u8>,
    /// Whether agents come and go.
    pub intermittent: bool,
    /// Whether the ingress controller is left out.
    pub bare: bool,
    /// The value of label `stage` on agents.
    pub stage: &'static str,
}

/// The release of a minor version.
#[must_use]
pub fn release(minor: u16) -> String {
    format!("v1.{minor}.2+k3s1")
}

impl K3s {
    /// One server and nothing else.
    #[must_use]
    pub fn single(site: &str) -> Self {
        Self {
            site: site.to_owned(),
            servers: vec![1],
            agents: Vec::new(),
            intermittent: false,
            bare: false,
            stage: super::STAGES[0],
        }
    }

    pub(super) fn born(dice: &Dice, site: &str) -> Self {
        let servers = if dice.hit(0.6) { vec![1, 2, 3] } else { vec![1] };
        let agents = (11..14).filter(|_| dice.hit(0.4)).collect();
        let intermittent = dice.hit(0.3);
        let (bare, stage) = (dice.hit(0.5), super::STAGES[dice.below(2)]);
        Self { servers, agents, intermittent, bare, stage, ..Self::single(site) }
    }

    pub(super) fn edit(&mut self, dice: &Dice) {
        match dice.below(6) {
            0 => self.agents = (11..14).filter(|_| dice.hit(0.5)).collect(),
            // One server goes and another comes, which may be the first.
            1 if self.servers.len() == 3 => {
                let next = self.servers.iter().max().map_or(1, |last| last + 1).min(9);
                let which = dice.below(3);
                if let Some(server) = self.servers.get_mut(which) {
                    *server = next;
                }
            }
            1 | 2 if self.servers.len() == 1 => {
                let first = self.servers[0];
                self.servers = vec![first, 8, 9];
            }
            2 => self.servers.truncate(1),
            3 => self.bare = !self.bare,
            4 => self.stage = super::STAGES[dice.below(2)],
            _ => self.intermittent = !self.intermittent,
        }
        self.servers.dedup();
    }

    fn name(&self, number: u8) -> String {
        format!("{}-h{number}", self.site)
    }

    /// The names of all hosts: servers, then agents.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        self.servers.iter().chain(&self.agents).map(|number| self.name(*number))
    }

    pub(super) fn block(&self) -> Value {
        let host = |number: &u8| {
            let name = self.name(*number);
            json!({"name": name, "host": address(&name)})
        };
        let presence = if self.intermittent { "Intermittent" } else { "Always" };
        let agents = self.agents.iter().map(|number| {
            let mut agent = host(number);
            agent["labels"] = json!({"stage": self.stage});
            agent["presence"] = json!(presence);
            agent
        });
        let disable: &[&str] = if self.bare { &["traefik"] } else { &[] };
        json!({
            "endpoint": {"host": format!("{}.vip.example", self.site)},
            "servers": self.servers.iter().map(host).collect::<Vec<_>>(),
            "agents": agents.collect::<Vec<_>>(),
            "upgradePath": PATH,
            "disable": disable,
            "update": {"drainTimeout": "2m", "onDrainTimeout": "Force"},
        })
    }

    /// What happens to one of its hosts, as `CloudSim::drift` has it: address, path and value.
    pub(super) fn misfortune(&self, dice: &Dice) -> (String, &'static str, Value) {
        let hosts: Vec<String> = self.hosts().collect();
        let host = hosts.get(dice.below(hosts.len())).map(|name| address(name));
        let (path, value) = match dice.below(6) {
            0 => ("reboot", json!(20)),
            1 => ("away", json!(true)),
            2 => ("service", json!("stopped")),
            3 => ("service", json!("disabled")),
            _ => ("files./etc/rancher/k3s/config.yaml", json!("write-kubeconfig-mode: \"644\"\n")),
        };
        (host.unwrap_or_default(), path, value)
    }
}

/// Where a host is.
#[must_use]
pub fn address(name: &str) -> String {
    format!("{name}.hosts.example")
}

/// K3s has no pools.
pub(super) fn pool(_: &Pool) -> Value {
    Value::Null
}
