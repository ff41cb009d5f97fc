//! K3s coming up and going down on hosts: founding, joining, and why it does not come up. Pure: all on the records at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::config::Config;
use super::state::{
    BINARY, Host, LEARNS, Node, Role, Run, Site, SiteKey, Store, Stuck, later, minor, sha256,
};
use crate::state::digest_hex;

/// Certificates of K3s last a year, and a start within so many days of their end renews them.
pub(super) const CERTIFIED: SignedDuration = SignedDuration::from_hours(365 * 24);
const RENEWED: SignedDuration = SignedDuration::from_hours(120 * 24);
/// Kernel settings without which `protect-kernel-defaults` ends the kubelet.
const PROTECTED: [(&str, &str); 4] = [
    ("vm.panic_on_oom", "0"),
    ("vm.overcommit_memory", "1"),
    ("kernel.panic", "10"),
    ("kernel.panic_on_oops", "1"),
];

/// One host at one moment, and all clusters that there are.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) now: Timestamp,
    pub(super) host: Host,
    pub(super) sites: BTreeMap<SiteKey, Site>,
    /// The certificate authority of all clusters.
    pub(super) ca: String,
    /// K3s ends soon after each start here, since somebody asked for it.
    pub(super) crashing: bool,
    /// How long a start takes.
    pub(super) start: Duration,
}

impl Scene {
    /// The token of a cluster in full.
    pub(super) fn full_token(&self, site: &Site) -> String {
        format!("K10{}::server:{}", sha256(self.ca.as_bytes()), site.password)
    }

    /// The cluster whose data lies on this host.
    pub(super) fn site(&self) -> Option<&Site> {
        self.host.data.as_ref().and_then(|(key, _)| self.sites.get(key))
    }

    pub(super) fn site_mut(&mut self) -> Option<&mut Site> {
        self.host.data.as_ref().and_then(|(key, _)| self.sites.get_mut(key))
    }

    /// This host's own node.
    pub(super) fn node_mut(&mut self) -> Option<&mut Node> {
        let key = self.host.key.clone();
        self.site_mut()?.nodes.values_mut().find(|node| node.host == key)
    }

    pub(super) fn node(&self) -> Option<&Node> {
        self.site()?.nodes.values().find(|node| node.host == self.host.key)
    }

    /// Makes everything that is due on this host. What is stuck is tried again.
    pub(super) fn settle(&mut self) {
        if self.host.back_at.is_some_and(|at| at <= self.now) {
            self.host.back_at = None;
        }
        if self.host.away || self.host.back_at.is_some() {
            return;
        }
        for role in Role::ALL {
            let Some(run) = self.host.runs.get(&role) else { continue };
            let crashed = matches!(run.stuck, Some(Stuck::Crashes(_)));
            if self.crashing && !crashed {
                let now = self.now;
                if let Some(node) = self.node_mut() {
                    node.goes_down(now);
                }
                self.stuck(role, Stuck::Crashes("panic: simulated".to_owned()));
            } else if run.stuck.is_some() && !self.crashing {
                self.begin(role, self.now);
            } else if role == Role::Server && run.stuck.is_none() && self.node().is_none() {
                self.stuck(role, removed());
            }
        }
    }

    fn stuck(&mut self, role: Role, why: Stuck) {
        if let Some(run) = self.host.runs.get_mut(&role) {
            run.stuck = Some(why);
        }
    }

    /// The service manager starts K3s at a moment that may be still to come.
    pub(super) fn begin(&mut self, role: Role, at: Timestamp) {
        self.end(role, at);
        let unit = self.host.files.get(&role.unit_path()).map(|file| file.content.clone());
        let loaded = self.loaded(&unit.unwrap_or_default());
        let version = self.host.binary.as_ref().map(|(_, version)| version.clone());
        let version = version.unwrap_or_default();
        self.host.runs.insert(role, Run { since: at, version, loaded, stuck: None });
        if let Err(why) = self.come_up(role, at) {
            self.stuck(role, why);
        }
    }

