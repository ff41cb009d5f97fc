//! Settings of K3s: what users may add of their own, and how settings become a file.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::K3sSpec;
use serde_json::Value;

use super::check::Check;

/// Keys that we set, or that would take a host out of our hands.
const OURS: [&str; 41] = [
    "advertise-port",
    "agent-token",
    "agent-token-file",
    "bind-address",
    "cluster-init",
    "cluster-reset",
    "cluster-reset-restore-path",
    "config",
    "data-dir",
    "datastore-cafile",
    "datastore-certfile",
    "datastore-endpoint",
    "datastore-keyfile",
    "disable",
    "disable-agent",
    "disable-apiserver",
    "disable-controller-manager",
    "disable-etcd",
    "disable-scheduler",
    "etcd-s3",
    "etcd-s3-config-secret",
    "etcd-snapshot-dir",
    "etcd-snapshot-retention",
    "etcd-snapshot-schedule-cron",
    "https-listen-port",
    "node-ip",
    "node-label",
    "node-name",
    "node-taint",
    "private-registry",
    "rootless",
    "secrets-encryption",
    "server",
    "supervisor-port",
    "tls-san",
    "token",
    "token-file",
    "with-node-id",
    "write-kubeconfig",
    "write-kubeconfig-group",
    "write-kubeconfig-mode",
];
/// Keys whose values are added to ours.
pub(super) const ADDED: [&str; 3] =
    ["kube-apiserver-arg", "kube-controller-manager-arg", "kubelet-arg"];
/// Keys that agents know (K3s's reference, `k3s agent`); others are those of servers.
const OF_AGENTS: [&str; 30] = [
    "airgap-extra-registry",
    "alsologtostderr",
    "container-runtime-endpoint",
    "debug",
    "default-runtime",
    "disable-apiserver-lb",
    "disable-default-registry-endpoint",
    "docker",
    "enable-pprof",
    "flannel-cni-conf",
    "flannel-conf",
    "flannel-iface",
    "image-credential-provider-bin-dir",
    "image-credential-provider-config",
    "image-service-endpoint",
    "kube-proxy-arg",
    "kubelet-arg",
    "lb-server-port",
    "log",
    "node-external-dns",
    "node-external-ip",
    "node-internal-dns",
    "nonroot-devices",
    "pause-image",
    "prefer-bundled-bin",
    "protect-kernel-defaults",
    "resolv-conf",
    "selinux",
    "snapshotter",
    "v",
];

/// One value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    /// Given once.
    One(String),
    /// Given any number of times.
    Many(Vec<String>),
}

/// What users add: key and value.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(pub(super) BTreeMap<String, Setting>);

impl Settings {
    /// Takes over what users may say, and tells the rest.
    pub(super) fn read(check: &mut Check, k3s: &K3sSpec) -> Self {
        let mut read = BTreeMap::new();
        let hard = k3s.hardening.as_ref().is_some_and(|hardening| hardening.profile.is_some());
        for (key, text) in &k3s.config {
            let field = format!("spec.k3s.config[{key}]");
            let plain = !key.is_empty()
                && !key.starts_with('-')
                && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            check.that(plain, &field, || {
                "is no key of K3s's configuration; write it like node-external-ip, without dashes \
                 in front"
                    .to_owned()
            });
            let owned = OURS.contains(&key.as_str())
                || key.starts_with("etcd-s3-")
                || (hard && key == "protect-kernel-defaults");
            check.that(!owned, &field, || {
                "is ours to set: other fields of the declaration decide it".to_owned()
            });
            let lines: Vec<String> = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(Into::into)
                .collect();
            check.that(!lines.is_empty(), &field, || "has no value".to_owned());
            let many = lines.len() > 1 || ADDED.contains(&key.as_str());
            let setting = match (many, lines.first()) {
                (false, Some(only)) => Setting::One(only.clone()),
                _ => Setting::Many(lines),
            };
            read.insert(key.clone(), setting);
        }
        Self(read)
    }

    /// Those of servers, which are nodes too.
    pub(super) fn of_servers(&self) -> BTreeMap<String, Setting> {
        self.0.clone()
    }

    /// Those that agents know.
    pub(super) fn of_agents(&self) -> BTreeMap<String, Setting> {
        let known: BTreeSet<&str> = OF_AGENTS.into_iter().collect();
        let kept = self.0.iter().filter(|(key, _)| known.contains(key.as_str()));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// A file of K3s's settings in a fixed order. Every value is a quoted text: YAML reads JSON's texts, and K3s takes texts for
/// numbers and switches alike.
pub(super) fn text(settings: &BTreeMap<String, Setting>) -> String {
    let mut out = String::from("# Written by Fleetwright; a change by hand is undone.\n");
    let quoted = |text: &str| Value::String(text.to_owned()).to_string();
    for (key, setting) in settings {
        match setting {
            Setting::One(value) => out.push_str(&format!("{key}: {}\n", quoted(value))),
            Setting::Many(values) if values.is_empty() => {}
            Setting::Many(values) => {
                out.push_str(&format!("{key}:\n"));
                for value in values {
                    out.push_str(&format!("- {}\n", quoted(value)));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_sorted_and_quoted() {
        let settings = BTreeMap::from([
            ("tls-san".to_owned(), Setting::Many(vec!["10.0.0.5".into(), "a\"b".into()])),
            ("debug".to_owned(), Setting::One("true".into())),
            ("disable".to_owned(), Setting::Many(Vec::new())),
        ]);
        assert_eq!(
            text(&settings),
            "# Written by Fleetwright; a change by hand is undone.\n\
             debug: \"true\"\n\
             tls-san:\n- \"10.0.0.5\"\n- \"a\\\"b\"\n"
        );
    }
}
