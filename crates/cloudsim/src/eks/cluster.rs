//! Clusters: create, describe, list, delete.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::access::policy_arn;
use super::answer::{EksError, seconds, wire};
use super::shapes::{
    AuthenticationMode, ClusterRequest, LogSetup, LogType, Logging, NetworkConfig,
};
use super::{Call, check, page};
use crate::Shared;
use crate::state::{AccessEntry, Cluster, ClusterKey, Phase, Target, digest_hex};

/// What a cluster gets when its request names no version.
pub(super) const DEFAULT_VERSION: &str = "1.34";
const ALL_LOGS: [LogType; 5] = [
    LogType::Api,
    LogType::Audit,
    LogType::Authenticator,
    LogType::ControllerManager,
    LogType::Scheduler,
];

impl ClusterRequest {
    /// Whether whoever created the cluster may use it from the start.
    pub(crate) fn creator_is_admin(&self) -> bool {
        let access = self.access_config.as_ref();
        access.and_then(|access| access.bootstrap_cluster_creator_admin_permissions).unwrap_or(true)
    }

    pub(super) fn authentication_mode(&self) -> AuthenticationMode {
        let access = self.access_config.as_ref();
        let mode = access.and_then(|access| access.authentication_mode);
        mode.unwrap_or(AuthenticationMode::ConfigMap)
    }

    /// Whether access entries decide who may use the cluster.
    pub(crate) fn uses_entries(&self) -> bool {
        self.authentication_mode() != AuthenticationMode::ConfigMap
    }

    /// The logs that are on.
    pub(super) fn logs(&self) -> BTreeSet<LogType> {
        let mut on = BTreeSet::new();
        if let Some(logging) = &self.logging {
            logging.apply_to(&mut on);
        }
        on
    }

    fn check(&self) -> Result<(), EksError> {
        check::cluster_name(&self.name)?;
        check::role(&self.role_arn)?;
        let subnets = self.resources_vpc_config.subnet_ids.clone().unwrap_or_default();
        check::subnets(&subnets, 2)?;
        check::version(self.version.as_deref().unwrap_or(DEFAULT_VERSION))?;
        self.check_endpoint()?;
        self.check_auto_mode()?;
        if let Some(encryption) = &self.encryption_config {
            check::encryption(encryption)?;
        }
        check::tags(self.tags.as_ref().unwrap_or(&BTreeMap::new()))
            .map_err(EksError::invalid_parameter)
    }

    /// Somebody must be able to reach it.
    pub(super) fn check_endpoint(&self) -> Result<(), EksError> {
        let vpc = &self.resources_vpc_config;
        if vpc.endpoint_public_access == Some(false) && vpc.endpoint_private_access != Some(true) {
            return Err(EksError::invalid_parameter(
                "Private and public endpoint access cannot both be false.",
            ));
        }
        check::cidrs(vpc.public_access_cidrs.as_deref().unwrap_or_default())
    }

    /// The three parts of Auto Mode are on or off together.
    pub(super) fn check_auto_mode(&self) -> Result<(), EksError> {
        let compute = self.compute_config.as_ref().and_then(|compute| compute.enabled);
        let storage = self.storage_config.as_ref().and_then(|s| s.block_storage.as_ref());
        let network = self.kubernetes_network_config.as_ref();
        let network = network.and_then(|network| network.elastic_load_balancing.as_ref());
        let parts = [
            compute.unwrap_or(false),
            storage.and_then(|storage| storage.enabled).unwrap_or(false),
            network.and_then(|network| network.enabled).unwrap_or(false),
        ];
        if parts.iter().any(|part| *part != parts[0]) {
            return Err(EksError::invalid_parameter(
                "For EKS Auto Mode, please ensure that all required configs, including computeConfig, \
                 kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled.",
            ));
        }
        if parts[0] && !self.uses_entries() {
            return Err(EksError::invalid_parameter(
                "EKS Auto Mode needs the authentication mode API or API_AND_CONFIG_MAP.",
            ));
        }
        let pools = self.compute_config.as_ref().and_then(|compute| compute.node_pools.as_ref());
        let known = |pool: &&String| ["system", "general-purpose"].contains(&pool.as_str());
        match pools.and_then(|pools| pools.iter().find(|pool| !known(pool))) {
            Some(pool) => Err(EksError::invalid_parameter(format!(
                "The node pool {pool} does not exist; there are system and general-purpose."
            ))),
            None => Ok(()),
        }
    }
}

