//! What strangers and nature do to hosts, behind everybody's back.

use std::time::Duration;

use serde_json::Value;

use super::HostKey;
use super::service::{CERTIFIED, Scene};
use super::state::{File, Role, later};
use crate::Shared;
use crate::drift::DriftError;
use crate::faults::Fault;

impl Shared {
    /// Changes a host at once. The paths are those of `CloudSim::drift`.
    pub(crate) async fn drift_host(
        &self,
        name: &str,
        path: &str,
        value: Value,
    ) -> Result<(), DriftError> {
        let key = match name.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
            Some((host, Ok(port))) => HostKey::new(host, port),
            _ => HostKey::new(name, 22),
        };
        let faults: [Fault; 0] = [];
        let before = self.scene(&key, &faults).await.map_err(DriftError::Settle)?;
        let mut scene = before.clone();
        scene.settle();
        scene.drift(path, &value).map_err(|reason| DriftError::Refused {
            name: name.to_owned(),
            path: path.to_owned(),
            reason,
        })?;
        self.keep(&before, &scene).await.map_err(DriftError::Settle)?;
        if scene.host.key != key {
            self.ledger.forget(&key).await.map_err(DriftError::Settle)?;
        }
        Ok(())
    }
}

impl Scene {
    fn drift(&mut self, path: &str, value: &Value) -> Result<(), String> {
        if let Some(file) = path.strip_prefix("files.") {
            return self.drift_file(file, value);
        }
        let number = || value.as_u64().ok_or_else(|| "the value must be a number".to_owned());
        let now = self.now;
        match path {
            "marker" => self.host.marker = maybe_text(value)?,
            "service" => self.drift_service(value.as_str().unwrap_or_default())?,
            "reboot" => self.power_cycle(Some(later(now, Duration::from_secs(number()?)))),
            "away" if value == true => self.power_cycle(None),
            "away" => {
                if self.host.away {
                    self.power_cycle(Some(now));
                }
            }
            "clock" => {
                self.host.skew_s = value.as_i64().ok_or("the value must be a number of seconds")?;
            }
            "disk" => self.host.free_kib = number()?,
            "line" => self.host.line = value.as_u64(),
            "pods" => {
                let stay = value == "stay";
                self.node_mut().ok_or("it is no node of a cluster")?.pods_stay = stay;
            }
            "certificates" => {
                let left = i64::try_from(number()?).unwrap_or(i64::MAX);
                let ends = later(now, Duration::from_secs(left.unsigned_abs()));
                self.host.certified = ends.checked_sub(CERTIFIED).ok();
            }
            // K3s's own script knows nothing of our marker.
            "uninstall" => {
                let marker = self.host.marker.clone();
                self.uninstall();
                self.host.marker = marker;
            }
            "address" => self.readdress(value.as_str().ok_or("the value must be an address")?),
            _ => {
                return Err("what can: files.<path>, marker, service, reboot, away, clock, disk, line, pods, certificates, \
                            uninstall, address"
                    .to_owned());
            }
        }
        Ok(())
    }

    fn drift_file(&mut self, file: &str, value: &Value) -> Result<(), String> {
        match maybe_text(value)? {
            None => {
                self.host.files.remove(file);
            }
            Some(content) => {
                let mode = self.host.files.get(file).map_or("644", |file| file.mode.as_str());
                let mode = mode.to_owned();
                self.host.files.insert(file.to_owned(), File { content, mode });
            }
        }
        Ok(())
    }

    fn drift_service(&mut self, word: &str) -> Result<(), String> {
        let roles =
            Role::ALL.into_iter().filter(|role| self.host.files.contains_key(&role.unit_path()));
        let roles: Vec<Role> = roles.collect();
        for role in roles {
            match word {
                "stopped" => self.end(role, self.now),
                "started" => self.begin(role, self.now),
                "disabled" => {
                    self.host.enabled.remove(&role);
                }
                _ => return Err("the value must be stopped, started or disabled".to_owned()),
            }
        }
        Ok(())
    }

    /// The host gets another address; everything on it stays.
    fn readdress(&mut self, address: &str) {
        let (old, new) = (self.host.key.clone(), HostKey::new(address, 22));
        for site in self.sites.values_mut() {
            if site.holders.remove(&old) {
                site.holders.insert(new.clone());
            }
            for node in site.nodes.values_mut().filter(|node| node.host == old) {
                node.host = new.clone();
            }
        }
        self.host.key = new;
    }
}

fn maybe_text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err("the value must be a text or null".to_owned()),
    }
}
