//! From a declaration to requests, or to problems.

use fleetwright_provider::Provider as _;
use serde_json::{Value, json};

use crate::support::{account, cluster, desire, desired, parsed, silent, tags};

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
            "subnetIds": ["subnet-0a", "subnet-0b"],
            "tags": tags()
        })
    );
    assert_eq!(desired.pools.len(), 1);
    assert_eq!(
        desired.pools[0].body,
        json!({
            "name": "general",
            "min": 3, "max": 12, "desired": 4,
            "subnetIds": ["subnet-0a", "subnet-0b"], "subnetsFrom": "Cluster",
            "instanceTypes": ["m7g.xlarge", "m6g.xlarge"],
            "amiType": "AL2023_ARM_64_STANDARD",
            "roleArn": "arn:aws:iam::111122223333:role/nodes",
            "labels": {"workload": "general"},
            "tags": tags()
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
            r#"spec.eks.roleArn: "arn:aws:iam::1:role/x" is not a role; write it like arn:aws:iam::111122223333:role/name"#,
            "spec.eks.network.subnetIds: holds 1 different subnets; EKS needs two in different zones",
            "spec.tags[fleetwright.dev/uid]: keys under fleetwright.dev/ are reserved",
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
