//! From a declaration to requests, or to problems.

use fleetwright_provider::Provider as _;
use serde_json::{Value, json};

use crate::support::{account, cluster, desire, desired, parsed, pool_tags, silent, tags};

fn problems(edit: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut cluster = cluster();
    edit(&mut cluster["spec"]);
    desire(cluster, account()).expect_err("problems").iter().map(ToString::to_string).collect()
}

#[test]
fn a_declaration_becomes_one_request_each() {
    let desired = desired();
    assert_eq!(desired.address.to_string(), "eks:eu-west-1/payments-eu-01");
    assert_eq!((desired.generation, desired.version.minor), (3, 34));
    assert_eq!(
        desired.body,
        json!({
            "name": "payments-eu-01",
            "version": "1.34",
            "roleArn": "arn:aws:iam::111122223333:role/eks-control-plane",
            "resourcesVpcConfig": {"subnetIds": ["subnet-0a", "subnet-0b"]},
            "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": true},
            "tags": tags(),
            "_birth": ["accessConfig.authenticationMode", "accessConfig.bootstrapClusterCreatorAdminPermissions"]
        })
    );
    assert_eq!(desired.pools.len(), 1);
    assert_eq!(
        desired.pools[0].body,
        json!({
            "clusterName": "payments-eu-01",
            "nodegroupName": "general",
            "scalingConfig": {"minSize": 3, "maxSize": 12, "desiredSize": 4},
            "subnets": ["subnet-0a", "subnet-0b"],
            "instanceTypes": ["m7g.xlarge", "m6g.xlarge"],
            "amiType": "AL2023_ARM_64_STANDARD",
            "nodeRole": "arn:aws:iam::111122223333:role/nodes",
            "labels": {"workload": "general"},
            "tags": pool_tags(),
            "_birth": ["scalingConfig.desiredSize", "subnets"]
        })
    );
}

#[test]
fn the_order_of_subnets_and_pools_does_not_matter() {
    let mut turned = cluster();
    turned["spec"]["eks"]["network"]["subnetIds"] = json!(["subnet-0a", "subnet-0b"]);
    let mut other = turned["spec"]["nodePools"][0].clone();
    other["name"] = json!("batch");
    let mut two = cluster();
    two["spec"]["nodePools"] = json!([other, two["spec"]["nodePools"][0]]);
    turned["spec"]["nodePools"] = json!([turned["spec"]["nodePools"][0], other]);
    assert_eq!(desire(two, account()), desire(turned, account()));
}

#[test]
fn a_clusters_own_tag_wins_over_its_accounts() {
    let mut cluster = cluster();
    cluster["spec"]["tags"] = json!({"team": "treasury"});
    let desired = desire(cluster, account()).expect("no problems");
    assert_eq!(desired.body["tags"]["team"], "treasury");
    assert_eq!(desired.body["tags"]["fleetwright.dev/uid"], "0001");
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems(|spec| {
        spec["version"] = json!("latest");
        spec["tags"] = json!({"fleetwright.dev/uid": "mine"});
        spec["eks"]["region"] = json!("evil.example/");
        spec["eks"]["roleArn"] = json!("arn:aws:iam::1:role/x");
        spec["eks"]["externalName"] = json!("a/b");
        spec["eks"]["network"]["subnetIds"] = json!(["subnet-0a", "subnet-0a"]);
        spec["nodePools"][0]["size"] = json!({"min": 5, "max": 3});
    });
    assert_eq!(
        found,
        [
            r#"spec.version: "latest" is not a Kubernetes version; write it like 1.34"#,
            r#"spec.eks.externalName: EKS cluster name "a/b" must start with a letter or digit and hold only letters, digits, - and _, at most 100"#,
            r#"spec.eks.region: "evil.example/" is not an AWS region; write it like eu-west-1"#,
            "spec.tags[fleetwright.dev/uid]: keys under fleetwright.dev/ are reserved",
            r#"spec.eks.roleArn: "arn:aws:iam::1:role/x" is not a role; write it like arn:aws:iam::111122223333:role/name"#,
            "spec.eks.network.subnetIds: holds 1 different subnets; EKS needs two in different zones",
            "spec.nodePools[general].size: min 5 is above max 3",
        ]
    );
}