    /// The digests that a unit of ours notes before each start.
    fn loaded(&self, unit: &str) -> BTreeMap<String, String> {
        let Some((_, rest)) = unit.split_once("sha256sum ") else { return BTreeMap::new() };
        let paths = rest.split_ascii_whitespace().take_while(|word| !word.starts_with('>'));
        let digest = |path: &str| match path {
            BINARY => self.host.binary.as_ref().map(|(digest, _)| digest.clone()),
            path => self.host.files.get(path).map(super::state::File::digest),
        };
        paths.filter_map(|path| Some((path.to_owned(), digest(path)?))).collect()
    }

    /// K3s ends, by whomever.
    pub(super) fn end(&mut self, role: Role, at: Timestamp) {
        if self.host.runs.remove(&role).is_some()
            && let Some(node) = self.node_mut()
        {
            node.goes_down(at);
        }
    }

    /// The host loses its power and gets it again, or not yet.
    pub(super) fn power_cycle(&mut self, back_at: Option<Timestamp>) {
        let running: Vec<Role> = self.host.runs.keys().copied().collect();
        for role in running {
            self.end(role, self.now);
        }
        self.host.away = back_at.is_none();
        let Some(at) = back_at else { return };
        self.host.boots += 1;
        self.host.back_at = (at > self.now).then_some(at);
        if self.host.files.contains_key("/etc/sysctl.d/90-kubelet.conf") {
            self.apply_sysctls();
        }
        for role in self.host.enabled.clone() {
            if self.host.files.contains_key(&role.unit_path()) {
                self.begin(role, at);
            }
        }
    }

