//! A way to one host: scripts as Fleetwright renders them, as far as the simulation reads them.

use std::time::Duration;

use bytes::Bytes;
use fleetwright_cloudsim::{HostCall, HostError, HostOutput};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::fixture::{World, pass};

pub(crate) const S1: &str = "s1.hosts.example";
pub(crate) const S2: &str = "s2.hosts.example";
pub(crate) const S3: &str = "s3.hosts.example";

pub(crate) struct Way<'a> {
    pub(crate) world: &'a World,
    pub(crate) host: &'a str,
    pub(crate) uid: &'static str,
    pub(crate) timeout: Duration,
}

pub(crate) fn sum(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the simulated releases hold.
pub(crate) fn binary(version: &str) -> String {
    format!("{:#<1023}\n", format!("simulated k3s {version} amd64\n"))
}

/// The values of `write-file` for a file of K3s's folder, or one with a path of its own.
pub(crate) fn file(name: &str, content: &str) -> Value {
    let path =
        if name.starts_with('/') { name.to_owned() } else { format!("/etc/rancher/k3s/{name}") };
    json!({"path": path, "digest": sum(content), "mode": "600"})
}

pub(crate) fn config(more: &str) -> String {
    format!("token-file: /etc/rancher/k3s/token\n{more}")
}

impl<'a> Way<'a> {
    pub(crate) fn to(world: &'a World, host: &'a str) -> Self {
        Self { world, host, uid: "7", timeout: Duration::from_secs(60) }
    }

    fn marker(&self) -> String {
        format!("fleetwright 1\nhub ab\nobject payments/edge\nuid {}", self.uid)
    }

    pub(crate) async fn run(
        &self,
        deed: &str,
        args: Value,
        payload: &str,
    ) -> Result<HostOutput, HostError> {
        let guard = if ["read-facts", "change-marker"].contains(&deed) {
            String::new()
        } else {
            format!("ours='{}'\n", self.marker())
        };
        let script = format!("# fleetwright deed: {deed} {args}\nset -eu\n{guard}say end ok\n");
        let (host, payload) = (self.host.to_owned(), Bytes::from(payload.to_owned()));
        let call = HostCall { host, port: 22, script, payload, timeout: self.timeout };
        self.world.sim.on_host(call).await
    }

    /// The lines of a script that ends well, or why it did not.
    pub(crate) async fn with(
        &self,
        deed: &str,
        args: Value,
        payload: &str,
    ) -> Result<Vec<String>, String> {
        let output = self.run(deed, args, payload).await.expect("the host answers");
        let text = String::from_utf8(output.stdout).expect("text");
        let lines = text.lines().filter_map(|line| line.strip_prefix("fw1 "));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        match lines.pop().expect("a last line") {
            last if last == "end=ok" && output.status == 0 => Ok(lines),
            last => Err(last.strip_prefix("error=").unwrap_or(&last).to_owned()),
        }
    }

    pub(crate) async fn say(&self, deed: &str, args: Value) -> Vec<String> {
        self.with(deed, args, "").await.expect("done")
    }

    pub(crate) async fn refused(&self, deed: &str, args: Value) -> String {
        self.with(deed, args, "").await.expect_err("refused")
    }

    pub(crate) async fn facts(&self) -> Vec<String> {
        self.say("read-facts", json!({})).await
    }

    pub(crate) async fn cluster(&self) -> Vec<String> {
        self.say("read-cluster", json!({})).await
    }

    pub(crate) async fn claim(&self) {
        let now = self.marker();
        let said = self.say("change-marker", json!({"was": null, "now": now})).await;
        assert_eq!(said[0], "begin=ok");
    }

    pub(crate) async fn write(&self, name: &str, content: &str) {
        self.with("write-file", file(name, content), content).await.expect("written");
    }

    pub(crate) async fn token(&self) -> String {
        let said = self.say("read-token", json!({})).await;
        said[1].strip_prefix("token=").expect("a token").to_owned()
    }

    /// Active state and substate of a service.
    pub(crate) async fn state(&self, unit: &str) -> String {
        let facts = self.facts().await;
        let from = facts.iter().position(|line| *line == format!("service=Id={unit}"));
        let block = &facts[from.expect("the service")..];
        let word = |key: &str| {
            let line = block.iter().find_map(|line| line.strip_prefix(&format!("service={key}=")));
            line.expect("said").to_owned()
        };
        format!("{}/{}", word("ActiveState"), word("SubState"))
    }

    async fn bring(&self, version: &str) {
        let binary = binary(version);
        let of = json!({"artifact": "binary", "digest": sum(&binary), "offset": 0, "length": binary.len(), "whole": binary.len()});
        self.with("put-part", of.clone(), &binary).await.expect("sent");
        self.say("place", of).await;
    }

    /// Another binary, and a restart.
    pub(crate) async fn upgrade(&self, version: &str) {
        self.bring(version).await;
        self.say("service", json!({"role": "server", "action": "restart"})).await;
    }

    /// From a bare machine to a service that was asked to start.
    pub(crate) async fn install(&self, role: &str, version: &str, config: &str) {
        self.claim().await;
        self.bring(version).await;
        self.write("config.yaml", config).await;
        let unit = if role == "server" { "k3s" } else { "k3s-agent" };
        let text = "ExecStartPre=-/bin/sh -c 'sha256sum /usr/local/bin/k3s /etc/rancher/k3s/config.yaml >/run/x'\n";
        self.write(&format!("/etc/systemd/system/{unit}.service"), text).await;
        for action in ["enable", "start"] {
            self.say("service", json!({"role": role, "action": action})).await;
        }
    }
}

/// A cluster `edge` of three servers, all up.
pub(crate) async fn three_servers(world: &World) {
    let one = Way::to(world, S1);
    one.install("server", "v1.34.2+k3s1", "cluster-init: true\n").await;
    pass(25).await;
    let token = one.token().await;
    for host in [S2, S3] {
        let way = Way::to(world, host);
        way.claim().await;
        way.write("token", &format!("{token}\n")).await;
        way.install("server", "v1.34.2+k3s1", &config(&format!("server: https://{S1}:6443\n")))
            .await;
        pass(25).await;
        way.facts().await;
    }
}
