//! The scenario: apply, Ready, upgrade, drift, one more host, delete. Each step has a limit; a step that fails
//! shows what `fleetwright why` says of the cluster and the end of the log.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::clusters::{self, ACCOUNT_SECRET, CLUSTERS, Drift, One, TILLS};
use crate::target::{Hub, Target, Tools};
use crate::wait::{self, Look};

const NAMESPACE: &str = "fleetwright-e2e";
/// Where Fleetwright reads the Secrets of accounts.
const SYSTEM: &str = "fleetwright-system";
const KIND: &str = "managedclusters.fleetwright.dev";
/// For everything that the simulated cloud does in seconds.
const STEP_LIMIT: Duration = Duration::from_secs(120);

/// Runs the whole scenario. `home` takes everything it writes; on a foreign API server it removes
/// its own objects at the end and leaves the CRDs and the policy.
///
/// # Errors
/// The first step that fails, by name, with what `why` and the log say.
pub fn run(target: &Target, tools: &Tools, home: &Path) -> Result<()> {
    let began = wait::now();
    let said = |what: &str| println!("[{:5.1} s] {what}", began.elapsed().as_secs_f64());
    said("start the control plane");
    let mut hub = Hub::start(target, tools, home)?;
    let protected = protect(&hub, tools)?;
    type Step = fn(&Hub, bool) -> Result<()>;
    let steps: [(&str, Step); 7] = [
        ("apply a cluster on each cloud and one on hosts, version 1.33", |hub, _| apply(hub)),
        ("they become Ready", |hub, _| becomes_ready(hub, "1.33")),
        ("upgrade to 1.34: control plane, then what works for it", |hub, _| upgrade(hub)),
        ("drift is found and put back", |hub, _| drift(hub)),
        ("one more agent joins the cluster on hosts", |hub, _| agent_joins(hub)),
        ("delete: refused until confirmed", refused),
        ("delete: confirmed, everything goes", |hub, _| delete(hub)),
    ];
    for (name, step) in steps {
        said(name);
        if let Err(error) = step(&hub, protected).and_then(|()| hub.running.check()) {
            let why = |one: &One| {
                let told = hub.fleetwright("why", &[&reference(one)]);
                let told = told.unwrap_or_else(|error| format!("(no answer: {error:#})"));
                format!("{}: {told}", one.name)
            };
            let why: Vec<String> = CLUSTERS.iter().map(why).collect();
            let why = why.join("\n");
            let log = hub.running.log_tail(20);
            return Err(error.context(format!("step {name:?}\nwhy:\n{why}\nlog:\n{log}")));
        }
    }
    said("clean up and stop");
    for one in &CLUSTERS {
        hub.kubectl.run(&["delete", "providerconfigs.fleetwright.dev", one.account])?;
    }
    hub.kubectl.run(&["delete", "secret", "-n", SYSTEM, ACCOUNT_SECRET])?;
    hub.kubectl.run(&["delete", "namespace", NAMESPACE, "--wait=false"])?;
    hub.running.stop()?;
    said("done");
    Ok(())
}

/// Whether deletions are refused by the API server. One that knows no such policies (before
/// 1.30) leaves it to the controller to hold them.
fn protect(hub: &Hub, tools: &Tools) -> Result<bool> {
    let resources = hub.kubectl.run(&["api-resources", "-o", "name"])?;
    if !resources.contains("validatingadmissionpolicybindings.admissionregistration.k8s.io") {
        println!("    no ValidatingAdmissionPolicies here: the controller holds deletions instead");
        return Ok(false);
    }
    let policies = tools.api.join("policies");
    let policies = policies.to_str().context("the path of api/policies is not UTF-8")?;
    hub.kubectl.run(&["apply", "-f", policies])?;
    Ok(true)
}

fn apply(hub: &Hub) -> Result<()> {
    for name in [NAMESPACE, SYSTEM] {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        hub.kubectl.apply(&namespace.to_string())?;
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": ACCOUNT_SECRET, "namespace": SYSTEM},
        "stringData": {"ssh-privatekey": clusters::KEY}});
    hub.kubectl.apply(&secret.to_string())?;
    for one in &CLUSTERS {
        let (account, mut cluster) = (one.specs)();
        let mut account = json!({"apiVersion": "fleetwright.dev/v1alpha1",
            "kind": "ProviderConfig", "metadata": {"name": one.account}, "spec": account});
        account["spec"]["allowedNamespaces"] = json!({"names": [NAMESPACE]});
        cluster["deletionPolicy"] = json!("Delete");
        cluster["version"] = json!((one.version)("1.33"));
        cluster["providerConfigRef"] = json!({"name": one.account});
        let cluster = json!({"apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": one.name, "namespace": NAMESPACE}, "spec": cluster});
        hub.kubectl.apply(&account.to_string())?;
        hub.kubectl.apply(&cluster.to_string())?;
    }
    Ok(())
}

