//! An Azure as JSON: looked at through the provider, changed by its steps, and the language of the plan cases over it.
//!
//! A case is YAML. `spec`, `aks` and `pools` are merged (RFC 7396) into the example's declaration, `cluster`, `seen` and
//! `parts` into what Azure tells of it; a pool that is new there starts as the example's `web`. `cluster: absent` says that
//! there is nothing. Further keys: `now`, `take-over`, `drained` (pools that are empty), `latest` (the newest image).

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_api_types::{Adoption, ManagementMode};
use fleetwright_names::{PoolName, Uid};
use fleetwright_plan::{
    Change, CloudAction, CloudStep, DesiredCluster, Drain, Goal, Pace, Plan, PoolWay, Resource,
    Rules, Seen, Situation, Snapshot, Windows, lint, plan_cluster,
};
use fleetwright_provider::Provider as _;
use fleetwright_provider::wire_request;
use serde_json::{Value, json};

use crate::support::{
    CLUSTER, SUBSCRIPTION, TENANT, access, account, answering, cluster, desire, kubeconfig,
    not_found, ok, owner, parsed, silent, tags,
};

/// What Azure holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct World {
    pub(crate) cluster: Option<Value>,
    pub(crate) pools: BTreeMap<String, Value>,
    pub(crate) parts: BTreeMap<String, Value>,
    latest: Option<String>,
}

/// RFC 7396.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("an object").remove(key);
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}

/// The example's cluster as Azure tells it, in Azure's own forms.
fn told() -> Value {
    json!({
        "id": CLUSTER.replace("resourceGroups", "resourcegroups"),
        "name": "retail-we",
        "type": "Microsoft.ContainerService/ManagedClusters",
        "location": "West Europe",
        "tags": tags(),
        "eTag": "c-1",
        "kind": "Base",
        "sku": {"name": "Base", "tier": "standard"},
        "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": TENANT},
        "properties": {
            "provisioningState": "Succeeded",
            "powerState": {"code": "Running"},
            "kubernetesVersion": "1.34",
            "currentKubernetesVersion": "1.34.2",
            "dnsPrefix": "retail-we",
            "fqdn": "retail-we-x1.hcp.westeurope.azmk8s.io",
            "nodeResourceGroup": "MC_rg-retail_retail-we_westeurope",
            "enableRBAC": true,
            "supportPlan": "KubernetesOfficial",
            "maxAgentPools": 100,
            "networkProfile": {
                "networkPlugin": "azure", "networkPluginMode": "Overlay",
                "networkPolicy": "Cilium", "networkDataplane": "cilium", "loadBalancerSku": "Standard",
                "loadBalancerProfile": {"managedOutboundIPs": {"count": 1}},
                "podCidr": "10.244.0.0/16", "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10",
                "outboundType": "loadBalancer", "podCidrs": ["10.244.0.0/16"],
                "serviceCidrs": ["10.0.0.0/16"], "ipFamilies": ["IPv4"]
            },
            "aadProfile": {"managed": true, "enableAzureRBAC": false, "adminGroupObjectIDs": null, "tenantID": TENANT},
            "disableLocalAccounts": true,
            "autoUpgradeProfile": {"nodeOSUpgradeChannel": "NodeImage", "upgradeChannel": null},
            "oidcIssuerProfile": {"enabled": true, "issuerURL": "https://westeurope.oic.prod-aks.azure.com/x/y/"},
            "securityProfile": {"workloadIdentity": {"enabled": true}},
            "fromTomorrow": {"kept": true}
        }
    })
}

