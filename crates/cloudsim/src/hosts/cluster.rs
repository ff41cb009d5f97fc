//! What is asked of a cluster on one of its servers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;

use super::deed::{Deed, Fail};
use super::service::Scene;
use super::state::{Node, Role, Site, sha256};
use super::tokens;

const REFUSED: &str = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?";

type Said = Result<Vec<String>, Fail>;

fn changed(did: bool) -> Vec<String> {
    vec![format!("changed={}", if did { "yes" } else { "no" })]
}

impl Scene {
    pub(super) fn perform_in_cluster(&mut self, deed: &Deed) -> Said {
        if !matches!(self.host.data, Some((_, Role::Server))) {
            return Err(Fail::new("absent", "/etc/rancher/k3s/k3s.yaml"));
        }
        match deed.name.as_str() {
            "read-cluster" => Ok(self.read_cluster()),
            "cordon" => self.cordon(deed),
            "uncordon" => self.uncordon(deed),
            "drain" => self.drain(deed),
            "delete-node" => self.delete_node(deed),
            "mint-token" => self.mint_token(deed),
            other => Err(Fail::new("bug", format!("the simulation knows no deed {other}"))),
        }
    }

    /// Whether the API of this host's cluster answers here.
    fn answers_here(&self) -> bool {
        let up = self.node().is_some_and(|node| node.is_up(self.now));
        up && self.site().is_some_and(|site| site.answers(self.now))
    }

    fn open_site(&mut self) -> Result<&mut Site, Fail> {
        if !self.answers_here() {
            return Err(Fail::new("cluster", REFUSED));
        }
        self.site_mut().ok_or_else(|| Fail::new("cluster", REFUSED))
    }

    fn read_cluster(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.answers_here() {
            lines.push("ready=yes".to_owned());
            let nodes = self.site().map(|site| &site.nodes).into_iter().flatten();
            let listed = nodes.filter(|(_, node)| node.is_listed(self.now));
            lines.extend(listed.map(|(name, node)| self.told(name, node)));
        } else {
            lines.push("ready=no".to_owned());
        }
        lines.push(format!("ca={}", STANDARD.encode(&self.ca)));
        if let Some(token) = &self.host.token {
            lines.push(format!("token={}", sha256(format!("{token}\n").as_bytes())));
        }
        let encrypted = self.site().is_some_and(|site| site.encrypted);
        lines.push(format!("encryption={}", if encrypted { "enabled" } else { "disabled" }));
        if encrypted {
            lines.push("encryption_stage=start".to_owned());
        }
        lines
    }

    fn told(&self, name: &str, node: &Node) -> String {
        let since = node.unready_since(self.now);
        let etcd = match node.voter_from {
            Some(from) if from <= self.now => "voter",
            Some(_) => "learner",
            None => "none",
        };
        let roles = match (node.role, node.voter_from) {
            (Role::Agent, _) => json!([]),
            (Role::Server, Some(_)) => json!(["control-plane", "etcd"]),
            (Role::Server, None) => json!(["control-plane"]),
        };
        let told = json!({
            "name": name,
            "uid": node.uid,
            "version": node.shown_version(self.now),
            "ready": since.is_none(),
            "unready_since": since.map(second).unwrap_or_default(),
            "unschedulable": node.cordoned,
            "address": node.address,
            "etcd": etcd,
            "roles": roles,
            "in_turn": node.in_turn,
        });
        format!("node={told}")
    }

    /// A node by the name that a deed gives; `None`: there is no such node.
    fn named(&mut self, deed: &Deed) -> Result<Option<&mut Node>, Fail> {
        let (name, now) = (deed.text("node")?.to_owned(), self.now);
        let site = self.open_site()?;
        Ok(site.nodes.get_mut(&name).filter(|node| node.is_listed(now)))
    }

    fn cordon(&mut self, deed: &Deed) -> Said {
        let what = deed.text("what")?.to_owned();
        let Some(node) = self.named(deed)? else { return absent(deed) };
        let same = node.cordoned && node.in_turn.as_ref() == Some(&what);
        (node.cordoned, node.in_turn) = (true, Some(what));
        Ok(changed(!same))
    }

    fn uncordon(&mut self, deed: &Deed) -> Said {
        let Some(node) = self.named(deed)?.filter(|node| node.in_turn.is_some()) else {
            return Ok(changed(false));
        };
        (node.cordoned, node.in_turn, node.pods) = (false, None, 2);
        Ok(changed(true))
    }

    fn drain(&mut self, deed: &Deed) -> Said {
        let force = deed.is_on("force");
        let Some(node) = self.named(deed)? else { return absent(deed) };
        if !node.cordoned {
            let name = deed.text("node")?;
            return Err(Fail::new("open", format!("node {name} is not cordoned")));
        }
        if node.pods_stay && !force && node.pods > 0 {
            node.pods = 1;
            let why = "error when evicting pods/\"web-0\" -n \"shop\" (will retry after 5s): Cannot evict pod as it would \
                       violate the pod's disruption budget.";
            return Ok(vec![
                "drained=no".to_owned(),
                "left=1".to_owned(),
                format!("blocked={why}"),
            ]);
        }
        node.pods = 0;
        Ok(vec!["drained=yes".to_owned(), "left=0".to_owned()])
    }

    fn delete_node(&mut self, deed: &Deed) -> Said {
        let name = deed.text("node")?.to_owned();
        let site = self.open_site()?;
        Ok(changed(site.nodes.remove(&name).is_some()))
    }

    fn mint_token(&mut self, deed: &Deed) -> Said {
        let seconds = i64::try_from(deed.number("seconds")?).unwrap_or(i64::MAX);
        let (now, known) = (self.now, self.host.has_manifest());
        let site = self.open_site()?;
        if !known {
            let why = "error: failed to create token: serviceaccounts \"fleetwright\" not found";
            return Err(Fail::new("cluster", why));
        }
        let until = now.as_second().saturating_add(seconds);
        Ok(vec![format!("token={}", tokens::issue(&site.key, until))])
    }
}

fn absent(deed: &Deed) -> Said {
    Err(Fail::new("absent", format!("node {}", deed.text("node")?)))
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
