//! The `CreateCluster` request.

use std::collections::BTreeSet;

use fleetwright_api_types::{EksAccessMode, EksEndpoint, EksEndpointAccess, EksLog, EksSupport};
use serde_json::{Value, json};

use super::check::{Check, cidr};
use super::{BIRTH, Shared, patch};

/// Keys that a patch may not touch.
const FIXED: [&str; 5] = ["name", "version", "tags", "clientRequestToken", "roleArn"];
/// Every control plane log, in EKS's spelling.
const LOGS: [(EksLog, &str); 5] = [
    (EksLog::Api, "api"),
    (EksLog::Audit, "audit"),
    (EksLog::Authenticator, "authenticator"),
    (EksLog::ControllerManager, "controllerManager"),
    (EksLog::Scheduler, "scheduler"),
];

/// The request, and whatever is wrong with what it is made of.
pub(super) fn body(check: &mut Check, shared: &Shared<'_>, version: &str) -> Value {
    let eks = shared.eks;
    check.role("spec.eks.roleArn", &eks.role_arn);
    let mut body = json!({
        "name": shared.name,
        "version": version,
        "roleArn": eks.role_arn,
        "resourcesVpcConfig": network(check, shared),
        "tags": shared.tags,
    });
    if let Some(range) = &eks.network.service_cidr {
        service_range(check, range);
        body["kubernetesNetworkConfig"] = json!({"serviceIpv4Cidr": range});
    }
    let mut birth: Vec<&str> = Vec::new();
    access(check, shared, (&mut body, &mut birth));
    if let Some(support) = eks.support {
        let kind = match support {
            EksSupport::Standard => "STANDARD",
            EksSupport::Extended => "EXTENDED",
        };
        body["upgradePolicy"] = json!({"supportType": kind});
    }
    auto_mode(check, shared, (&mut body, &mut birth));
    if let Some(key) = &eks.kms_key_arn {
        check.arn_of("spec.eks.kmsKeyArn", key, &["kms"]);
        body["encryptionConfig"] = json!([{"resources": ["secrets"], "provider": {"keyArn": key}}]);
    }
    if let Some(logs) = &eks.logging {
        body["logging"] = logging(logs);
    }
    if !birth.is_empty() {
        body[BIRTH] = json!(birth);
    }
    let patched = (&mut body, eks.payload_patch.as_ref());
    patch::apply(check, patched, &FIXED, "spec.eks.payloadPatch");
    if eks.auto_mode.is_some() {
        still_automatic(check, &body);
    }
    body
}

/// A patch may not switch off what the block switches on: the block says what is wanted.
fn still_automatic(check: &mut Check, body: &Value) {
    let switches = [
        "computeConfig.enabled",
        "kubernetesNetworkConfig.elasticLoadBalancing.enabled",
        "storageConfig.blockStorage.enabled",
    ];
    for path in switches {
        let switch = path.split('.').fold(body, |value, key| &value[key]);
        check.that(*switch == true, &format!("spec.eks.payloadPatch.{path}"), || {
            "contradicts spec.eks.autoMode, which switches it on; to switch Auto Mode off leave that block out".into()
        });
    }
}

fn network(check: &mut Check, shared: &Shared<'_>) -> Value {
    let network = &shared.eks.network;
    let subnets: BTreeSet<&String> = network.subnet_ids.iter().collect();
    let field = "spec.eks.network.subnetIds";
    check.that(subnets.len() >= 2, field, || {
        format!("holds {} different subnets; EKS needs two in different zones", subnets.len())
    });
    check.that(!network.subnet_ids.iter().any(String::is_empty), field, || {
        "holds an empty id".into()
    });
    let mut config = json!({"subnetIds": subnets});
    if !network.security_group_ids.is_empty() {
        let field = "spec.eks.network.securityGroupIds";
        check.distinct(field, network.security_group_ids.iter().map(String::as_str));
        let groups: BTreeSet<&String> = network.security_group_ids.iter().collect();
        config["securityGroupIds"] = json!(groups);
    }
    if let Some(endpoint) = &network.endpoint {
        self::endpoint(check, endpoint, &mut config);
    }
    config
}