/// A pool of the example as Azure tells it.
fn told_pool(name: &str) -> Value {
    let mut tags = tags();
    tags["fleetwright.dev_pool"] = json!(name);
    tags["aks-managed-poolName"] = json!(name);
    let mut pool = json!({
        "id": format!("{}/agentPools/{name}", CLUSTER.to_lowercase()),
        "name": name,
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "properties": {
            "eTag": format!("{name}-1"), "provisioningState": "Succeeded", "powerState": {"code": "Running"},
            "count": 4, "minCount": 2, "maxCount": 10, "enableAutoScaling": true,
            "vmSize": "standard_d8ds_v5", "mode": "User", "type": "VirtualMachineScaleSets",
            "osType": "Linux", "osSKU": "AzureLinux3", "osDiskType": "Ephemeral", "osDiskSizeGB": 150,
            "maxPods": 250, "scaleDownMode": "Delete", "enableFIPS": false,
            "orchestratorVersion": "1.34", "currentOrchestratorVersion": "1.34.2",
            "nodeImageVersion": "AKSAzureLinux-V3gen2-202611.01.0",
            "nodeLabels": {"workload": "web", "kubernetes.azure.com/mode": "user"},
            "upgradeSettings": {"maxSurge": "10%", "maxUnavailable": "0"},
            "tags": tags, "fromTomorrow": 1
        }
    });
    if name == "system" {
        let patch = json!({"properties": {
            "count": 3, "minCount": null, "maxCount": null, "enableAutoScaling": false, "mode": "System",
            "vmSize": "Standard_D4ds_v5", "availabilityZones": ["2", "3", "1"], "nodeLabels": null
        }});
        merge(&mut pool, &patch);
    }
    pool
}

impl World {
    pub(crate) fn nothing() -> Self {
        Self { cluster: None, pools: BTreeMap::new(), parts: BTreeMap::new(), latest: None }
    }

    /// The example, as it was made.
    pub(crate) fn example() -> Self {
        let pools = ["system", "web"].map(|name| (name.to_owned(), told_pool(name)));
        Self { cluster: Some(told()), pools: pools.into(), ..Self::nothing() }
    }

    fn edit(&mut self, case: &Value) {
        if case["cluster"] == "absent" {
            *self = Self::nothing();
        } else if let Some(cluster) = &mut self.cluster
            && case["cluster"].is_object()
        {
            merge(cluster, &case["cluster"]);
        }
        for (name, patch) in case["seen"].as_object().into_iter().flatten() {
            if patch.is_null() {
                self.pools.remove(name);
                continue;
            }
            let pool = self.pools.entry(name.clone()).or_insert_with(|| {
                let mut pool = told_pool("web");
                pool["name"] = json!(name);
                pool["properties"]["tags"]["fleetwright.dev_pool"] = json!(name);
                pool
            });
            merge(pool, &json!({"properties": patch}));
        }
        for (name, properties) in case["parts"].as_object().into_iter().flatten() {
            self.parts.insert(name.clone(), json!({"name": name, "properties": properties}));
        }
        self.latest = case["latest"].as_str().map(str::to_owned);
    }

    /// A look at this Azure, through the provider.
    pub(crate) fn look(&self, desired: &DesiredCluster) -> Snapshot {
        let world = self.clone();
        let (provider, _) = answering(move |line| world.answer(line));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let access = access();
        let look = provider.observe(&access, &desired.address, Some(desired));
        runtime.expect("a runtime").block_on(look)
    }

    fn answer(&self, line: &str) -> crate::support::Answer {
        let path = line.split('?').next().unwrap_or_default().replace(CLUSTER, "");
        let list = |found: &BTreeMap<String, Value>| {
            ok(&json!({"value": found.values().collect::<Vec<_>>()}))
        };
        match (path.as_str(), &self.cluster) {
            (_, None) => not_found(),
            ("GET ", Some(cluster)) => ok(cluster),
            ("GET /agentPools", _) => list(&self.pools),
            ("GET /maintenanceConfigurations", _) => list(&self.parts),
            ("POST /listClusterUserCredential", _) => ok(&kubeconfig(None)),
            (path, _) if path.ends_with("/upgradeProfiles/default") => {
                ok(&json!({"properties": {"latestNodeImageVersion": self.latest}}))
            }
            _ => not_found(),
        }
    }

