//! Changes of a cluster: one kind per call, each an update that is then followed.

use serde_json::{Value, json};

use super::answer::{EksError, wire};
use super::shapes::{
    ConfigUpdate, EncryptionUpdate, Logging, NetworkConfig, VersionUpdate, VpcConfig,
};
use super::updates::Wanted;
use super::{Call, check};
use crate::Shared;
use crate::faults::blocks_upgrade;
use crate::state::{Change, Cluster, Target, with_values};

/// How many minor versions a kubelet may be behind its control plane.
const MAX_SKEW: u32 = 3;

/// One kind of change.
struct Kind {
    name: &'static str,
    params: Vec<(&'static str, String)>,
    values: Vec<(String, Value)>,
}

impl Kind {
    fn new(name: &'static str) -> Self {
        Self { name, params: Vec::new(), values: Vec::new() }
    }

    fn set(mut self, param: &'static str, path: &str, value: Value) -> Self {
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.params.push((param, text));
        self.values.push((path.to_owned(), value));
        self
    }
}

impl Shared {
    pub(super) async fn update_cluster_config(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let update: ConfigUpdate = check::body(call.body)?;
        let cluster = self.existing(call).await?;
        let token = update.client_request_token.clone();
        if let Some(known) = cluster.repeated(&Target::Cluster, token.as_deref()) {
            return Ok(known.describe());
        }
        let mut kinds = kinds(&cluster, update)?;
        let kind = match (kinds.pop(), kinds.is_empty()) {
            (Some(kind), true) => kind,
            (None, _) => {
                let message = "The type for cluster update was not provided.";
                return Err(EksError::invalid_parameter(message));
            }
            (Some(_), false) => {
                return Err(EksError::invalid_parameter("Only one type of update can be allowed."));
            }
        };
        let changed = with_values(&cluster.request, &kind.values);
        let changed = changed.map_err(EksError::invalid_parameter)?;
        changed.check_endpoint()?;
        changed.check_auto_mode()?;
        check_mode(&cluster, changed.authentication_mode())?;
        let subnets = changed.resources_vpc_config.subnet_ids.clone().unwrap_or_default();
        check::subnets(&subnets, 2)?;
        if self.unchanged(&cluster, &changed) {
            return Err(no_change(kind.name, &cluster, self));
        }
        let wanted = Wanted {
            kind: kind.name,
            target: Target::Cluster,
            params: kind.params,
            change: Change { values: kind.values, ..Change::default() },
            latency: self.settings.latencies.cluster_update,
            token,
        };
        self.begin_update(call, cluster, wanted).await
    }

    /// Whether nobody would see a difference.
    fn unchanged(&self, cluster: &Cluster, request: &super::ClusterRequest) -> bool {
        let after = Cluster { request: request.clone(), ..cluster.clone() };
        self.describe(&after) == self.describe(cluster)
    }

    pub(super) async fn update_cluster_version(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let update: VersionUpdate = check::body(call.body)?;
        let cluster = self.existing(call).await?;
        if let Some(known) =
            cluster.repeated(&Target::Cluster, update.client_request_token.as_deref())
        {
            return Ok(known.describe());
        }
        let (now, next) = (check::version(&cluster.version)?, check::version(&update.version)?);
        if next != now + 1 {
            return Err(EksError::invalid_parameter(format!(
                "Unsupported Kubernetes minor version update from {} to {}",
                cluster.version, update.version
            )));
        }
        let mut behind = Vec::new();
        for (name, group) in &cluster.nodegroups {
            if check::version(&group.version)? + MAX_SKEW < next {
                behind.push(name.as_str());
            }
        }
        if !behind.is_empty() {
            return Err(EksError::invalid_request(format!(
                "Nodegroups {} must be updated to match cluster version {} before updating cluster version",
                behind.join(", "),
                cluster.version
            )));
        }
        let faults = self.ledger.simulation().await.map_err(EksError::server)?.faults;
        if blocks_upgrade(&faults, &[&cluster.key.name]) && update.force != Some(true) {
            return Err(EksError::not_ready(
                "Amazon EKS detected upgrade readiness issues. Call the ListInsights API to view detected upgrade \
                 blocking issues. Pass the force flag when updating to override upgrade readiness errors.",
            ));
        }
        let version = update.version;
        let wanted = Wanted {
            kind: "VersionUpdate",
            target: Target::Cluster,
            params: vec![("Version", version.clone()), ("PlatformVersion", "eks.1".to_owned())],
            change: Change { version: Some(version), ..Change::default() },
            latency: self.settings.latencies.version_upgrade,
            token: update.client_request_token,
        };
        self.begin_update(call, cluster, wanted).await
    }

