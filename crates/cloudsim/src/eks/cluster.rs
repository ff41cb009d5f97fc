//! Clusters: create, describe, list, delete.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::EksError;
use super::{Call, check, page};
use crate::Shared;
use crate::state::{Cluster, ClusterKey, Phase, digest_hex};

/// What a cluster gets when its request names no version.
const DEFAULT_VERSION: &str = "1.34";

/// The body of `CreateCluster`, as far as it is simulated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClusterRequest {
    name: String,
    role_arn: String,
    resources_vpc_config: VpcConfig,
    version: Option<String>,
    client_request_token: Option<String>,
    access_config: Option<AccessConfig>,
    kubernetes_network_config: Option<Value>,
    logging: Option<Value>,
    upgrade_policy: Option<Value>,
    bootstrap_self_managed_addons: Option<bool>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VpcConfig {
    #[serde(default)]
    subnet_ids: Vec<String>,
    #[serde(default)]
    security_group_ids: Vec<String>,
    endpoint_public_access: Option<bool>,
    endpoint_private_access: Option<bool>,
    public_access_cidrs: Option<Vec<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccessConfig {
    authentication_mode: Option<AuthenticationMode>,
    bootstrap_cluster_creator_admin_permissions: Option<bool>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AuthenticationMode {
    Api,
    ApiAndConfigMap,
    ConfigMap,
}

impl ClusterRequest {
    /// Whether whoever created the cluster may use it; nobody else can in a simulation.
    pub(crate) fn creator_is_admin(&self) -> bool {
        let access = self.access_config.as_ref();
        access.and_then(|access| access.bootstrap_cluster_creator_admin_permissions).unwrap_or(true)
    }

    fn check(&self) -> Result<(), EksError> {
        check::cluster_name(&self.name)?;
        check::role(&self.role_arn)?;
        check::subnets(&self.resources_vpc_config.subnet_ids, 2)?;
        check::version(self.version.as_deref().unwrap_or(DEFAULT_VERSION))?;
        let vpc = &self.resources_vpc_config;
        if vpc.endpoint_public_access == Some(false) && vpc.endpoint_private_access != Some(true) {
            return Err(EksError::invalid_parameter(
                "Private and public endpoint access cannot both be false.",
            ));
        }
        check::tags(self.tags.as_ref().unwrap_or(&BTreeMap::new()))
            .map_err(EksError::invalid_parameter)
    }
}

impl Shared {
    pub(super) async fn create_cluster(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut request: ClusterRequest = check::body(call.body)?;
        let name = request.name.clone();
        request.check().map_err(|error| error.of_cluster(&name))?;
        let key = call.key(&name);
        if let Some(cluster) = self.current(&key).await? {
            let same = request.client_request_token.is_some()
                && request.client_request_token == cluster.request.client_request_token;
            if same && !matches!(cluster.phase, Phase::Deleting { .. }) {
                return Ok(self.describe(&cluster));
            }
            let message = format!("Cluster already exists with name: {name}");
            return Err(EksError::in_use(message).of_cluster(&name));
        }
        let tags = request.tags.take().unwrap_or_default();
        let cluster = Cluster {
            key,
            uid: self.ids.uid(),
            version: request.version.clone().unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
            created_at: self.clock.now(),
            phase: Phase::Creating { due: self.due_in(self.settings.latencies.cluster_create) },
            tags,
            nodegroups: BTreeMap::new(),
            request,
        };
        self.store(&cluster).await?;
        Ok(self.describe(&cluster))
    }

    pub(super) async fn describe_cluster(
        &self,
        call: &Call<'_>,
        name: &str,
    ) -> Result<Value, EksError> {
        Ok(self.describe(&self.existing(&call.key(name)).await?))
    }

    pub(super) async fn list_clusters(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut names = Vec::new();
        for cluster in self.ledger.all().await.map_err(EksError::server)? {
            if cluster.key.region == call.region
                && let Some(cluster) =
                    self.settle_cluster(cluster).await.map_err(EksError::server)?
            {
                names.push(cluster.key.name);
            }
        }
        page::page(call.query, "clusters", names)
    }

    pub(super) async fn delete_cluster(
        &self,
        call: &Call<'_>,
        name: &str,
    ) -> Result<Value, EksError> {
        let mut cluster = self.existing(&call.key(name)).await?;
        let refused = |message: String| Err(EksError::in_use(message).of_cluster(name));
        match cluster.phase {
            Phase::Creating { .. } => {
                return refused(format!("Cluster {name} cannot be deleted while it is CREATING."));
            }
            Phase::Deleting { .. } => {
                return refused(format!("Cluster {name} is already DELETING."));
            }
            Phase::Active | Phase::CreateFailed { .. } => {}
        }
        if !cluster.nodegroups.is_empty() {
            return refused("Cluster has nodegroups attached".to_owned());
        }
        cluster.phase =
            Phase::Deleting { due: self.due_in(self.settings.latencies.cluster_delete) };
        self.store(&cluster).await?;
        Ok(self.describe(&cluster))
    }

    /// A cluster as `DescribeCluster` gives it. What the control plane brings along (endpoint, certificate, security
    /// group) is there once it runs.
    fn describe(&self, cluster: &Cluster) -> Value {
        let Cluster { key, uid, request, version, created_at, phase, tags, nodegroups: _ } =
            cluster;
        let ClusterKey { region: _, name } = key;
        let vpc = &request.resources_vpc_config;
        let access = request.access_config.as_ref().and_then(|access| access.authentication_mode);
        let mut described = json!({
            "name": name,
            "arn": key.arn(),
            // REST-JSON times are seconds.
            "createdAt": seconds(*created_at),
            "version": version,
            "platformVersion": "eks.1",
            "roleArn": request.role_arn,
            "status": phase.as_str(),
            "resourcesVpcConfig": {
                "subnetIds": vpc.subnet_ids,
                "securityGroupIds": vpc.security_group_ids,
                "vpcId": format!("vpc-{}", digest_hex(&vpc.subnet_ids.join(","), 17)),
                "endpointPublicAccess": vpc.endpoint_public_access.unwrap_or(true),
                "endpointPrivateAccess": vpc.endpoint_private_access.unwrap_or(false),
                "publicAccessCidrs":
                    vpc.public_access_cidrs.clone().unwrap_or_else(|| vec!["0.0.0.0/0".to_owned()]),
            },
            "kubernetesNetworkConfig": { "serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4" },
            "logging": request.logging.clone().unwrap_or_else(|| json!({ "clusterLogging": [] })),
            "certificateAuthority": {},
            "clientRequestToken": request.client_request_token,
            "tags": tags,
            "health": { "issues": [] },
            "accessConfig": {
                "authenticationMode": access.unwrap_or(AuthenticationMode::ConfigMap),
                "bootstrapClusterCreatorAdminPermissions": request.creator_is_admin(),
            },
            "upgradePolicy":
                request.upgrade_policy.clone().unwrap_or_else(|| json!({ "supportType": "EXTENDED" })),
            "deletionProtection": false,
        });
        if let Some(Value::Object(network)) = &request.kubernetes_network_config {
            for (field, value) in network {
                described["kubernetesNetworkConfig"][field] = value.clone();
            }
        }
        if cluster.has_member() {
            let url = self.settings.public_url.trim_end_matches('/');
            described["endpoint"] = json!(format!("{url}/clusters/{}", key.member_id()));
            described["certificateAuthority"]["data"] =
                json!(STANDARD.encode(&self.settings.ca_pem));
            let group = format!("sg-{}", digest_hex(uid, 17));
            described["resourcesVpcConfig"]["clusterSecurityGroupId"] = json!(group);
        }
        json!({ "cluster": described })
    }
}

/// Seconds since 1970 with milliseconds, the form of times in REST-JSON.
#[allow(clippy::cast_precision_loss, reason = "milliseconds of this millennium fit")]
pub(super) fn seconds(at: jiff::Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}