impl Logging {
    /// Turns logs on and off.
    pub(super) fn apply_to(&self, on: &mut BTreeSet<LogType>) {
        for LogSetup { types, enabled } in self.cluster_logging.iter().flatten() {
            for log in types.iter().flatten() {
                if enabled.unwrap_or(false) {
                    on.insert(*log)
                } else {
                    on.remove(log)
                };
            }
        }
    }

    /// As EKS shows them: those that are on, then those that are off.
    pub(super) fn of(on: &BTreeSet<LogType>) -> Self {
        let off: Vec<LogType> = ALL_LOGS.into_iter().filter(|log| !on.contains(log)).collect();
        let on: Vec<LogType> = on.iter().copied().collect();
        let setup = |types: Vec<LogType>, enabled| {
            (!types.is_empty()).then_some(LogSetup { types: Some(types), enabled: Some(enabled) })
        };
        let cluster_logging = [setup(on, true), setup(off, false)].into_iter().flatten();
        Self { cluster_logging: Some(cluster_logging.collect()) }
    }
}

impl Cluster {
    /// The access entry of whoever created the cluster, once entries count.
    pub(crate) fn let_creator_in(&mut self, now: jiff::Timestamp) {
        if !self.request.uses_entries() || !self.request.creator_is_admin() {
            return;
        }
        let entry = AccessEntry::standard(self, &self.creator, now);
        let entry = entry.with_policy(policy_arn(&self.key, "AmazonEKSClusterAdminPolicy"), now);
        self.entries.entry(self.creator.clone()).or_insert(entry);
    }
}

impl Shared {
    pub(super) async fn create_cluster(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut request: ClusterRequest = check::body(call.body)?;
        let name = request.name.clone();
        request.check()?;
        let key = call.key(&name);
        if let Some(cluster) = self.current(&key).await.map_err(EksError::server)? {
            let same = request.client_request_token.is_some()
                && request.client_request_token == cluster.request.client_request_token;
            if same && !cluster.phase.is_deleting() {
                return Ok(self.describe(&cluster));
            }
            return Err(EksError::in_use(format!("Cluster already exists with name: {name}")));
        }
        let tags = request.tags.take().unwrap_or_default();
        let now = self.clock.now();
        let mut cluster = Cluster {
            key,
            uid: self.ids.uid(),
            version: request.version.take().unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
            created_at: now,
            phase: Phase::Creating { due: self.due_in(self.settings.latencies.cluster_create) },
            tags,
            nodegroups: BTreeMap::new(),
            request,
            creator: call.principal.arn.clone(),
            addons: BTreeMap::new(),
            entries: BTreeMap::new(),
            identities: BTreeMap::new(),
            fargate: BTreeMap::new(),
            updates: Vec::new(),
            outside: BTreeSet::new(),
        };
        cluster.let_creator_in(now);
        self.store(&cluster).await?;
        Ok(self.describe(&cluster))
    }

    pub(super) async fn describe_cluster(&self, call: &Call<'_>) -> Result<Value, EksError> {
        Ok(self.describe(&self.existing(call).await?))
    }

    pub(super) async fn list_clusters(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut names = BTreeSet::new();
        for cluster in self.ledger.all::<ClusterKey>().await.map_err(EksError::server)? {
            if cluster.key.region == call.region
                && let Some(cluster) =
                    self.settle_cluster(cluster).await.map_err(EksError::server)?
            {
                names.insert(cluster.key.name);
            }
        }
        let now = self.clock.now();
        for shadow in self.ledger.shadows::<ClusterKey>().await.map_err(EksError::server)? {
            if shadow.key.region != call.region || shadow.until <= now {
                continue;
            }
            match shadow.before {
                Some(_) => names.insert(shadow.key.name),
                None => names.remove(&shadow.key.name),
            };
        }
        page::page(call.query, "clusters", names.into_iter().collect())
    }

    pub(super) async fn delete_cluster(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut cluster = self.existing(call).await?;
        let name = &cluster.key.name;
        match cluster.phase {
            Phase::Creating { .. } => {
                let message = format!("Cluster {name} cannot be deleted while it is CREATING.");
                return Err(EksError::in_use(message));
            }
            Phase::Deleting { .. } => {
                return Err(EksError::in_use(format!("Cluster {name} is already DELETING.")));
            }
            Phase::Active | Phase::CreateFailed { .. } => {}
        }
        if cluster.request.deletion_protection == Some(true) {
            let message =
                format!("Cluster {name} cannot be deleted: deletion protection is enabled.");
            return Err(EksError::invalid_request(message));
        }
        if let Some(update) = cluster.under_way(&Target::Cluster) {
            let message = format!(
                "Cannot delete because cluster {name} currently has an update in progress: {}",
                update.id
            );
            return Err(EksError::in_use(message));
        }
        if !cluster.nodegroups.is_empty() {
            return Err(EksError::in_use("Cluster has nodegroups attached"));
        }
        if !cluster.fargate.is_empty() {
            return Err(EksError::in_use("Cluster has Fargate profiles attached"));
        }
        cluster.phase =
            Phase::Deleting { due: self.due_in(self.settings.latencies.cluster_delete) };
        self.store(&cluster).await?;
        Ok(self.describe(&cluster))
    }

