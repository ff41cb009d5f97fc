//! The checks, in the order in which violations are told: those of the baseline by their names,
//! then those of the restricted level.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Level, Standard, containers, name, object, of_containers, plural, quoted, volumes};

/// What a pod does that it may not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Violation {
    pub(super) reason: String,
    pub(super) detail: String,
}

impl Violation {
    pub(super) fn new(reason: &str, detail: String) -> Self {
        Self { reason: reason.to_owned(), detail }
    }
}

const BASELINE_CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Each with the minor version that began to allow it.
const SYSCTLS: &[(&str, u32)] = &[
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];
const SELINUX_TYPES: &[&str] =
    &["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
const PROFILES: &[&str] = &["RuntimeDefault", "Localhost"];
const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Everything a pod does that the standard forbids.
pub(super) fn violations(standard: Standard, metadata: &Value, spec: &Value) -> Vec<Violation> {
    if standard.level == Level::Privileged {
        return Vec::new();
    }
    let restricted = standard.level == Level::Restricted;
    // Newer versions leave pods of Windows alone where a check means nothing there.
    let windows = spec["os"]["name"] == "windows" && standard.since(25);
    let linux = restricted && !windows;
    let baseline = |since: u32| restricted && standard.since(since);
    let all = [
        app_armor(metadata, spec),
        if baseline(22) { None } else { capabilities_baseline(spec) },
        host_namespaces(spec),
        if restricted { None } else { volumes::host_paths(spec) },
        host_ports(spec),
        if standard.since(34) { hosts(spec) } else { None },
        privileged(spec),
        proc_mount(spec),
        selinux(spec),
        if baseline(19) { None } else { seccomp_baseline(spec) },
        sysctls(standard, spec),
        windows_host_process(spec),
        if linux && standard.since(8) { escalation(spec) } else { None },
        if linux && standard.since(22) { capabilities_restricted(spec) } else { None },
        if restricted { volumes::restricted(spec) } else { None },
        if restricted { non_root(spec) } else { None },
        if restricted && standard.since(23) { user(spec) } else { None },
        if linux && standard.since(19) { seccomp_restricted(spec) } else { None },
    ];
    all.into_iter().flatten().collect()
}

/// The containers for which something holds.
fn which(spec: &Value, holds: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(spec).filter(|container| holds(container)).map(name).collect()
}

fn context(of: &Value) -> &Value {
    &of["securityContext"]
}

fn refuse_containers(
    spec: &Value,
    reason: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Option<Violation> {
    let bad = which(spec, holds);
    (!bad.is_empty()).then(|| Violation::new(reason, format!("{} {what}", of_containers(&bad))))
}

/// `pod`, `container "a"`, or both, joined by `and`.
fn setters(pod: bool, containers: &[&str]) -> Vec<String> {
    let pod = pod.then(|| "pod".to_owned());
    let containers = (!containers.is_empty()).then(|| of_containers(containers));
    pod.into_iter().chain(containers).collect()
}

fn app_armor(metadata: &Value, spec: &Value) -> Option<Violation> {
    let of = |holder: &Value| {
        let found = context(holder)["appArmorProfile"]["type"].as_str().map(str::to_owned);
        found.filter(|found| !PROFILES.contains(&found.as_str()))
    };
    let bad = which(spec, |container| of(container).is_some());
    let values = containers(spec).filter_map(of).chain(of(spec)).collect::<BTreeSet<_>>();
    let mut who = setters(of(spec).is_some(), &bad);
    let annotations = object(&metadata["annotations"]).into_iter().flatten();
    let forbidden: Vec<String> = annotations
        .filter(|(key, _)| key.starts_with(APPARMOR_ANNOTATION))
        .filter_map(|(key, value)| Some((key, value.as_str()?)))
        .filter(|(_, value)| {
            !value.is_empty() && *value != "runtime/default" && !value.starts_with("localhost/")
        })
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    let mut values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    if !forbidden.is_empty() {
        who.push(plural("annotation", forbidden.len()));
        values.extend(forbidden);
    }
    let reason = plural("forbidden AppArmor profile", values.len());
    let detail = || {
        format!("{} must not set AppArmor profile type to {}", who.join(" and "), values.join(", "))
    };
    (!who.is_empty()).then(|| Violation::new(&reason, detail()))
}

fn added(container: &Value, allowed: &[&str]) -> Vec<String> {
    let added = context(container)["capabilities"]["add"].as_array().into_iter().flatten();
    let added = added.filter_map(Value::as_str).filter(|name| !allowed.contains(name));
    added.map(str::to_owned).collect()
}

/// `container "c" must not include "X" in securityContext.capabilities.add`.
fn forbidden_capabilities(spec: &Value, allowed: &[&str]) -> Option<String> {
    let bad = which(spec, |container| !added(container, allowed).is_empty());
    let names: BTreeSet<String> = containers(spec).flat_map(|c| added(c, allowed)).collect();
    let names: Vec<String> = names.into_iter().collect();
    (!bad.is_empty()).then(|| {
        let who = of_containers(&bad);
        format!("{who} must not include {} in securityContext.capabilities.add", quoted(&names))
    })
}

fn capabilities_baseline(spec: &Value) -> Option<Violation> {
    let detail = forbidden_capabilities(spec, BASELINE_CAPABILITIES)?;
    Some(Violation::new("non-default capabilities", detail))
}

fn capabilities_restricted(spec: &Value) -> Option<Violation> {
    let drops_all = |container: &Value| {
        let dropped = context(container)["capabilities"]["drop"].as_array();
        dropped.is_some_and(|names| names.iter().any(|name| name == "ALL"))
    };
    let missing = which(spec, |container| !drops_all(container));
    let missing = (!missing.is_empty()).then(|| {
        format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", of_containers(&missing))
    });
    let details: Vec<String> =
        missing.into_iter().chain(forbidden_capabilities(spec, &["NET_BIND_SERVICE"])).collect();
    (!details.is_empty()).then(|| Violation::new("unrestricted capabilities", details.join("; ")))
}

fn host_namespaces(spec: &Value) -> Option<Violation> {
    let set = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|key| spec[*key] == true);
    let set: Vec<String> = set.map(|key| format!("{key}=true")).collect();
    (!set.is_empty()).then(|| Violation::new("host namespaces", set.join(", ")))
}

fn host_ports(spec: &Value) -> Option<Violation> {
    let of = |container: &Value| -> Vec<String> {
        let ports = container["ports"].as_array().into_iter().flatten();
        let ports = ports.filter_map(|port| port["hostPort"].as_i64()).filter(|port| *port != 0);
        ports.map(|port| port.to_string()).collect()
    };
    let bad = which(spec, |container| !of(container).is_empty());
    let ports: BTreeSet<String> = containers(spec).flat_map(of).collect();
    let word = plural("hostPort", ports.len());
    let ports: Vec<String> = ports.into_iter().collect();
    let verb = if bad.len() == 1 { "uses" } else { "use" };
    let detail = || format!("{} {verb} {word} {}", of_containers(&bad), ports.join(", "));
    (!bad.is_empty()).then(|| Violation::new(&word, detail()))
}

/// Hosts that probes and lifecycle hooks name: they would be called from the node.
fn hosts(spec: &Value) -> Option<Violation> {
    let of = |container: &Value| -> Vec<String> {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|key| &container[key]);
        let hooks = ["postStart", "preStop"].map(|key| &container["lifecycle"][key]);
        let actions = probes.into_iter().chain(hooks);
        let hosts = actions.flat_map(|a| [&a["httpGet"]["host"], &a["tcpSocket"]["host"]]);
        hosts.filter_map(Value::as_str).filter(|h| !h.is_empty()).map(str::to_owned).collect()
    };
    let bad = which(spec, |container| !of(container).is_empty());
    let found: BTreeSet<String> = containers(spec).flat_map(of).collect();
    let found: Vec<String> = found.into_iter().collect();
    let verb = if bad.len() == 1 { "uses" } else { "use" };
    let word = plural("probe or lifecycle host", found.len());
    let detail = || format!("{} {verb} {word} {}", of_containers(&bad), quoted(&found));
    (!bad.is_empty()).then(|| Violation::new("probe or lifecycle host", detail()))
}

