//! What a host tells of itself: the lines of the deed `read-facts`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::certificate;
use super::service::{CERTIFIED, Scene};
use super::state::{BINARY, Role, Store, Stuck, sha256};

/// Ports in hexadecimal: SSH; then those of servers, of etcd, and of every node.
const SSH: &str = "0016";
const SERVER: [&str; 2] = ["192B", "2809"];
const ETCD: [&str; 2] = ["094B", "094C"];
const NODE: [&str; 2] = ["280A", "2808"];
/// VXLAN of flannel.
const VXLAN: &str = "2118";

const CERTIFICATES: [(&str, &[&str]); 2] = [
    ("server", &["server/tls/serving-kube-apiserver.crt", "server/tls/client-admin.crt"]),
    ("agent", &["agent/serving-kubelet.crt", "agent/client-kubelet.crt"]),
];

const AUTHORITIES: [&str; 4] = [
    "server/tls/client-ca.crt",
    "server/tls/client-ca.nochain.crt",
    "server/tls/server-ca.crt",
    "server/tls/server-ca.nochain.crt",
];

/// The architecture of a host in the kernel's words.
fn machine(host: &str) -> &'static str {
    if host.split(['.', '-']).any(|word| word == "arm64") { "aarch64" } else { "x86_64" }
}

impl Scene {
    /// All lines, `key=value` each.
    pub(super) fn facts(&self) -> Vec<String> {
        let mut lines = self.machine();
        self.files(&mut lines);
        self.data(&mut lines);
        for role in Role::ALL {
            self.service(role, &mut lines);
        }
        lines
    }

    fn machine(&self) -> Vec<String> {
        let host = &self.host;
        let mut lines = vec![
            "uid=0".to_owned(),
            format!("machine={}", machine(host.key.as_str())),
            format!("hostname={}", host.hostname()),
            format!("epoch={}", self.now.as_second() + host.skew_s),
            format!("machine_id={}", host.machine_id()),
            format!("boot={}", host.boot_id()),
            "os=Debian GNU/Linux 12 (bookworm)".to_owned(),
            "memory_kib=4028000".to_owned(),
            "cpus=4".to_owned(),
            "init=systemd".to_owned(),
        ];
        for place in ["/usr/local/bin", "/var/lib", "/etc"] {
            lines.push(format!("space={} {place}", host.free_kib));
        }
        lines.push(format!("tcp={SSH}"));
        let runs = |role| host.runs.get(&role).is_some_and(|run| run.stuck.is_none());
        let etcd = self.site().is_some_and(|site| site.store == Store::Etcd);
        let ports = [(runs(Role::Server), SERVER), (runs(Role::Server) && etcd, ETCD)];
        let node = (runs(Role::Server) || runs(Role::Agent), NODE);
        for (_, ports) in ports.into_iter().chain([node]).filter(|(open, _)| *open) {
            lines.extend(ports.map(|port| format!("tcp={port}")));
        }
        if node.0 {
            lines.push(format!("udp={VXLAN}"));
        }
        for has in ["cgroup-memory", "overlay", "br_netfilter", "default-route"] {
            lines.push(format!("kernel_has={has}"));
        }
        for (key, usual) in [
            ("vm.panic_on_oom", "0"),
            ("vm.overcommit_memory", "0"),
            ("kernel.panic", "0"),
            ("kernel.panic_on_oops", "0"),
        ] {
            let value = host.sysctls.get(key).map_or(usual, String::as_str);
            lines.push(format!("sysctl={}={value}", key.replace('.', "/")));
        }
        lines
    }