    /// Does a step at once, as far as a plan can tell.
    pub(crate) fn act(&mut self, step: &CloudStep) {
        match (&step.action, &step.resource) {
            (CloudAction::Create { body }, resource) => self.create(&wire_request(body), resource),
            (CloudAction::Update(update), resource) => self.update(&update.body, resource),
            (CloudAction::Claim { tags, .. }, resource) => {
                let tags = tags.iter().map(|(name, value)| {
                    (name.replace("fleetwright.dev/", "fleetwright.dev_"), json!(value))
                });
                let patch = json!({"tags": Value::Object(tags.collect())});
                match resource {
                    Resource::Cluster => merge(self.cluster.as_mut().expect("a cluster"), &patch),
                    Resource::Pool(name) => merge(self.pool(name), &json!({"properties": patch})),
                    Resource::Part(_) => {}
                }
            }
            (CloudAction::Delete, Resource::Pool(name)) => drop(self.pools.remove(name.as_str())),
            (CloudAction::Delete, Resource::Part(key)) => drop(self.parts.remove(&key.name)),
            (action, resource) => unreachable!("{action:?} of {resource}"),
        }
    }

    fn pool(&mut self, name: &PoolName) -> &mut Value {
        self.pools.get_mut(name.as_str()).expect("a pool")
    }

    fn create(&mut self, body: &Value, resource: &Resource) {
        match resource {
            Resource::Cluster => {
                let mut body = body.clone();
                body["id"] = json!(CLUSTER);
                let profiles = body["properties"]["agentPoolProfiles"].take();
                for mut profile in profiles.as_array().cloned().unwrap_or_default() {
                    let name = profile["name"].take();
                    let name = PoolName::new(name.as_str().expect("a name")).expect("a name");
                    profile.as_object_mut().expect("a profile").remove("name");
                    self.create(&json!({"properties": profile}), &Resource::Pool(name));
                }
                merge(&mut body, &json!({"properties": {"agentPoolProfiles": null}}));
                body["properties"]["fqdn"] = json!("retail-we-x1.hcp.westeurope.azmk8s.io");
                self.cluster = Some(settled(body));
            }
            Resource::Pool(name) => {
                let mut body = body.clone();
                body["name"] = json!(name.as_str());
                body["properties"]["nodeImageVersion"] = json!("AKSAzureLinux-V3gen2-202611.01.0");
                let running = self.cluster.as_ref().map_or("1.34", |cluster| {
                    cluster["properties"]["kubernetesVersion"].as_str().expect("a version")
                });
                body["properties"]["orchestratorVersion"] = json!(running);
                self.pools.insert(name.as_str().to_owned(), settled(body));
            }
            Resource::Part(key) => {
                let mut body = body.clone();
                body["name"] = json!(key.name);
                self.parts.insert(key.name.clone(), body);
            }
        }
    }

    fn update(&mut self, body: &Value, resource: &Resource) {
        let latest = self.latest.clone();
        let target = match resource {
            Resource::Cluster => self.cluster.as_mut().expect("a cluster"),
            Resource::Pool(name) => self.pool(name),
            Resource::Part(key) => self.parts.get_mut(&key.name).expect("a part"),
        };
        if body["operation"] == "AgentPools_UpgradeNodeImageVersion" {
            target["properties"]["nodeImageVersion"] = json!(latest);
        }
        merge(target, &body["merge"]);
        *target = settled(target.clone());
    }
}

/// What Azure adds when work is done.
fn settled(mut body: Value) -> Value {
    let properties = &mut body["properties"];
    for (wanted, runs) in [
        ("kubernetesVersion", "currentKubernetesVersion"),
        ("orchestratorVersion", "currentOrchestratorVersion"),
    ] {
        if let Some(version) = properties[wanted].as_str() {
            properties[runs] = json!(format!("{version}.2"));
        }
    }
    properties["provisioningState"] = json!("Succeeded");
    body
}

/// A case, read.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) desired: DesiredCluster,
    pub(crate) world: World,
    rules: Rules,
    now: jiff::Timestamp,
    drained: Vec<PoolName>,
}

