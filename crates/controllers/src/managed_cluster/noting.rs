//! Hosts are noted in the status before anything is done there: whatever is taken out of the declaration a moment later, and
//! wherever we are cut off, nothing of ours stays on a host that nobody knows of. Pure.

use fleetwright_api_types::ManagedCluster;
use fleetwright_plan::{CloudAction, CloudStep, Held, Plan, Resource, Step};

use super::status::{declared_hosts, is_host};

/// What the held steps wait for.
const WHY: &str = "hosts to be noted in the status";

/// Holds back what would begin on hosts, until the status as stored names all that are declared, where they are declared. What
/// was never stored (a file that is only planned) has no status to wait for.
pub(super) fn hold_unnoted(plan: &mut Plan, cluster: &ManagedCluster) {
    if cluster.metadata.resource_version.is_none() {
        return;
    }
    let status = cluster.status.as_ref();
    let noted = status.map(|status| status.hosts.as_slice()).unwrap_or_default();
    let is_noted = |(name, host, port): &(&str, &str, Option<u16>)| {
        noted.iter().any(|known| known.name == *name && known.host == *host && known.port == *port)
    };
    if declared_hosts(cluster).iter().all(is_noted) {
        return;
    }
    for step in std::mem::take(&mut plan.steps) {
        if begins_on_hosts(&step) {
            plan.held.push(Held { step, why: WHY.to_owned(), until: None });
        } else {
            plan.steps.push(step);
        }
    }
}

fn begins_on_hosts(step: &Step) -> bool {
    let Step::Cloud(CloudStep { resource, action, .. }) = step else { return false };
    let begins = matches!(action, CloudAction::Create { .. } | CloudAction::Claim { .. });
    begins
        && match resource {
            Resource::Cluster => true,
            Resource::Part(key) => is_host(key),
            Resource::Pool(_) => false,
        }
}

#[cfg(test)]
mod tests {
    use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
    use fleetwright_plan::{Address, PartKey, PartKind};
    use serde_json::{Value, json};

    use super::*;

    fn step(resource: Resource, action: CloudAction) -> Step {
        let address = Address {
            provider: "k3s",
            provider_config: "edge".into(),
            region: String::new(),
            external_name: "one".into(),
            site: String::new(),
        };
        let owner = Owner {
            hub: HubId::new("ab").expect("a hub"),
            object: ObjectKey::namespaced("edge", "one"),
            uid: Uid::new("1a").expect("a uid"),
        };
        Step::Cloud(CloudStep::new(address, resource, (owner, 1), action, ""))
    }

    /// Steps and held ones.
    fn planned(version: Value, hosts: Value) -> (usize, usize) {
        let object = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"namespace": "edge", "name": "one", "resourceVersion": version},
            "spec": {"version": "v1.34.2+k3s1", "providerConfigRef": {"name": "edge"}, "k3s": {
                "servers": [{"name": "s1", "host": "10.0.0.11"}],
                "agents": [{"name": "a1", "host": "10.0.0.21", "port": 2222}]}},
            "status": {"hosts": hosts},
        });
        let cluster = serde_json::from_value(object).expect("a cluster");
        let agent = PartKey { kind: PartKind::holding_together("agent"), name: "a1".into() };
        let create = || CloudAction::Create { body: Value::Null };
        let steps = vec![
            step(Resource::Cluster, create()),
            step(Resource::Part(agent.clone()), create()),
            step(Resource::Part(agent), CloudAction::Delete),
        ];
        let mut plan = Plan { steps, ..Plan::default() };
        hold_unnoted(&mut plan, &cluster);
        (plan.steps.len(), plan.held.len())
    }

    #[test]
    fn nothing_begins_before_every_host_is_noted_where_it_is() {
        let host = |name: &str, role: &str, at: &str, port: Value| json!({"name": name, "role": role, "host": at, "port": port, "phase": "Noted"});
        let s1 = host("s1", "server", "10.0.0.11", Value::Null);
        let a1 = |at: &str, port: Value| host("a1", "agent", at, port);
        let all = (3, 0);
        let held = (1, 2);
        assert_eq!(planned(json!("7"), json!([])), held);
        assert_eq!(planned(json!("7"), json!([s1.clone()])), held);
        assert_eq!(planned(json!("7"), json!([s1.clone(), a1("10.0.0.21", json!(2222))])), all);
        assert_eq!(planned(json!("7"), json!([s1.clone(), a1("10.0.0.29", json!(2222))])), held);
        assert_eq!(planned(json!("7"), json!([s1, a1("10.0.0.21", Value::Null)])), held);
        assert_eq!(planned(Value::Null, json!([])), all, "a file that is only planned");
    }
}