    fn files(&self, lines: &mut Vec<String>) {
        let host = &self.host;
        if let Some(marker) = &host.marker {
            lines.extend(marker.lines().take(8).map(|line| format!("marker={line}")));
        }
        if let Some((digest, version)) = &host.binary {
            lines.push(format!("version={version}"));
            lines.push(format!("file={digest}  {BINARY}"));
        }
        for (word, part) in &host.parts {
            let folder = if word == "binary" {
                "/usr/local/bin"
            } else {
                "/var/lib/rancher/k3s/agent/images"
            };
            let (bytes, digest) = (part.content.len(), &part.digest);
            let end = if part.whole { "whole" } else { "part" };
            lines.push(format!("part={bytes} {folder}/.k3s-{digest}.{end}"));
        }
        lines.extend(host.images.iter().map(|(path, digest)| format!("file={digest}  {path}")));
        for (path, file) in &host.files {
            if is_foreign_drop_in(path) {
                let name = path.rsplit('/').next().unwrap_or_default();
                lines.push(format!("dropin={name}"));
                continue;
            }
            lines.push(format!("file={}  {path}", file.digest()));
            lines.push(format!("mode={} 0:0 {path}", file.mode));
            if path.starts_with("/etc/systemd/system/k3s") && path.ends_with(".service") {
                lines.push(format!("unit={}", path.rsplit('/').next().unwrap_or_default()));
            }
        }
        // The newest start noted what it read.
        if let Some(run) = host.runs.values().max_by_key(|run| run.since) {
            lines
                .extend(run.loaded.iter().map(|(path, digest)| format!("loaded={digest}  {path}")));
        }
        let config = host.config();
        for key in ["data-dir", "node-name"] {
            lines.extend(config.one(key).map(|value| format!("setting={key} {value}")));
        }
    }

    fn data(&self, lines: &mut Vec<String>) {
        let host = &self.host;
        let Some((_, role)) = &host.data else { return };
        if *role == Role::Server {
            match self.site().map(|site| &site.store) {
                Some(Store::Sqlite) => lines.push("data=sqlite".to_owned()),
                Some(Store::Etcd) => lines.push("data=etcd".to_owned()),
                Some(Store::External(_)) | None => {}
            }
            lines.push("data=server".to_owned());
        }
        lines.push("data=agent".to_owned());
        if let Some(token) = &host.token {
            lines.push(format!("server_token={}", sha256(format!("{token}\n").as_bytes())));
        }
        if let Some(made) = host.certified {
            let ends = made.checked_add(CERTIFIED).unwrap_or(made);
            let der = STANDARD.encode(certificate::der(made, ends));
            let of_role = |word: &str| word == "agent" || *role == Role::Server;
            for (_, files) in CERTIFICATES.iter().filter(|(word, _)| of_role(word)) {
                lines.extend(files.iter().map(|file| format!("cert={file} {der}")));
            }
            if *role == Role::Server {
                // Ten years, as K3s's own.
                let ends = made.checked_add(CERTIFIED * 10).unwrap_or(made);
                let der = STANDARD.encode(certificate::der(made, ends));
                lines.extend(AUTHORITIES.iter().map(|file| format!("cert={file} {der}")));
            }
        }
    }

    fn service(&self, role: Role, lines: &mut Vec<String>) {
        let (load, active, sub) = self.service_state(role);
        let there = self.host.files.contains_key(&role.unit_path());
        let enabled = match (there, self.host.enabled.contains(&role)) {
            (true, true) => "enabled",
            (true, false) => "disabled",
            (false, _) => "",
        };
        if role == Role::Agent {
            lines.push("service=".to_owned());
        }
        let unit = role.unit();
        let result = if sub == "auto-restart" { "exit-code" } else { "success" };
        for (key, value) in [
            ("Id", unit),
            ("LoadState", load),
            ("ActiveState", active),
            ("SubState", sub),
            ("UnitFileState", enabled),
            ("Result", result),
        ] {
            lines.push(format!("service={key}={value}"));
        }
    }

    /// As systemd says it: load state, active state, substate.
    pub(super) fn service_state(&self, role: Role) -> (&'static str, &'static str, &'static str) {
        let there = self.host.files.contains_key(&role.unit_path());
        let load = if there { "loaded" } else { "not-found" };
        let Some(run) = self.host.runs.get(&role) else { return (load, "inactive", "dead") };
        match &run.stuck {
            Some(Stuck::Crashes(_)) => (load, "activating", "auto-restart"),
            Some(Stuck::Waits(_)) => (load, "activating", "start"),
            None if self.is_ready(role) => (load, "active", "running"),
            None => (load, "activating", "start"),
        }
    }

    /// Whether K3s has told its service manager that it is ready.
    fn is_ready(&self, role: Role) -> bool {
        let up = self.node().is_none_or(|node| node.is_up(self.now));
        match role {
            Role::Agent => up,
            Role::Server => up && self.site().is_some_and(|site| site.answers(self.now)),
        }
    }
}

/// A drop-in of somebody else: those of ours begin so.
fn is_foreign_drop_in(path: &str) -> bool {
    path.strip_prefix("/etc/rancher/k3s/config.yaml.d/")
        .is_some_and(|name| !name.contains("-fleetwright-"))
}
