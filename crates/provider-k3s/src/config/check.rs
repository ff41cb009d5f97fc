//! Problems collected while a declaration is read.

use std::net::IpAddr;

use fleetwright_api_types::{
    IntOrString, K3sBackup, K3sDatastoreType, K3sSourceType, K3sSpec, ManagedClusterSpec,
};
use fleetwright_plan::{KubernetesVersion, Problem};
use fleetwright_provider::Asked;

use crate::hosts::K3sVersion;
use crate::ssh::Hop;

/// Packaged components of K3s that may be left out (K3s's reference, `--disable`).
const COMPONENTS: [&str; 6] =
    ["coredns", "local-storage", "metrics-server", "runtimes", "servicelb", "traefik"];

/// Collects problems.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) problems: Vec<Problem>,
}

impl Check {
    pub(super) fn that(&mut self, holds: bool, field: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(Problem::new(field, message()));
        }
    }

    pub(super) fn account(&mut self, asked: &Asked<'_>) {
        let name = &asked.cluster.spec.provider_config_ref.name;
        self.that(asked.account.spec.ssh.is_some(), "spec.providerConfigRef", || {
            format!("ProviderConfig {name} has no ssh block, which a K3s cluster needs")
        });
    }

    /// A release in full.
    pub(super) fn version(&mut self, field: &str, text: &str) -> Option<KubernetesVersion> {
        let known = K3sVersion::parse(text);
        self.that(known.is_ok(), field, || {
            format!("{text:?} is no release of K3s; write it in full, like v1.34.2+k3s1")
        });
        known.ok().and_then(|_| KubernetesVersion::parse(field, text).ok())
    }

    /// Each release once a minor, and none beyond the declared one.
    pub(super) fn upgrade_path(&mut self, k3s: &K3sSpec) {
        let mut minors = Vec::new();
        for text in &k3s.upgrade_path {
            let field = format!("spec.k3s.upgradePath[{text}]");
            if let Some(version) = self.version(&field, text) {
                let new = !minors.contains(&version);
                self.that(new, &field, || format!("is the second release of {version}; give one"));
                minors.push(version);
            }
        }
    }

    /// Everything but hosts and the way to them.
    pub(super) fn cluster(&mut self, spec: &ManagedClusterSpec, k3s: &K3sSpec) {
        self.that(spec.node_pools.is_empty(), "spec.nodePools", || {
            "are for clouds; a K3s cluster has spec.k3s.servers and spec.k3s.agents".to_owned()
        });
        self.that(spec.tags.is_empty(), "spec.tags", || {
            "cannot be kept: hosts bear no tags; leave them out".to_owned()
        });
        if let Some(endpoint) = &k3s.endpoint {
            let is_host = Hop::new(&endpoint.host, "root").is_ok();
            self.that(is_host, "spec.k3s.endpoint.host", || not_a_host(&endpoint.host));
        }
        for component in &k3s.disable {
            let known = COMPONENTS.contains(&component.as_str());
            self.that(known, "spec.k3s.disable", || {
                format!("{component:?} is no component of K3s; there are {}", COMPONENTS.join(", "))
            });
        }
        self.datastore(k3s);
        self.backup(k3s);
        let source = k3s.source.as_ref();
        let airgap = source.is_some_and(|source| source.type_ == K3sSourceType::Airgap);
        let mirror = source.and_then(|source| source.mirror_url.as_ref());
        self.that(!airgap || mirror.is_some(), "spec.k3s.source.mirrorUrl", || {
            "is needed with type Airgap".to_owned()
        });
        let most = k3s.update.as_ref().and_then(|update| update.max_unavailable.as_ref());
        let fits = most.is_none_or(is_amount);
        self.that(fits, "spec.k3s.update.maxUnavailable", || {
            "is neither a number of agents above 0 nor a share such as 25%".to_owned()
        });
    }

    fn datastore(&mut self, k3s: &K3sSpec) {
        let count = k3s.servers.len();
        let store = k3s.datastore.as_ref().map(|store| store.type_);
        let odd = count % 2 == 1 || store == Some(K3sDatastoreType::External);
        self.that(odd, "spec.k3s.servers", || {
            format!(
                "{count} servers: embedded etcd needs an odd number, since an even one survives no more than one less"
            )
        });
        self.that(count == 1 || k3s.endpoint.is_some(), "spec.k3s.endpoint", || {
            "is needed above one server: a VIP, a load balancer or a DNS name that leads to all"
                .to_owned()
        });
        self.that(
            store != Some(K3sDatastoreType::Sqlite) || count == 1,
            "spec.k3s.datastore.type",
            || "Sqlite is for one server; use EmbeddedEtcd".to_owned(),
        );
        let named = k3s.datastore.as_ref().is_some_and(|store| store.secret_ref.is_some());
        let external = store == Some(K3sDatastoreType::External);
        self.that(named == external, "spec.k3s.datastore.secretRef", || {
            "goes with type External, and only with it".to_owned()
        });
    }

    fn backup(&mut self, k3s: &K3sSpec) {
        let Some(K3sBackup { schedule, .. }) = &k3s.backup else { return };
        let embedded =
            k3s.datastore.as_ref().is_none_or(|d| d.type_ == K3sDatastoreType::EmbeddedEtcd);
        self.that(embedded, "spec.k3s.backup", || {
            "is for embedded etcd; an external database and SQLite are saved by other means"
                .to_owned()
        });
        if let Some(schedule) = schedule {
            self.that(is_cron(schedule), "spec.k3s.backup.schedule", || {
                format!(
                    "{schedule:?} is not a schedule; give five fields of cron, like 0 */6 * * *"
                )
            });
        }
    }
}