fn privileged(spec: &Value) -> Option<Violation> {
    let what = "must not set securityContext.privileged=true";
    refuse_containers(spec, "privileged", what, |c| context(c)["privileged"] == true)
}

fn proc_mount(spec: &Value) -> Option<Violation> {
    let of = |container: &Value| {
        let found = context(container)["procMount"].as_str().map(str::to_owned);
        found.filter(|found| found != "Default")
    };
    let kinds: BTreeSet<String> = containers(spec).filter_map(of).collect();
    let kinds: Vec<String> = kinds.into_iter().collect();
    let what = format!("must not set securityContext.procMount to {}", quoted(&kinds));
    refuse_containers(spec, "procMount", &what, |container| of(container).is_some())
}

fn selinux(spec: &Value) -> Option<Violation> {
    let text = |holder: &Value, key: &str| {
        context(holder)["seLinuxOptions"][key].as_str().unwrap_or_default().to_owned()
    };
    let is_bad = |holder: &Value| {
        !SELINUX_TYPES.contains(&text(holder, "type").as_str())
            || !text(holder, "user").is_empty()
            || !text(holder, "role").is_empty()
    };
    let who = setters(is_bad(spec), &which(spec, is_bad));
    if who.is_empty() {
        return None;
    }
    let holders = || std::iter::once(spec).chain(containers(spec));
    let kinds: BTreeSet<String> = holders().map(|holder| text(holder, "type")).collect();
    let kinds: Vec<String> =
        kinds.into_iter().filter(|kind| !SELINUX_TYPES.contains(&kind.as_str())).collect();
    let mut what = Vec::new();
    if !kinds.is_empty() {
        what.push(format!("{} {}", plural("type", kinds.len()), quoted(&kinds)));
    }
    for key in ["user", "role"] {
        if holders().any(|holder| !text(holder, key).is_empty()) {
            what.push(format!("{key} may not be set"));
        }
    }
    let detail = format!(
        "{} set forbidden securityContext.seLinuxOptions: {}",
        who.join(" and "),
        what.join("; ")
    );
    Some(Violation::new("seLinuxOptions", detail))
}

