//! Whether K3s can run on a host at all. Pure; all problems at once.

use super::facts::{HostFacts, Service, ServiceState};
use super::op::Role;
use super::plan::Reason;

/// What a host must offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Memory, in KiB.
    pub memory_kib: u64,
    /// Free space under `/var/lib` before the first start, in KiB.
    pub data_kib: u64,
    /// How far the host's clock may be off, in seconds. Certificates and etcd suffer from more.
    pub clock_skew_s: u64,
    /// TCP ports that nobody may hold before the first start.
    pub tcp: Vec<u16>,
    /// UDP ports that nobody may hold before the first start.
    pub udp: Vec<u16>,
}

impl Needs {
    /// What K3s's documentation asks for: 2 GiB of memory for a server, 512 MiB for an agent; API server, kubelet and VXLAN,
    /// and embedded etcd's two ports.
    #[must_use]
    pub fn of(role: Role, embedded_etcd: bool) -> Self {
        let tcp = match role {
            Role::Agent => vec![10250],
            Role::Server if embedded_etcd => vec![2379, 2380, 6443, 10250],
            Role::Server => vec![6443, 10250],
        };
        let memory_kib = match role {
            // A machine of "2 GiB" shows less, since the kernel keeps some.
            Role::Server => 1_750_000,
            Role::Agent => 440_000,
        };
        Self { memory_kib, data_kib: 2 * 1024 * 1024, clock_skew_s: 60, tcp, udp: vec![8472] }
    }
}

/// Everything that speaks against this host, at the moment `now_s` (seconds since 1970) of the look.
pub(super) fn problems(needs: &Needs, facts: &HostFacts, now_s: i64) -> Vec<Reason> {
    let mut found = Vec::new();
    if !facts.root {
        found.push(Reason::NotRoot);
    }
    if facts.arch.is_none() {
        found.push(Reason::Machine { machine: facts.machine.clone() });
    }
    if facts.init != "systemd" {
        found.push(Reason::Init { init: facts.init.clone() });
    }
    if !facts.missing_tools.is_empty() {
        found.push(Reason::Tools { missing: facts.missing_tools.join(", ") });
    }
    let skew_s = facts.epoch_s.abs_diff(now_s);
    if skew_s > needs.clock_skew_s {
        found.push(Reason::Clock { skew_s });
    }
    if facts.memory_kib < needs.memory_kib {
        let (has_mib, needs_mib) = (facts.memory_kib / 1024, needs.memory_kib / 1024);
        found.push(Reason::Memory { has_mib, needs_mib });
    }
    found.extend(kernel(facts));
    // Later K3s holds the ports itself, and when it stops the kernel keeps that of its network.
    if !runs(facts) && facts.data.is_empty() {
        found.extend(ports(needs, facts));
        found.extend(space(facts, "/var/lib", needs.data_kib));
    }
    found
}

fn kernel(facts: &HostFacts) -> Vec<Reason> {
    let kernel = facts.kernel;
    let wanted = [
        (
            kernel.cgroup_memory,
            "memory limits for containers (boot with cgroup_enable=memory cgroup_memory=1)",
        ),
        (kernel.overlay, "overlayfs in its kernel"),
        (kernel.bridge_netfilter, "br_netfilter in its kernel"),
        (kernel.default_route, "a default route (one to a dummy interface will do)"),
    ];
    let lacking = wanted.into_iter().filter(|(has, _)| !has);
    lacking.map(|(_, what)| Reason::Kernel { lacks: what.to_owned() }).collect()
}

/// Whether some K3s runs or is about to.
fn runs(facts: &HostFacts) -> bool {
    let live = |service: &Service| {
        matches!(
            service.state,
            ServiceState::Running | ServiceState::Moving | ServiceState::Crashing
        )
    };
    facts.services.values().any(live)
}

fn ports(needs: &Needs, facts: &HostFacts) -> Vec<Reason> {
    let tcp = needs.tcp.iter().filter(|port| facts.tcp.contains(port)).map(|port| (port, "tcp"));
    let udp = needs.udp.iter().filter(|port| facts.udp.contains(port)).map(|port| (port, "udp"));
    tcp.chain(udp)
        .map(|(&port, protocol)| Reason::Port { port, protocol: protocol.to_owned() })
        .collect()
}

/// A problem when less than this is free. A host that does not tell is believed.
pub(super) fn space(facts: &HostFacts, path: &str, needs_kib: u64) -> Option<Reason> {
    let space = facts.space.iter().find(|space| space.path == path)?;
    let (path, has_mib, needs_mib) =
        (path.to_owned(), space.free_kib / 1024, needs_kib.div_ceil(1024));
    (space.free_kib < needs_kib).then_some(Reason::Space { path, has_mib, needs_mib })
}