    pub(super) fn apply_sysctls(&mut self) {
        let Some(file) = self.host.files.get("/etc/sysctl.d/90-kubelet.conf") else { return };
        let pairs = file.content.lines().filter_map(|line| line.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        self.host.sysctls = pairs.collect();
    }

    fn come_up(&mut self, role: Role, at: Timestamp) -> Result<(), Stuck> {
        let config = self.host.config();
        self.can_run(&config)?;
        if let Some((_, was)) = &self.host.data
            && *was != role
        {
            return crashes("the data on this host is that of another role");
        }
        let name = self.host.node_name();
        let up_at = later(at, self.takes(at));
        match (role, self.host.data.is_some()) {
            (Role::Server, true) => self.resume(&config, up_at),
            (Role::Server, false) => match config.one("server") {
                Some(url) => self.join(&config, &url, (Role::Server, &name, up_at)),
                None => self.found(&config, &name, (at, up_at)),
            },
            (Role::Agent, _) => match config.one("server") {
                Some(url) => self.join(&config, &url, (Role::Agent, &name, up_at)),
                None => crashes("--server is required"),
            },
        }?;
        let renewed = later_by(at, RENEWED);
        if self.host.certified.is_none_or(|made| later_by(made, CERTIFIED) < renewed) {
            self.host.certified = Some(at);
        }
        Ok(())
    }

    fn can_run(&self, config: &Config) -> Result<(), Stuck> {
        if self.host.binary.is_none() {
            return crashes("/usr/local/bin/k3s: No such file or directory");
        }
        if self.crashing {
            return crashes("panic: simulated");
        }
        if self.host.free_kib == 0 {
            return crashes("no space left on device");
        }
        if config.is_on("protect-kernel-defaults")
            && PROTECTED
                .iter()
                .any(|(key, value)| self.host.sysctls.get(*key).is_none_or(|is| is != value))
        {
            return crashes("failed to run Kubelet: invalid kernel flag");
        }
        Ok(())
    }

    /// How long a start takes, always the same for the same host and moment.
    fn takes(&self, at: Timestamp) -> Duration {
        let text = format!("{} {at}", self.host.key.as_str());
        let roll = u32::from_str_radix(&digest_hex(&text, 6), 16).unwrap_or_default();
        self.start * (300 + roll % 1_500) / 1_000
    }

    /// The password in the token that the configuration names.
    fn password(&self, config: &Config) -> Option<String> {
        let text = match config.one("token-file") {
            Some(path) => self.host.files.get(&path)?.content.clone(),
            None => config.one("token")?,
        };
        let text = text.lines().next().unwrap_or_default().trim();
        Some(text.rsplit_once("::server:").map_or(text, |(_, password)| password).to_owned())
    }

    fn version(&self) -> String {
        self.host.binary.as_ref().map(|(_, version)| version.clone()).unwrap_or_default()
    }

    fn resume(&mut self, config: &Config, up_at: Timestamp) -> Result<(), Stuck> {
        let (password, version) = (self.password(config), self.version());
        let Some(site) = self.site() else { return Err(removed()) };
        if password.is_some_and(|password| password != site.password) {
            return crashes("bootstrap data already found and encrypted with different token");
        }
        let (lowest, highest, mine) = (site.lowest_minor(self.now), site.minor(), minor(&version));
        if mine < highest {
            return crashes("the data was written by a newer minor version");
        }
        if lowest > 0 && mine > lowest + 1 {
            return crashes("a minor version was skipped");
        }
        let token = self.full_token(site);
        let (labels, taints, names, address) = self.wear(config);
        let Some(node) = self.node_mut() else { return Err(removed()) };
        node.up_at = Some(up_at);
        node.version = version;
        (node.labels, node.taints, node.names, node.address) = (labels, taints, names, address);
        self.host.token = Some(token);
        Ok(())
    }

    fn found(
        &mut self,
        config: &Config,
        name: &str,
        (at, up_at): (Timestamp, Timestamp),
    ) -> Result<(), Stuck> {
        let external = config.one("datastore-endpoint").map(|place| sha256(place.as_bytes()));
        if let Some(place) = &external {
            let known =
                self.sites.values().find(|site| site.store == Store::External(place.clone()));
            if let Some(key) = known.map(|site| site.key.clone()) {
                return self.join_site(config, &key, (Role::Server, name, up_at));
            }
        }
        let store = match external {
            Some(place) => Store::External(place),
            None if config.is_on("cluster-init") => Store::Etcd,
            None => Store::Sqlite,
        };
        let seed = format!("{} {at} {}", self.host.key.as_str(), self.host.boots);
        let password =
            self.password(config).unwrap_or_else(|| digest_hex(&format!("password {seed}"), 32));
        let key = SiteKey(format!("k3s-{}", digest_hex(&seed, 12)));
        let site = Site {
            key: key.clone(),
            founded_by: self.host.key.clone(),
            founded_at: at,
            founded_for: self.host.marker.clone(),
            password,
            store,
            encrypted: config.is_on("secrets-encryption"),
            nodes: BTreeMap::new(),
            holders: BTreeSet::new(),
            made: false,
            told: String::new(),
        };
        self.sites.insert(key.clone(), site);
        self.enter(config, &key, (Role::Server, name, up_at));
        Ok(())
    }

    fn join(
        &mut self,
        config: &Config,
        url: &str,
        who: (Role, &str, Timestamp),
    ) -> Result<(), Stuck> {
        let place = host_of(url);
        let there = self
            .sites
            .values()
            .filter(|site| site.answers(self.now) && site.is_at(place, self.now));
        let there: Vec<&Site> = there.collect();
        if there.is_empty() {
            return Err(Stuck::Waits(format!("{url} does not answer")));
        }
        let Some(password) = self.password(config) else { return crashes("--token is required") };
        let Some(site) = there.into_iter().find(|site| site.password == password) else {
            return crashes("failed to validate token: not authorized");
        };
        let key = site.key.clone();
        self.join_site(config, &key, who)
    }

    fn join_site(
        &mut self,
        config: &Config,
        key: &SiteKey,
        (role, name, up_at): (Role, &str, Timestamp),
    ) -> Result<(), Stuck> {
        let Some(site) = self.sites.get(key) else { return Err(removed()) };
        let known = site.nodes.get(name);
        // The password that a node joins with lies in its data: a name without it is that of somebody else.
        let again = self.host.data.is_some();
        if known.is_some_and(|node| node.host != self.host.key || !again) {
            return crashes(
                "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password'",
            );
        }
        if role == Role::Server {
            let mine = minor(&self.version());
            let (lowest, highest) = (site.lowest_minor(self.now), site.minor());
            if lowest > 0 && (mine < lowest || mine > highest.max(lowest) + 1) {
                return crashes("the version does not go together with that of the other servers");
            }
            if site.store == Store::Sqlite {
                return crashes("the cluster keeps its data in SQLite, which takes one server");
            }
            let learns =
                site.servers().any(|node| node.voter_from.is_some() && !node.votes(self.now));
            if learns {
                return Err(Stuck::Waits(
                    "etcdserver: too many learner members in cluster".to_owned(),
                ));
            }
        }
        self.enter(config, key, (role, name, up_at));
        Ok(())
    }

    /// Becomes a node of a cluster, for the first time or again.
    fn enter(
        &mut self,
        config: &Config,
        key: &SiteKey,
        (role, name, up_at): (Role, &str, Timestamp),
    ) {
        let (labels, taints, names, address) = self.wear(config);
        let (version, host) = (self.version(), self.host.key.clone());
        let Some(site) = self.sites.get_mut(key) else { return };
        let first = site.nodes.is_empty();
        let votes = role == Role::Server && site.store == Store::Etcd;
        let voter_from =
            votes.then(|| if first { up_at } else { later(up_at, self.start / LEARNS) });
        let uid = digest_hex(&format!("{} {name} {up_at}", key.0), 32);
        let node = site.nodes.entry(name.to_owned()).or_insert_with(|| Node {
            uid,
            host: host.clone(),
            role,
            voter_from,
            up_at: None,
            last_up: None,
            version: version.clone(),
            before: version.clone(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            cordoned: false,
            in_turn: None,
            pods: 2,
            pods_stay: false,
            address: String::new(),
            names: BTreeSet::new(),
        });
        node.up_at = Some(up_at);
        node.version = version;
        (node.labels, node.taints, node.names, node.address) = (labels, taints, names, address);
        if role == Role::Server {
            site.holders.insert(host);
            let token = format!("K10{}::server:{}", sha256(self.ca.as_bytes()), site.password);
            self.host.token = Some(token);
        }
        self.host.data = Some((key.clone(), role));
    }

    /// Labels, taints, names and address of this host's node, as its configuration says.
    fn wear(
        &self,
        config: &Config,
    ) -> (BTreeMap<String, String>, Vec<String>, BTreeSet<String>, String) {
        let labels = config.all("node-label").iter().filter_map(|label| label.split_once('='));
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let own = self.host.key.address().to_owned();
        let address = config.one("node-ip").unwrap_or_else(|| own_address(&own));
        let names = config.all("tls-san").iter().cloned();
        let names = names.chain([own, address.clone(), self.host.hostname()]);
        let names = names.map(|name| name.to_ascii_lowercase()).collect();
        (labels, config.all("node-taint").to_vec(), names, address)
    }
}

/// The address that a host finds for itself; a made-up one where it is known by a name.
fn own_address(host: &str) -> String {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host.to_owned();
    }
    let digits = digest_hex(host, 6);
    let part = |at: usize| {
        digits.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or_default()
    };
    format!("10.{}.{}.{}", part(0), part(2), part(4))
}

/// `vip.example` of `https://vip.example:6443`.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    if let Some(inner) = authority.strip_prefix('[') {
        return inner.split(']').next().unwrap_or(inner);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn later_by(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn crashes<T>(why: &str) -> Result<T, Stuck> {
    Err(Stuck::Crashes(why.to_owned()))
}

fn removed() -> Stuck {
    let why =
        "this server has been removed from the cluster: its data must go before it can join again";
    Stuck::Crashes(why.to_owned())
}