#[test]
fn pools_are_checked_one_by_one() {
    let found = problems(|spec| {
        let mut twin = spec["nodePools"][0].clone();
        twin["size"]["initial"] = json!(13);
        let mut bare = spec["nodePools"][0].clone();
        bare["name"] = json!("Bare");
        bare["eks"] = Value::Null;
        spec["nodePools"] = json!([spec["nodePools"][0], twin, bare]);
    });
    assert_eq!(
        found,
        [
            "spec.nodePools[general].size.initial: 13 does not lie between min 3 and max 12",
            "spec.nodePools[general]: another pool has the same name",
            r#"spec.nodePools[Bare].name: node pool name "Bare" must be a DNS label: lower-case letters, digits and inner dashes, at most 63"#,
            "spec.nodePools[Bare].eks: is missing; a pool of an EKS cluster needs it",
        ]
    );
}

#[test]
fn a_patch_version_is_refused_since_eks_chooses_it() {
    assert_eq!(
        problems(|spec| spec["version"] = json!("1.34.2")),
        [r#"spec.version: "1.34.2" is not MAJOR.MINOR; write it like 1.34, EKS chooses the patch"#]
    );
}

#[test]
fn a_cluster_without_its_block_and_an_account_without_aws_are_refused() {
    assert_eq!(
        problems(|spec| spec["eks"] = Value::Null),
        ["spec.eks: is missing; this cluster's provider needs it"]
    );
    let mut account = account();
    account["spec"]["aws"] = Value::Null;
    account["spec"]["defaultTags"] = json!({"aws:x": "1"});
    let found = desire(cluster(), account).expect_err("problems");
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "spec.providerConfigRef: ProviderConfig aws-payments has no aws block, which an EKS cluster needs",
            "spec.providerConfigRef: ProviderConfig aws-payments, defaultTags[aws:x]: keys under aws: are reserved",
        ]
    );
}

#[test]
fn deletion_finds_the_cluster_without_a_valid_spec() {
    let mut object = cluster();
    object["spec"]["eks"] = Value::Null;
    assert_eq!(silent().address(&parsed(object.clone())), None, "nothing was ever made");
    object["status"] = json!({"provider": "eks", "observed": {
        "region": "eu-west-1", "externalName": "old-name", "providerConfig": "aws-old"
    }});
    let address = silent().address(&parsed(object.clone())).expect("observed");
    assert_eq!(address.to_string(), "eks:eu-west-1/old-name");
    assert_eq!(address.provider_config, "aws-old");
    object["status"]["provider"] = json!("aks");
    assert_eq!(silent().address(&parsed(object)), None, "another provider's cluster");
}

#[test]
fn a_cluster_without_an_external_name_gets_a_derived_one() {
    let mut object = cluster();
    object["spec"]["eks"]["externalName"] = Value::Null;
    let address = silent().address(&parsed(object)).expect("declared");
    assert_eq!(address.external_name, "payments-payments-eu-923652");
}

#[test]
fn every_field_of_a_control_plane_becomes_its_wire_form() {
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let mut cluster = cluster();
    let eks = &mut cluster["spec"]["eks"];
    eks["support"] = json!("Standard");
    eks["network"]["securityGroupIds"] = json!(["sg-0b", "sg-0a"]);
    eks["network"]["serviceCidr"] = json!("172.20.0.0/16");
    eks["network"]["endpoint"] =
        json!({"access": "PublicAndPrivate", "publicCidrs": ["203.0.113.0/24"]});
    eks["access"] = json!({"mode": "ApiAndConfigMap"});
    eks["autoMode"] =
        json!({"nodePools": ["system", "general-purpose"], "nodeRoleArn": role("auto")});
    eks["kmsKeyArn"] = json!("arn:aws:kms:eu-west-1:111122223333:key/abc");
    eks["logging"] = json!(["Api", "ControllerManager"]);
    eks["payloadPatch"] = json!({
        "zonalShiftConfig": {"enabled": true}, "resourcesVpcConfig": {"endpointPrivateAccess": null}
    });
    let desired = desire(cluster, account()).expect("no problems");
    assert_eq!(
        fleetwright_provider::wire_request(&desired.body),
        json!({
            "name": "payments-eu-01",
            "version": "1.34",
            "roleArn": role("eks-control-plane"),
            "resourcesVpcConfig": {
                "subnetIds": ["subnet-0a", "subnet-0b"],
                "securityGroupIds": ["sg-0a", "sg-0b"],
                "endpointPublicAccess": true,
                "publicAccessCidrs": ["203.0.113.0/24"]
            },
            "kubernetesNetworkConfig": {
                "serviceIpv4Cidr": "172.20.0.0/16", "elasticLoadBalancing": {"enabled": true}
            },
            "accessConfig": {
                "authenticationMode": "API_AND_CONFIG_MAP",
                "bootstrapClusterCreatorAdminPermissions": true
            },
            "upgradePolicy": {"supportType": "STANDARD"},
            "computeConfig": {
                "enabled": true,
                "nodePools": ["general-purpose", "system"],
                "nodeRoleArn": role("auto")
            },
            "storageConfig": {"blockStorage": {"enabled": true}},
            "bootstrapSelfManagedAddons": false,
            "encryptionConfig": [{
                "resources": ["secrets"],
                "provider": {"keyArn": "arn:aws:kms:eu-west-1:111122223333:key/abc"}
            }],
            "logging": {"clusterLogging": [
                {"types": ["api", "controllerManager"], "enabled": true},
                {"types": ["audit", "authenticator", "scheduler"], "enabled": false}
            ]},
            "zonalShiftConfig": {"enabled": true},
            "tags": tags()
        })
    );
}