pub(crate) fn yaml(text: &str) -> Value {
    let text = text.replace("SUB", SUBSCRIPTION);
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The example with the edits of a case.
pub(crate) fn manifest(case: &Value) -> Value {
    let mut manifest = cluster();
    for (place, key) in [("/spec", "spec"), ("/spec/aks", "aks")] {
        if case[key].is_object() {
            merge(manifest.pointer_mut(place).expect("a place"), &case[key]);
        }
    }
    let pools = manifest["spec"]["nodePools"].as_array_mut().expect("pools");
    let fresh = pools[pools.len() - 1].clone();
    for (name, patch) in case["pools"].as_object().into_iter().flatten() {
        if patch.is_null() {
            pools.retain(|pool| pool["name"] != *name);
            continue;
        }
        let at = pools.iter().position(|pool| pool["name"] == *name).unwrap_or_else(|| {
            let mut pool = fresh.clone();
            pool["name"] = json!(name);
            pools.push(pool);
            pools.len() - 1
        });
        merge(&mut pools[at], patch);
    }
    manifest
}

impl Case {
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        Self::of(&yaml(text))
    }

    #[track_caller]
    pub(crate) fn of(case: &Value) -> Self {
        let manifest = manifest(case);
        let desired = desire(manifest.clone(), account()).unwrap_or_else(|problems| {
            panic!("problems {problems:#?} in {case:#}");
        });
        let manifest = parsed(manifest);
        let mut world = World::example();
        world.edit(case);
        let text = |key: &str| case[key].as_str();
        let windows = manifest.spec.maintenance.as_ref();
        let rules = Rules {
            mode: manifest.spec.mode.unwrap_or(ManagementMode::Manage),
            adoption: manifest.spec.adoption.unwrap_or(Adoption::Never),
            take_over: text("take-over").map(|uid| Uid::new(uid).expect("a uid")),
            windows: windows.map(|windows| Windows::parse(windows).expect("windows")),
            cloud: silent().rules(),
            ..Rules::default()
        };
        let drained = case["drained"].as_array().into_iter().flatten();
        Self {
            rules,
            now: text("now").unwrap_or("2026-11-23T10:00:00Z").parse().expect("an instant"),
            drained: drained
                .map(|name| PoolName::new(name.as_str().expect("a name")).expect("a name"))
                .collect(),
            desired,
            world,
        }
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        silent().diff(&self.desired, &self.world.look(&self.desired))
    }

    /// The plan, which the lint accepts; made from a look of its own.
    #[track_caller]
    pub(crate) fn plan(&self) -> Plan {
        let mut snapshot = self.world.look(&self.desired);
        for (name, seen) in &snapshot.pools {
            if let Seen::Present(pool) = seen
                && self.drained.contains(name)
            {
                let nodes = usize::try_from(pool.size).expect("a size");
                let drain = Drain { nodes, cordoned: nodes, ..Drain::default() };
                snapshot.member.drains.insert(name.clone(), drain);
            }
        }
        let changes = silent().diff(&self.desired, &snapshot);
        let ways = PoolWay::of(&self.desired, &snapshot, |name| silent().node_selector(name));
        let owner = owner();
        let situation = Situation {
            goal: Goal::Present,
            owner: &owner,
            generation: self.desired.generation,
            address: &self.desired.address,
            snapshot: &snapshot,
            changes: &changes,
            tags: &self.desired.tags,
            pools: &ways,
            rules: &self.rules,
            now: self.now,
            pace: Pace { busy: Duration::from_secs(15), idle: Duration::from_secs(300) },
        };
        let plan = plan_cluster(&situation);
        assert_eq!(lint(&plan, &situation), Ok(()), "the lint refuses the plan:\n{plan}");
        plan
    }

    /// All pools are empty from now on.
    pub(crate) fn drain_all(&mut self) {
        let names = self.world.pools.keys();
        self.drained = names.map(|name| PoolName::new(name).expect("a name")).collect();
    }
}

/// Plans `case` and compares the lines of the plan. Each plan is made twice.
#[track_caller]
pub(crate) fn check(case: &str, expect: &[&str]) {
    let read = Case::read(case);
    let text = read.plan().to_string().replace(SUBSCRIPTION, "SUB");
    assert_eq!(text.lines().collect::<Vec<_>>(), expect, "in {case}");
    let again = read.plan().to_string().replace(SUBSCRIPTION, "SUB");
    assert_eq!(again, text, "made twice, in {case}");
}

/// The problems of a declaration that a case edits.
#[track_caller]
pub(crate) fn problems(case: &str, account: Value) -> Vec<String> {
    let found = desire(manifest(&yaml(case)), account);
    let Err(problems) = found else { return Vec::new() };
    problems.iter().map(|problem| problem.to_string().replace(SUBSCRIPTION, "SUB")).collect()
}