    /// A cluster as `DescribeCluster` gives it. What the control plane brings along (endpoint, certificate, security
    /// group) is there once it runs.
    pub(super) fn describe(&self, cluster: &Cluster) -> Value {
        let Cluster { key, request, version, created_at, tags, .. } = cluster;
        let switch = |enabled: bool| json!({ "enabled": enabled });
        let mut described = json!({
            "name": key.name,
            "arn": key.arn(),
            // REST-JSON times are seconds.
            "createdAt": seconds(*created_at),
            "version": version,
            "platformVersion": "eks.1",
            "roleArn": request.role_arn,
            "status": cluster.status(),
            "resourcesVpcConfig": self.describe_vpc(cluster),
            "kubernetesNetworkConfig": describe_network(request.kubernetes_network_config.as_ref()),
            "logging": wire(&Logging::of(&request.logs())),
            "certificateAuthority": {},
            "tags": tags,
            "health": { "issues": [] },
            "accessConfig": {
                "authenticationMode": request.authentication_mode(),
                "bootstrapClusterCreatorAdminPermissions": request.creator_is_admin(),
            },
            "upgradePolicy": { "supportType": "EXTENDED" },
            "computeConfig": switch(false),
            "storageConfig": { "blockStorage": switch(false) },
            "zonalShiftConfig": switch(false),
            "controlPlaneScalingConfig": { "tier": "standard" },
            "deletionProtection": request.deletion_protection.unwrap_or(false),
        });
        let said = wire(request);
        for field in [
            "clientRequestToken",
            "upgradePolicy",
            "computeConfig",
            "storageConfig",
            "zonalShiftConfig",
            "controlPlaneScalingConfig",
            "encryptionConfig",
            "remoteNetworkConfig",
        ] {
            if let Some(value) = said.get(field) {
                described[field] = value.clone();
            }
        }
        if cluster.has_member() {
            let url = self.settings.public_url.trim_end_matches('/');
            described["endpoint"] = json!(format!("{url}/clusters/{}", key.member_id()));
            described["certificateAuthority"]["data"] =
                json!(STANDARD.encode(&self.settings.ca_pem));
            described["identity"]["oidc"]["issuer"] = json!(issuer(key, &cluster.uid));
        }
        json!({ "cluster": described })
    }

    fn describe_vpc(&self, cluster: &Cluster) -> Value {
        let vpc = &cluster.request.resources_vpc_config;
        let subnets = vpc.subnet_ids.clone().unwrap_or_default();
        let public = vpc.endpoint_public_access.unwrap_or(true);
        let everywhere = if public { vec!["0.0.0.0/0".to_owned()] } else { Vec::new() };
        let mut described = json!({
            "subnetIds": subnets,
            "securityGroupIds": vpc.security_group_ids.clone().unwrap_or_default(),
            // All subnets of a region are in one network.
            "vpcId": format!("vpc-{}", digest_hex(&cluster.key.region, 17)),
            "endpointPublicAccess": public,
            "endpointPrivateAccess": vpc.endpoint_private_access.unwrap_or(false),
            "publicAccessCidrs": vpc.public_access_cidrs.clone().unwrap_or(everywhere),
        });
        if cluster.has_member() {
            let group = format!("sg-{}", digest_hex(&cluster.uid, 17));
            described["clusterSecurityGroupId"] = json!(group);
        }
        described
    }
}

/// The issuer of service account tokens.
fn issuer(key: &ClusterKey, uid: &str) -> String {
    let id = digest_hex(uid, 32).to_uppercase();
    format!("https://oidc.eks.{}.{}/id/{id}", key.region, key.domain())
}

fn describe_network(said: Option<&NetworkConfig>) -> Value {
    let mut network = json!({
        "serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4",
        "elasticLoadBalancing": { "enabled": false },
    });
    if let Some(Value::Object(fields)) = said.map(wire) {
        for (field, value) in fields {
            network[field] = value;
        }
    }
    network
}