#[test]
fn every_field_of_a_pool_becomes_its_wire_form() {
    let mut cluster = cluster();
    let pool = &mut cluster["spec"]["nodePools"][0];
    pool["capacity"] = json!("CapacityBlock");
    pool["imageUpdates"] = json!("InWindow");
    pool["update"] =
        json!({"maxUnavailable": "25%", "drainTimeout": "90s", "onDrainTimeout": "Force"});
    pool["taints"] = json!([{"key": "gpu", "value": "a", "effect": "PreferNoSchedule"}]);
    pool["eks"]["subnetIds"] = json!(["subnet-0d", "subnet-0c"]);
    pool["eks"]["launchTemplate"] = json!({"id": "lt-0a", "version": "7"});
    pool["eks"]["payloadPatch"] = json!({"nodeRepairConfig": {"enabled": true}});
    let desired = desire(cluster, account()).expect("no problems");
    let pool = &desired.pools[0];
    assert_eq!(pool.drain_timeout.as_secs(), 90);
    assert_eq!(pool.on_drain_timeout, fleetwright_api_types::OnDrainTimeout::Force);
    assert_eq!(
        pool.body,
        json!({
            "clusterName": "payments-eu-01",
            "nodegroupName": "general",
            "scalingConfig": {"minSize": 3, "maxSize": 12, "desiredSize": 4},
            "subnets": ["subnet-0c", "subnet-0d"],
            "instanceTypes": ["m7g.xlarge", "m6g.xlarge"],
            "amiType": "AL2023_ARM_64_STANDARD",
            "capacityType": "CAPACITY_BLOCK",
            "launchTemplate": {"id": "lt-0a", "version": "7"},
            "nodeRole": "arn:aws:iam::111122223333:role/nodes",
            "labels": {"workload": "general"},
            "taints": [{"key": "gpu", "value": "a", "effect": "PREFER_NO_SCHEDULE"}],
            "updateConfig": {"maxUnavailablePercentage": 25},
            "nodeRepairConfig": {"enabled": true},
            "tags": pool_tags(),
            "_birth": ["scalingConfig.desiredSize"],
            "_image": "InWindow"
        })
    );
}