    pub(super) async fn associate_encryption(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let update: EncryptionUpdate = check::body(call.body)?;
        let cluster = self.existing(call).await?;
        let token = update.client_request_token;
        if let Some(known) = cluster.repeated(&Target::Cluster, token.as_deref()) {
            return Ok(known.describe());
        }
        check::encryption(&update.encryption_config)?;
        if cluster.request.encryption_config.is_some() {
            let message = "Encryption is already enabled for the cluster and cannot be changed.";
            return Err(EksError::invalid_request(message));
        }
        let config = wire(&update.encryption_config);
        let wanted = Wanted {
            kind: "AssociateEncryptionConfig",
            target: Target::Cluster,
            params: vec![("EncryptionConfig", config.to_string())],
            change: Change {
                values: vec![("encryptionConfig".to_owned(), config)],
                ..Change::default()
            },
            latency: self.settings.latencies.cluster_update,
            token,
        };
        self.begin_update(call, cluster, wanted).await
    }
}

/// The kinds of change that a request names.
fn kinds(cluster: &Cluster, update: ConfigUpdate) -> Result<Vec<Kind>, EksError> {
    // No `..`: a field that is not handled must not compile.
    let ConfigUpdate {
        resources_vpc_config,
        logging,
        client_request_token: _,
        access_config,
        upgrade_policy,
        zonal_shift_config,
        compute_config,
        kubernetes_network_config,
        storage_config,
        remote_network_config,
        deletion_protection,
        control_plane_scaling_config,
    } = update;
    let mut kinds = Vec::new();
    kinds.extend(resources_vpc_config.into_iter().flat_map(vpc_kinds));
    if let Some(logging) = logging {
        let mut on = cluster.request.logs();
        logging.apply_to(&mut on);
        let kind = Kind::new("LoggingUpdate");
        kinds.push(kind.set("ClusterLogging", "logging", wire(&Logging::of(&on))));
    }
    if let Some(access) = access_config {
        if access.bootstrap_cluster_creator_admin_permissions.is_some() {
            let message = "bootstrapClusterCreatorAdminPermissions cannot be updated.";
            return Err(EksError::invalid_parameter(message));
        }
        let mode = json!(access.authentication_mode);
        let kind = Kind::new("AccessConfigUpdate");
        kinds.push(kind.set("AuthenticationMode", "accessConfig.authenticationMode", mode));
    }
    let compute = compute_config.map(|config| wire(&config));
    let storage = storage_config.map(|config| wire(&config));
    kinds.extend(auto_mode_kind(compute, storage, kubernetes_network_config)?);
    let simple = [
        ("UpgradePolicyUpdate", "UpgradePolicy", "upgradePolicy", upgrade_policy.map(|c| wire(&c))),
        (
            "ZonalShiftConfigUpdate",
            "ZonalShiftConfig",
            "zonalShiftConfig",
            zonal_shift_config.map(|c| wire(&c)),
        ),
        (
            "RemoteNetworkConfigUpdate",
            "RemoteNetworkConfig",
            "remoteNetworkConfig",
            remote_network_config.map(|c| wire(&c)),
        ),
        (
            "DeletionProtectionUpdate",
            "DeletionProtection",
            "deletionProtection",
            deletion_protection.map(|on| json!(on)),
        ),
        (
            "ControlPlaneScalingConfigUpdate",
            "UpdatedTier",
            "controlPlaneScalingConfig",
            control_plane_scaling_config.map(|c| wire(&c)),
        ),
    ];
    for (name, param, path, value) in simple {
        kinds.extend(value.map(|value| Kind::new(name).set(param, path, value)));
    }
    Ok(kinds)
}

fn vpc_kinds(vpc: VpcConfig) -> Vec<Kind> {
    let VpcConfig {
        subnet_ids,
        security_group_ids,
        endpoint_public_access,
        endpoint_private_access,
        public_access_cidrs,
    } = vpc;
    let fields = |name: &'static str, fields: Vec<(&'static str, &str, Option<Value>)>| {
        let mut kind = Kind::new(name);
        for (param, field, value) in fields {
            if let Some(value) = value {
                kind = kind.set(param, &format!("resourcesVpcConfig.{field}"), value);
            }
        }
        (!kind.values.is_empty()).then_some(kind)
    };
    let public = endpoint_public_access.map(|on| json!(on));
    let private = endpoint_private_access.map(|on| json!(on));
    let cidrs = public_access_cidrs.map(|cidrs| json!(cidrs));
    let endpoint = vec![
        ("EndpointPublicAccess", "endpointPublicAccess", public),
        ("EndpointPrivateAccess", "endpointPrivateAccess", private),
        ("PublicAccessCidrs", "publicAccessCidrs", cidrs),
    ];
    let network = vec![
        ("Subnets", "subnetIds", subnet_ids.map(|ids| json!(ids))),
        ("SecurityGroups", "securityGroupIds", security_group_ids.map(|ids| json!(ids))),
    ];
    [fields("EndpointAccessUpdate", endpoint), fields("VpcConfigUpdate", network)]
        .into_iter()
        .flatten()
        .collect()
}