pub(super) fn not_a_host(text: &str) -> String {
    format!("{text:?} is no host: give a DNS name or an address, without user, port or brackets")
}

pub(super) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_amount(amount: &IntOrString) -> bool {
    let text = amount.to_string();
    let (digits, most) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100),
        None => (text.as_str(), 1000),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain && digits.parse::<u32>().is_ok_and(|number| (1..=most).contains(&number))
}

/// Minute, hour, day, month, weekday: numbers, names of months and weekdays, `*`, `/`, `-` and `,`.
fn is_cron(text: &str) -> bool {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let limits = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    fields.len() == limits.len()
        && fields.iter().zip(limits).all(|(field, limit)| in_cron(field, limit))
}

fn in_cron(field: &str, (least, most): (u32, u32)) -> bool {
    let names =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let value = |text: &str| {
        let low = text.to_ascii_lowercase();
        let named = (most == 12 && names.contains(&low.as_str()))
            || (most == 7 && days.contains(&low.as_str()));
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        named || (plain && text.parse::<u32>().is_ok_and(|n| (least..=most).contains(&n)))
    };
    let ranged = |text: &str| match text.split_once('-') {
        Some((from, until)) => value(from) && value(until),
        None => text == "*" || value(text),
    };
    let step = |text: &str| text.parse::<u32>().is_ok_and(|n| n > 0 && n <= most.max(1));
    field.split(',').all(|part| match part.split_once('/') {
        Some((range, every)) => ranged(range) && step(every),
        None => ranged(part),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_has_five_fields_within_their_bounds() {
        for good in ["0 */12 * * *", "*/5 1-3 1,15 jan-mar mon", "59 23 31 12 7"] {
            assert!(is_cron(good), "{good}");
        }
        for bad in
            ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "a * * * *", "*/0 * * * *"]
        {
            assert!(!is_cron(bad), "{bad}");
        }
    }

    #[test]
    fn an_amount_is_a_number_or_a_share_above_none() {
        let of = |text: &str| is_amount(&IntOrString::String(text.into()));
        assert!(of("1") && of("25%") && of("100%") && is_amount(&IntOrString::Int(3)));
        assert!(
            !of("0") && !of("0%") && !of("101%") && !of("x") && !is_amount(&IntOrString::Int(-1))
        );
    }
}