#[test]
fn what_does_not_go_together_is_told_at_its_field() {
    let found = problems(|spec| {
        let eks = &mut spec["eks"];
        eks["network"]["serviceCidr"] = json!("8.8.0.0/16");
        eks["network"]["endpoint"] = json!({"access": "Private", "publicCidrs": ["10.0.0.1/8"]});
        eks["access"] = json!({"mode": "ConfigMap", "entries": [
            {"principalArn": "arn:aws-cn:iam::111122223333:role/ops", "groups": ["system:masters"]},
            {"principalArn": "arn:aws:iam::111122223333:role/nodes", "type": "EC2_LINUX", "policies": [{"name": "X"}]}
        ]});
        eks["autoMode"] = json!({"nodePools": ["system"]});
        eks["payloadPatch"] = json!({"tags": {"a": "b"}, "_birth": []});
        let pool = &mut spec["nodePools"][0];
        pool["capacity"] = json!("CapacityBlock");
        pool["update"] = json!({"maxUnavailable": "0%", "drainTimeout": "soon"});
        pool["taints"] = json!([{"key": "a", "effect": "NoExecute"}, {"key": "a", "value": "b", "effect": "NoExecute"}]);
        pool["eks"]["payloadPatch"] = json!({"version": "1.30"});
    });
    assert_eq!(
        found,
        [
            "spec.eks.network.endpoint.publicCidrs: \"10.0.0.1/8\" is not an IPv4 range; write it like 203.0.113.0/24, without host bits",
            "spec.eks.network.endpoint.publicCidrs: mean nothing with access Private",
            "spec.eks.network.serviceCidr: \"8.8.0.0/16\" is not a private IPv4 range between /24 and /12, such as 172.20.0.0/16",
            "spec.eks.access.entries: need access mode Api or ApiAndConfigMap; in mode ConfigMap EKS knows no entries",
            "spec.eks.autoMode: needs access mode Api or ApiAndConfigMap",
            "spec.eks.autoMode.nodeRoleArn: is missing; EKS's built-in pools need it",
            "spec.eks.payloadPatch._birth: may not be patched: it says what the resource is or whose",
            "spec.eks.payloadPatch.tags: may not be patched: it says what the resource is or whose",
            "spec.nodePools[general].update.drainTimeout: is not a duration; write it like 15m",
            "spec.nodePools[general].capacity: CapacityBlock needs eks.launchTemplate, which names the reservation",
            "spec.nodePools[general].taints: a with effect NoExecute stands there twice",
            "spec.nodePools[general].update.maxUnavailable: \"0%\" is neither a number nor a share between 1% and 100%",
            "spec.nodePools[general].eks.payloadPatch.version: may not be patched: it says what the resource is or whose",
            "spec.eks.access.entries[arn:aws-cn:iam::111122223333:role/ops].principalArn: \"arn:aws-cn:iam::111122223333:role/ops\" is in partition aws-cn, the region in aws",
            "spec.eks.access.entries[arn:aws-cn:iam::111122223333:role/ops].groups: system:masters is Kubernetes' own; EKS refuses groups under system:",
            "spec.eks.access.entries[arn:aws:iam::111122223333:role/nodes].policies: do not go with type EC2_LINUX: EKS gives such an entry what nodes need",
        ]
    );
}

#[test]
fn a_patch_may_not_switch_off_what_a_block_switches_on() {
    let role = "arn:aws:iam::111122223333:role/eks-auto";
    let found = |patch: Value| {
        problems(|spec| {
            spec["eks"]["autoMode"] = json!({"nodeRoleArn": role});
            spec["eks"]["payloadPatch"] = patch;
        })
    };
    let why = "contradicts spec.eks.autoMode, which switches it on; to switch Auto Mode off leave that block out";
    assert_eq!(
        found(json!({
            "computeConfig": {"enabled": false},
            "storageConfig": null,
            "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": false}},
        })),
        [
            format!("spec.eks.payloadPatch.computeConfig.enabled: {why}"),
            format!(
                "spec.eks.payloadPatch.kubernetesNetworkConfig.elasticLoadBalancing.enabled: {why}"
            ),
            format!("spec.eks.payloadPatch.storageConfig.blockStorage.enabled: {why}"),
        ]
    );
    let mut cluster = cluster();
    cluster["spec"]["eks"]["autoMode"] = json!({"nodeRoleArn": role});
    cluster["spec"]["eks"]["payloadPatch"] = json!({"computeConfig": {"nodePools": ["system"]}});
    assert!(desire(cluster, account()).is_ok(), "what does not contradict may be patched");
}

#[test]
fn the_final_request_is_held_against_the_accounts_limits() {
    let mut account = account();
    account["spec"]["limits"] = json!({
        "accountIds": ["111122223333"],
        "regions": ["eu-central-1"],
        "roleArns": ["arn:aws:iam::*:role/eks-*"],
        "payloadPatch": "Denied"
    });
    let mut cluster = cluster();
    cluster["spec"]["eks"]["payloadPatch"] =
        json!({"computeConfig": {"nodeRoleArn": "arn:aws:iam::999988887777:role/eks-auto"}});
    cluster["spec"]["nodePools"][0]["eks"]["payloadPatch"] = json!({});
    let found = desire(cluster, account).expect_err("problems");
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "spec.eks.region: eu-west-1 is not among the regions of the account's limits: eu-central-1",
            "spec.eks.payloadPatch: is denied by the account's limits",
            "spec.nodePools[general].eks.payloadPatch: is denied by the account's limits",
            "spec.eks.autoMode.nodeRoleArn: arn:aws:iam::999988887777:role/eks-auto is in account 999988887777, the limits allow 111122223333",
            "spec.nodePools[general].eks.roleArn: arn:aws:iam::111122223333:role/nodes is outside the account's limits.roleArns: arn:aws:iam::*:role/eks-*",
        ]
    );
}