/// The three parts of Auto Mode are one change.
fn auto_mode_kind(
    compute: Option<Value>,
    storage: Option<Value>,
    network: Option<NetworkConfig>,
) -> Result<Option<Kind>, EksError> {
    if network.as_ref().is_some_and(|n| n.service_ipv4_cidr.is_some() || n.ip_family.is_some()) {
        let message = "serviceIpv4Cidr and ipFamily cannot be updated.";
        return Err(EksError::invalid_parameter(message));
    }
    let balancing = network.and_then(|network| network.elastic_load_balancing);
    let parts = [
        ("ComputeConfig", "computeConfig", compute),
        ("StorageConfig", "storageConfig", storage),
        (
            "KubernetesNetworkConfig",
            "kubernetesNetworkConfig.elasticLoadBalancing",
            balancing.map(|balancing| wire(&balancing)),
        ),
    ];
    let mut kind = Kind::new("AutoModeUpdate");
    for (param, path, value) in parts {
        if let Some(value) = value {
            kind = kind.set(param, path, value);
        }
    }
    Ok((!kind.values.is_empty()).then_some(kind))
}

/// Authentication only moves towards access entries.
fn check_mode(cluster: &Cluster, next: super::shapes::AuthenticationMode) -> Result<(), EksError> {
    use super::shapes::AuthenticationMode::{Api, ConfigMap};
    let now = cluster.request.authentication_mode();
    if next < now || (now == ConfigMap && next == Api) {
        let word = |mode| wire(&mode).as_str().unwrap_or_default().to_owned();
        return Err(EksError::invalid_parameter(format!(
            "Unsupported authentication mode update from {} to {}",
            word(now),
            word(next)
        )));
    }
    Ok(())
}

fn no_change(kind: &str, cluster: &Cluster, shared: &Shared) -> EksError {
    let described = shared.describe(cluster);
    let vpc = &described["cluster"]["resourcesVpcConfig"];
    EksError::invalid_parameter(match kind {
        "EndpointAccessUpdate" => {
            let cidrs = vpc["publicAccessCidrs"].as_array().into_iter().flatten();
            let cidrs: Vec<&str> = cidrs.filter_map(Value::as_str).collect();
            format!(
                "Cluster is already at the desired configuration with endpointPrivateAccess: {} , \
                 endpointPublicAccess: {}, and Public Endpoint Restrictions: [{}]",
                vpc["endpointPrivateAccess"],
                vpc["endpointPublicAccess"],
                cidrs.join(", ")
            )
        }
        "LoggingUpdate" => "No changes needed for the logging config provided".to_owned(),
        _ => format!("No changes needed for the {kind} provided"),
    })
}