/// The profile that a pod or container sets, if it sets one.
fn seccomp(holder: &Value) -> Option<&str> {
    context(holder)["seccompProfile"]["type"].as_str()
}

fn seccomp_baseline(spec: &Value) -> Option<Violation> {
    let of = |holder: &Value| {
        seccomp(holder).filter(|found| !PROFILES.contains(found)).map(str::to_owned)
    };
    let who = setters(of(spec).is_some(), &which(spec, |container| of(container).is_some()));
    let values: BTreeSet<String> = containers(spec).filter_map(of).chain(of(spec)).collect();
    let values: Vec<String> = values.into_iter().collect();
    let detail = || {
        let who = who.join(" and ");
        format!("{who} must not set securityContext.seccompProfile.type to {}", quoted(&values))
    };
    (!who.is_empty()).then(|| Violation::new("seccompProfile", detail()))
}

fn seccomp_restricted(spec: &Value) -> Option<Violation> {
    if let Some(explicit) = seccomp_baseline(spec) {
        return Some(explicit);
    }
    let by_pod = seccomp(spec).is_some();
    let bad = which(spec, |container| !by_pod && seccomp(container).is_none());
    let detail = || {
        format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \
             \"Localhost\"",
            of_containers(&bad)
        )
    };
    (!bad.is_empty()).then(|| Violation::new("seccompProfile", detail()))
}

fn sysctls(standard: Standard, spec: &Value) -> Option<Violation> {
    let set = context(spec)["sysctls"].as_array().into_iter().flatten();
    let allowed = |wanted: &str| {
        SYSCTLS.iter().any(|(name, since)| *name == wanted && standard.since(*since))
    };
    let bad: Vec<&str> =
        set.filter_map(|sysctl| sysctl["name"].as_str()).filter(|name| !allowed(name)).collect();
    (!bad.is_empty()).then(|| Violation::new("forbidden sysctls", bad.join(", ")))
}

fn windows_host_process(spec: &Value) -> Option<Violation> {
    let of = |holder: &Value| context(holder)["windowsOptions"]["hostProcess"] == true;
    let who = setters(of(spec), &which(spec, of)).join(" and ");
    let what = "must not set securityContext.windowsOptions.hostProcess=true";
    (!who.is_empty()).then(|| Violation::new("hostProcess", format!("{who} {what}")))
}

fn escalation(spec: &Value) -> Option<Violation> {
    let what = "must set securityContext.allowPrivilegeEscalation=false";
    let reason = "allowPrivilegeEscalation != false";
    refuse_containers(spec, reason, what, |c| context(c)["allowPrivilegeEscalation"] != false)
}

fn non_root(spec: &Value) -> Option<Violation> {
    let reason = "runAsNonRoot != true";
    let of = |holder: &Value| context(holder)["runAsNonRoot"].as_bool();
    let who = setters(of(spec) == Some(false), &which(spec, |c| of(c) == Some(false)));
    if !who.is_empty() {
        let what = "must not set securityContext.runAsNonRoot=false";
        return Some(Violation::new(reason, format!("{} {what}", who.join(" and "))));
    }
    let bad = which(spec, |container| of(spec) != Some(true) && of(container).is_none());
    let detail =
        || format!("pod or {} must set securityContext.runAsNonRoot=true", of_containers(&bad));
    (!bad.is_empty()).then(|| Violation::new(reason, detail()))
}

fn user(spec: &Value) -> Option<Violation> {
    let of = |holder: &Value| context(holder)["runAsUser"] == 0;
    let who = setters(of(spec), &which(spec, of)).join(" and ");
    (!who.is_empty())
        .then(|| Violation::new("runAsUser=0", format!("{who} must not set runAsUser=0")))
}