fn endpoint(check: &mut Check, endpoint: &EksEndpoint, config: &mut Value) {
    let (public, private) = match endpoint.access {
        EksEndpointAccess::Public => (true, false),
        EksEndpointAccess::PublicAndPrivate => (true, true),
        EksEndpointAccess::Private => (false, true),
    };
    config["endpointPublicAccess"] = json!(public);
    config["endpointPrivateAccess"] = json!(private);
    let field = "spec.eks.network.endpoint.publicCidrs";
    check.distinct(field, endpoint.public_cidrs.iter().map(String::as_str));
    for range in &endpoint.public_cidrs {
        check.that(cidr(range).is_some(), field, || {
            format!(
                "{range:?} is not an IPv4 range; write it like 203.0.113.0/24, without host bits"
            )
        });
    }
    check.that(public || endpoint.public_cidrs.is_empty(), field, || {
        "mean nothing with access Private".into()
    });
    if public {
        let ranges: BTreeSet<&str> = endpoint.public_cidrs.iter().map(String::as_str).collect();
        // Absent means all, and is said, so that it is also kept.
        let all = || BTreeSet::from(["0.0.0.0/0"]);
        config["publicAccessCidrs"] = json!(if ranges.is_empty() { all() } else { ranges });
    }
}

/// EKS API reference, `KubernetesNetworkConfigRequest.serviceIpv4Cidr`.
fn service_range(check: &mut Check, range: &str) {
    let fits = cidr(range).is_some_and(|(first, length)| {
        let private = first.is_private() && (first.octets()[0] != 172 || length >= 12);
        private && (12..=24).contains(&length)
    });
    check.that(fits, "spec.eks.network.serviceCidr", || {
        format!("{range:?} is not a private IPv4 range between /24 and /12, such as 172.20.0.0/16")
    });
}

fn access(check: &mut Check, shared: &Shared<'_>, (body, birth): (&mut Value, &mut Vec<&str>)) {
    let access = shared.eks.access.as_ref();
    let declared = access.and_then(|access| access.mode);
    let mode = match declared.unwrap_or(EksAccessMode::Api) {
        EksAccessMode::Api => "API",
        EksAccessMode::ApiAndConfigMap => "API_AND_CONFIG_MAP",
        EksAccessMode::ConfigMap => "CONFIG_MAP",
    };
    if declared.is_none() {
        birth.push("accessConfig.authenticationMode");
    }
    // We, who create it, must be able to write policies into it.
    birth.push("accessConfig.bootstrapClusterCreatorAdminPermissions");
    body["accessConfig"] =
        json!({"authenticationMode": mode, "bootstrapClusterCreatorAdminPermissions": true});
    let entries = access.is_some_and(|access| !access.entries.is_empty());
    check.that(!entries || mode != "CONFIG_MAP", "spec.eks.access.entries", || {
        "need access mode Api or ApiAndConfigMap; in mode ConfigMap EKS knows no entries".into()
    });
}

fn auto_mode(check: &mut Check, shared: &Shared<'_>, (body, birth): (&mut Value, &mut Vec<&str>)) {
    let Some(auto) = &shared.eks.auto_mode else { return };
    let api = body["accessConfig"]["authenticationMode"] != "CONFIG_MAP";
    check.that(api, "spec.eks.autoMode", || "needs access mode Api or ApiAndConfigMap".into());
    let mut compute = json!({"enabled": true});
    if !auto.node_pools.is_empty() {
        let field = "spec.eks.autoMode.nodePools";
        check.distinct(field, auto.node_pools.iter().map(String::as_str));
        check.that(auto.node_role_arn.is_some(), "spec.eks.autoMode.nodeRoleArn", || {
            "is missing; EKS's built-in pools need it".into()
        });
        let pools: BTreeSet<&String> = auto.node_pools.iter().collect();
        compute["nodePools"] = json!(pools);
    }
    if let Some(role) = &auto.node_role_arn {
        check.role("spec.eks.autoMode.nodeRoleArn", role);
        compute["nodeRoleArn"] = json!(role);
    }
    // EKS takes the three together only, and then installs none of its self-managed add-ons.
    body["computeConfig"] = compute;
    body["kubernetesNetworkConfig"]["elasticLoadBalancing"] = json!({"enabled": true});
    body["storageConfig"] = json!({"blockStorage": {"enabled": true}});
    body["bootstrapSelfManagedAddons"] = json!(false);
    birth.push("bootstrapSelfManagedAddons");
}

fn logging(declared: &[EksLog]) -> Value {
    let (on, off): (Vec<_>, Vec<_>) = LOGS.iter().partition(|(log, _)| declared.contains(log));
    let names = |logs: &[&(EksLog, &str)]| logs.iter().map(|(_, name)| json!(name)).collect();
    let side = |logs: &[&(EksLog, &str)], enabled: bool| {
        let types: Vec<Value> = names(logs);
        (!types.is_empty()).then(|| json!({"types": types, "enabled": enabled}))
    };
    let setup: Vec<Value> = [side(&on, true), side(&off, false)].into_iter().flatten().collect();
    json!({"clusterLogging": setup})
}
