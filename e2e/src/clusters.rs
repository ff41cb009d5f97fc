//! The clusters of the scenario: one on each cloud, and one on hosts.

use serde_json::{Value, json};

/// The only subscription of the simulated Azure.
const SUBSCRIPTION: &str = "33333333-3333-4333-8333-333333333333";
const DECLARED_CIDR: &str = "203.0.113.0/24";
/// Holds [`KEY`].
pub(crate) const ACCOUNT_SECRET: &str = "e2e-ssh";
/// A private key, which simulated hosts take like any other; it opens nothing else.
pub(crate) const KEY: &str = include_str!("../../crates/cloudsim/src/hosts/simulated_ed25519");
/// The agents of the cluster on hosts at its end; at its beginning it has the first one only.
pub(crate) const TILLS: [&str; 2] = ["till-1", "till-2"];

/// One cluster of the scenario.
pub(crate) struct One {
    pub(crate) name: &'static str,
    /// Its ProviderConfig.
    pub(crate) account: &'static str,
    /// The specs of account and cluster, without what all clusters have.
    pub(crate) specs: fn() -> (Value, Value),
    /// `spec.version` for a minor version.
    pub(crate) version: fn(&str) -> String,
    /// What a stranger changes. The simulation's controls do so in clouds only.
    pub(crate) drift: Option<Drift>,
    /// Made of hosts, which are declared one by one.
    pub(crate) takes_hosts: bool,
}

/// A change behind our back.
pub(crate) struct Drift {
    /// As `fleetwright sim drift` takes it.
    pub(crate) change: &'static str,
    /// The end of that field's path.
    pub(crate) field: &'static str,
}

pub(crate) const CLUSTERS: [One; 3] = [
    One {
        name: "walk",
        account: "e2e",
        specs: eks,
        version: str::to_owned,
        drift: Some(Drift {
            change: "eks.network.endpoint.publicCidrs=0.0.0.0/0",
            field: "publicCidrs",
        }),
        takes_hosts: false,
    },
    One {
        name: "walk-aks",
        account: "e2e-azure",
        specs: aks,
        version: str::to_owned,
        drift: Some(Drift {
            change: "aks.apiServer.authorizedCidrs=0.0.0.0/0",
            field: "authorizedCidrs",
        }),
        takes_hosts: false,
    },
    One {
        name: "walk-k3s",
        account: "e2e-hosts",
        specs: k3s,
        version: |minor| format!("v{minor}.2+k3s1"),
        drift: None,
        takes_hosts: true,
    },
];

fn eks() -> (Value, Value) {
    (
        json!({"aws": {"identity": {"type": "Environment"}}}),
        json!({
            "eks": {
                "region": "eu-west-1",
                "roleArn": "arn:aws:iam::111122223333:role/eks-control-plane",
                "network": {
                    "subnetIds": ["subnet-0a", "subnet-0b"],
                    "endpoint": {"access": "PublicAndPrivate", "publicCidrs": [DECLARED_CIDR]}}},
            "nodePools": [{
                "name": "general",
                "size": {"min": 2, "max": 4},
                "eks": {"roleArn": "arn:aws:iam::111122223333:role/nodes"}}],
        }),
    )
}

fn aks() -> (Value, Value) {
    (
        json!({"azure": {"identity": {"type": "Environment"}}}),
        json!({
            "aks": {
                "subscriptionId": SUBSCRIPTION,
                "resourceGroup": "rg-e2e",
                "location": "westeurope",
                "entra": {"localAccounts": "Disabled"},
                "apiServer": {"access": "Public", "authorizedCidrs": [DECLARED_CIDR]}},
            "nodePools": [{
                "name": "general",
                "role": "System",
                "size": {"min": 2, "max": 4},
                "aks": {"vmSize": "Standard_D4ds_v5"}}],
        }),
    )
}

fn k3s() -> (Value, Value) {
    // Simulated hosts have no keys of their own, but an account must say whom it would trust.
    let trusted =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII6aKZ90nh62pNowjad65+yzvbn+WQo+AleA5ILMUlXb";
    (
        json!({"ssh": {
            "identity": {"secretRef": {"name": ACCOUNT_SECRET}},
            "user": "root",
            "hostKeys": {"authorities": [trusted]}}}),
        json!({"k3s": {
            "servers": [{"name": "server", "host": "server.hosts.example"}],
            "agents": agents(&TILLS[..1])}}),
    )
}

/// `spec.k3s.agents` with these names.
pub(crate) fn agents(names: &[&str]) -> Value {
    let host = |name: &&str| json!({"name": name, "host": format!("{name}.hosts.example")});
    names.iter().map(host).collect()
}