fn reference(one: &One) -> String {
    format!("{NAMESPACE}/{}", one.name)
}

fn cluster(hub: &Hub, one: &One) -> Result<Value> {
    hub.kubectl.get(&[KIND, "-n", NAMESPACE, one.name])
}

/// `True`, `False` or `Unknown`, and why.
fn condition(cluster: &Value, name: &str) -> (String, String) {
    let all = cluster["status"]["conditions"].as_array().into_iter().flatten();
    let found = all.into_iter().find(|condition| condition["type"] == name);
    let text = |key: &str| found.and_then(|c| c[key].as_str()).unwrap_or("absent").to_owned();
    (text("status"), format!("{name}={} {}: {}", text("status"), text("reason"), text("message")))
}

/// Ready and in step with what was declared last, at this version everywhere.
fn is_ready(cluster: &Value, version: &str) -> Look {
    let generation = &cluster["metadata"]["generation"];
    if cluster["status"]["observedGeneration"] != *generation {
        return Look::Waiting(format!("generation {generation} is not seen yet"));
    }
    for name in ["Ready", "Synced"] {
        let (status, told) = condition(cluster, name);
        if status != "True" {
            return Look::Waiting(told);
        }
    }
    let minor = |value: &Value| {
        let version = value.as_str().unwrap_or("").trim_start_matches('v');
        version.split('.').take(2).collect::<Vec<_>>().join(".")
    };
    let control_plane = minor(&cluster["status"]["observed"]["version"]);
    let parts = ["pools", "hosts"].into_iter().filter_map(|key| cluster["status"][key].as_array());
    let parts: Vec<String> = parts.flatten().map(|part| minor(&part["version"])).collect();
    let follow = !parts.is_empty() && parts.iter().all(|part| part == version);
    if control_plane != version || !follow {
        return Look::Waiting(format!("control plane {control_plane}, pools or hosts {parts:?}"));
    }
    Look::Done
}

fn becomes_ready(hub: &Hub, version: &str) -> Result<()> {
    for one in &CLUSTERS {
        let what = format!("{} is Ready at {version}", reference(one));
        wait::until(&what, STEP_LIMIT, || Ok(is_ready(&cluster(hub, one)?, version)))?;
    }
    Ok(())
}

fn patch(hub: &Hub, one: &One, change: &Value) -> Result<()> {
    let change = change.to_string();
    let args = ["patch", KIND, "-n", NAMESPACE, one.name, "--type=merge", "-p", &change];
    hub.kubectl.run(&args).map(drop)
}

fn upgrade(hub: &Hub) -> Result<()> {
    for one in &CLUSTERS {
        patch(hub, one, &json!({"spec": {"version": (one.version)("1.34")}}))?;
    }
    becomes_ready(hub, "1.34")
}

fn drift(hub: &Hub) -> Result<()> {
    let drifting = || CLUSTERS.iter().filter_map(|one| Some((one, one.drift.as_ref()?)));
    for (one, drift) in drifting() {
        hub.fleetwright("sim", &["drift", &reference(one), drift.change])?;
        // Otherwise the next look is minutes away.
        let now =
            json!({"metadata": {"annotations": {"fleetwright.dev/reconcile-now": "e2e-drift"}}});
        patch(hub, one, &now)?;
    }
    for (one, drift) in drifting() {
        is_put_back(hub, one, drift)?;
    }
    becomes_ready(hub, "1.34")
}

/// Hosts are a list in the spec: the whole of it goes into a merge patch.
fn agent_joins(hub: &Hub) -> Result<()> {
    for one in CLUSTERS.iter().filter(|one| one.takes_hosts) {
        patch(hub, one, &json!({"spec": {"k3s": {"agents": clusters::agents(&TILLS)}}}))?;
        let what = format!("{} has a node for each of its hosts", reference(one));
        wait::until(&what, STEP_LIMIT, || Ok(has_joined(&cluster(hub, one)?, 1 + TILLS.len())))?;
    }
    becomes_ready(hub, "1.34")
}

/// So many hosts, all of them at work as nodes.
fn has_joined(cluster: &Value, wanted: usize) -> Look {
    let hosts = cluster["status"]["hosts"].as_array().into_iter().flatten();
    let hosts: Vec<&str> = hosts.filter_map(|host| host["phase"].as_str()).collect();
    let nodes = &cluster["status"]["observed"]["nodes"];
    let is_whole = hosts.len() == wanted && hosts.iter().all(|phase| *phase == "Active");
    if is_whole && nodes.as_u64() == u64::try_from(wanted).ok() {
        return Look::Done;
    }
    Look::Waiting(format!("hosts {hosts:?}, {nodes} nodes"))
}

fn is_put_back(hub: &Hub, one: &One, drift: &Drift) -> Result<()> {
    wait::until("an event tells of the drift and its repair", STEP_LIMIT, || {
        let events = hub.kubectl.get(&["events", "-n", NAMESPACE])?;
        let events = events["items"].as_array().into_iter().flatten();
        let mut about = events.filter(|event| event["involvedObject"]["name"] == one.name);
        let told = |text: &str| text.starts_with("DriftRepaired") && text.contains(drift.field);
        Ok(match about.any(|event| event["message"].as_str().is_some_and(told)) {
            true => Look::Done,
            false => Look::Waiting(condition(&cluster(hub, one)?, "DriftFree").1),
        })
    })?;
    wait::until("the drift is put back", STEP_LIMIT, || {
        let cluster = cluster(hub, one)?;
        let (status, told) = condition(&cluster, "DriftFree");
        let repairs = cluster["status"]["drift"]["repairs"].as_array().map_or(0, Vec::len);
        let done = status == "True" && repairs > 0;
        Ok(if done { Look::Done } else { Look::Waiting(format!("{told}; {repairs} repairs")) })
    })
}

fn uid(hub: &Hub, one: &One) -> Result<String> {
    let cluster = cluster(hub, one)?;
    cluster["metadata"]["uid"].as_str().map(str::to_owned).context("the cluster has no uid")
}

fn refused(hub: &Hub, protected: bool) -> Result<()> {
    CLUSTERS.iter().try_for_each(|one| one_is_refused(hub, one, protected))
}

fn one_is_refused(hub: &Hub, one: &One, protected: bool) -> Result<()> {
    let delete = ["delete", KIND, "-n", NAMESPACE, one.name, "--wait=false"];
    if protected {
        // A policy takes some seconds to come into force on a real server; it was applied long ago.
        let Err(refusal) = hub.kubectl.run(&delete) else {
            bail!("the deletion was not refused, though nobody has confirmed it");
        };
        let refusal = format!("{refusal:#}");
        let command = format!("fleetwright.dev/confirm-delete={}", uid(hub, one)?);
        if !refusal.contains(&command) {
            bail!("the refusal does not say how to confirm ({command}): {refusal}");
        }
        return Ok(());
    }
    hub.kubectl.run(&delete)?;
    wait::until("the deletion waits for its confirmation", STEP_LIMIT, || {
        let (_, told) = condition(&cluster(hub, one)?, "Synced");
        let held = told.contains("AwaitingConfirmation");
        Ok(if held { Look::Done } else { Look::Waiting(told) })
    })
}

fn delete(hub: &Hub) -> Result<()> {
    for one in &CLUSTERS {
        let uid = uid(hub, one)?;
        let confirm = json!({"metadata": {"annotations": {"fleetwright.dev/confirm-delete": uid}}});
        patch(hub, one, &confirm)?;
        hub.kubectl.run(&["delete", KIND, "-n", NAMESPACE, one.name, "--wait=false"])?;
    }
    wait::until("the cluster objects are gone", STEP_LIMIT, || {
        let list = hub.kubectl.get(&[KIND, "-n", NAMESPACE])?;
        let left = list["items"].as_array().and_then(|items| items.first());
        Ok(match left {
            None => Look::Done,
            Some(cluster) => Look::Waiting(condition(cluster, "Ready").1),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(version: &str, pool: &str, synced: &str) -> Value {
        json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 2,
            "observed": {"version": version}, "pools": [{"version": pool}],
            "conditions": [{"type": "Ready", "status": "True"},
                {"type": "Synced", "status": synced, "reason": "Updating", "message": "…"}]}})
    }

    fn seen(cluster: &Value) -> String {
        match is_ready(cluster, "1.34") {
            Look::Done => "done".to_owned(),
            Look::Waiting(seen) => seen,
        }
    }

    #[test]
    fn an_upgrade_is_done_when_the_pools_have_followed() {
        assert_eq!(seen(&walked("1.34", "1.34.1", "True")), "done");
        let behind = "control plane 1.34, pools or hosts [\"1.33\"]";
        assert_eq!(seen(&walked("1.34", "1.33.5", "True")), behind);
        assert_eq!(seen(&walked("1.34", "1.34.1", "False")), "Synced=False Updating: …");
        assert_eq!(seen(&walked("v1.34.2+k3s1", "v1.34.2+k3s1", "True")), "done");
        let mut stale = walked("1.34", "1.34.1", "True");
        stale["metadata"]["generation"] = json!(3);
        assert_eq!(seen(&stale), "generation 3 is not seen yet");
    }
    #[test]
    fn a_host_has_joined_when_it_is_a_node_at_work() {
        let cluster = |phase: &str, nodes: u32| {
            let hosts = json!([{"phase": "Active"}, {"phase": phase}]);
            json!({"status": {"hosts": hosts, "observed": {"nodes": nodes}}})
        };
        let is_in = |cluster: &Value| matches!(has_joined(cluster, 2), Look::Done);
        assert!(is_in(&cluster("Active", 2)));
        assert!(!is_in(&cluster("Creating", 2)));
        assert!(!is_in(&cluster("Active", 1)));
    }
}
