"""Drives the simulated cloud with boto3 and holds every answer against botocore's model.

Usage: drive.py ENDPOINT CA_FILE. Credentials come from the environment. Ends with status 0 and a last line that says
so when everything was as expected; an assertion otherwise.
"""

import json
import re
import sys
import urllib.request

import boto3
import botocore.client
import botocore.exceptions

ENDPOINT, CA_FILE = sys.argv[1:3]
REGION = "eu-central-1"
ROLE = "arn:aws:iam::111122223333:role/%s"
# The cloud's clock moves on by being asked.
FAST = {"Delay": 0, "MaxAttempts": 100}
# What any operation of AWS may answer, whatever its model lists.
COMMON_ERRORS = {"AccessDeniedException", "ThrottlingException", "ExpiredTokenException", "ServerException"}
seen = set()


def check(value, shape, at):
    """Fails unless a JSON value is one of a shape: known members only, right types, words and sizes."""
    kind = shape.type_name
    if kind == "structure":
        assert isinstance(value, dict), f"{at}: {value!r} is no structure"
        for name in value:
            assert name in shape.members, f"{at}.{name} is not in the model"
            check(value[name], shape.members[name], f"{at}.{name}")
        for name in shape.required_members:
            assert name in value, f"{at}.{name} is required"
    elif kind == "list":
        assert isinstance(value, list), f"{at}: {value!r} is no list"
        for n, item in enumerate(value):
            check(item, shape.member, f"{at}[{n}]")
    elif kind == "map":
        assert isinstance(value, dict), f"{at}: {value!r} is no map"
        for name, item in value.items():
            check(item, shape.value, f"{at}[{name}]")
    elif kind == "string":
        assert isinstance(value, str), f"{at}: {value!r} is no string"
        assert not shape.enum or value in shape.enum, f"{at}: {value} is not in {shape.enum}"
        limits(len(value), shape, at)
    elif kind == "boolean":
        assert isinstance(value, bool), f"{at}: {value!r} is no boolean"
    elif kind in ("integer", "long"):
        assert isinstance(value, int) and not isinstance(value, bool), f"{at}: {value!r} is no integer"
        limits(value, shape, at)
    elif kind in ("timestamp", "double", "float"):
        assert isinstance(value, (int, float)) and not isinstance(value, bool), f"{at}: {value!r} is no number"
    else:
        raise AssertionError(f"{at}: {kind} is not checked")


def limits(size, shape, at):
    limit = shape.metadata
    assert size >= limit.get("min", size), f"{at} is below {limit['min']}"
    assert size <= limit.get("max", size), f"{at} is above {limit['max']}"


def judge(http_response, model, **_):
    seen.add(model.name)
    if model.service_model.protocol == "query":
        return
    body = json.loads(http_response.content)
    if http_response.status_code < 300:
        check(body, model.output_shape, model.name)
        return
    if model.service_model.service_name != "eks":
        return
    code = http_response.headers["x-amzn-errortype"]
    listed = {shape.name: shape for shape in model.error_shapes}
    assert code in listed or code in COMMON_ERRORS, f"{model.name} does not answer {code}"
    if code in listed:
        check(body, listed[code], f"{model.name} {code}")


def client(service, **credentials):
    # One attempt: what is asked for once shall be answered once.
    config = botocore.client.Config(retries={"total_max_attempts": 1})
    made = boto3.client(
        service, region_name=REGION, endpoint_url=ENDPOINT, verify=CA_FILE, config=config, **credentials
    )
    made.meta.events.register(f"after-call.{service}", judge)
    return made


eks, sts, ssm = client("eks"), client("sts"), client("ssm")


def wait(waiter, /, **names):
    eks.get_waiter(waiter).wait(WaiterConfig=FAST, **names)


def refused(code, call, /, **parameters):
    try:
        call(**parameters)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call} was not refused with {code}")


def all_pages(operation, /, **parameters):
    """All items, asked for one by one, and how many pages that were."""
    paginator = eks.get_paginator(operation)
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 1}, **parameters))
    items = [item for page in pages for item in page[paginator.result_keys[0].expression]]
    return items, len(pages)


def finished(update, /, **about):
    """The end of an update."""
    while update["status"] == "InProgress":
        update = eks.describe_update(name="shop", updateId=update["id"], **about)["update"]
    return update


def successful(update, /, **about):
    update = finished(update, **about)
    assert update["status"] == "Successful", update


def control(method, path, body=None):
    import os
    import ssl

    request = urllib.request.Request(
        f"{ENDPOINT}/_simulation/{path}", method=method, data=json.dumps(body).encode() if body else None
    )
    request.add_header("authorization", "Bearer " + os.environ["AWS_SECRET_ACCESS_KEY"])
    context = ssl.create_default_context(cafile=CA_FILE)
    return json.load(urllib.request.urlopen(request, context=context))


def clusters():
    made = eks.create_cluster(
        name="shop",
        version="1.34",
        roleArn=ROLE % "cluster",
        resourcesVpcConfig={
            "subnetIds": ["subnet-0a", "subnet-0b"],
            "securityGroupIds": ["sg-0a"],
            "endpointPublicAccess": True,
            "endpointPrivateAccess": True,
            "publicAccessCidrs": ["203.0.113.0/24"],
        },
        kubernetesNetworkConfig={"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"},
        logging={"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]},
        accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"},
        upgradePolicy={"supportType": "STANDARD"},
        zonalShiftConfig={"enabled": True},
        deletionProtection=True,
        bootstrapSelfManagedAddons=False,
        remoteNetworkConfig={"remoteNodeNetworks": [{"cidrs": ["10.80.0.0/16"]}]},
        controlPlaneScalingConfig={"tier": "tier-xl"},
        tags={"team": "shop"},
    )["cluster"]
    assert made["status"] == "CREATING"
    for name in ("one", "two"):
        eks.create_cluster(
            name=name, roleArn=ROLE % "cluster", resourcesVpcConfig={"subnetIds": ["subnet-0a", "subnet-0b"]}
        )
    wait("cluster_active", name="shop")
    cluster = eks.describe_cluster(name="shop")["cluster"]
    assert cluster["logging"]["clusterLogging"] == [
        {"types": ["api", "audit"], "enabled": True},
        {"types": ["authenticator", "controllerManager", "scheduler"], "enabled": False},
    ]
    assert cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.20.0.0/16"
    assert cluster["upgradePolicy"] == {"supportType": "STANDARD"}
    assert all_pages("list_clusters") == (["one", "shop", "two"], 3)
    one = eks.describe_cluster(name="one")["cluster"]
    assert one["version"] == "1.34" and one["upgradePolicy"] == {"supportType": "EXTENDED"}
    assert one["resourcesVpcConfig"]["publicAccessCidrs"] == ["0.0.0.0/0"]
    assert not any(setup["enabled"] for setup in one["logging"]["clusterLogging"])
    assert eks.describe_cluster_versions()["clusterVersions"]
    versions, pages = all_pages("describe_cluster_versions", includeAll=True)
    assert pages == len(versions) == 7


def configuration():
    changes = [
        {"resourcesVpcConfig": {"publicAccessCidrs": ["198.51.100.0/24"]}},
        {"resourcesVpcConfig": {"subnetIds": ["subnet-0a", "subnet-0c"], "securityGroupIds": ["sg-0b"]}},
        {"logging": {"clusterLogging": [{"types": ["audit"], "enabled": False}]}},
        {"upgradePolicy": {"supportType": "EXTENDED"}},
        {"zonalShiftConfig": {"enabled": False}},
        {"accessConfig": {"authenticationMode": "API"}},
        {
            "computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": ROLE % "auto"},
            "storageConfig": {"blockStorage": {"enabled": True}},
            "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}},
        },
        {"remoteNetworkConfig": {"remoteNodeNetworks": [], "remotePodNetworks": []}},
        {"controlPlaneScalingConfig": {"tier": "standard"}},
        {"deletionProtection": False},
    ]
    refused("InvalidRequestException", eks.delete_cluster, name="shop")
    begun = []
    for change in changes:
        update = eks.update_cluster_config(name="shop", **change)["update"]
        assert eks.describe_cluster(name="shop")["cluster"]["status"] == "UPDATING"
        successful(update)
        begun.append(update["id"])
    refused("InvalidParameterException", eks.update_cluster_config, name="shop")
    both = {"deletionProtection": True, "zonalShiftConfig": {"enabled": True}}
    refused("InvalidParameterException", eks.update_cluster_config, name="shop", **both)
    refused("InvalidParameterException", eks.update_cluster_config, name="shop", deletionProtection=False)
    key = {"keyArn": "arn:aws:kms:eu-central-1:111122223333:key/abc"}
    encryption = [{"resources": ["secrets"], "provider": key}]
    update = eks.associate_encryption_config(clusterName="shop", encryptionConfig=encryption)["update"]
    successful(update)
    ids, pages = all_pages("list_updates", name="shop")
    assert sorted(ids) == sorted([*begun, update["id"]]) and pages == len(ids)
    refused("InvalidRequestException", eks.cancel_update, name="shop", updateId=ids[0])
    refused("ResourceNotFoundException", eks.describe_update, name="shop", updateId="none")
    cluster = eks.describe_cluster(name="shop")["cluster"]
    assert cluster["encryptionConfig"] == encryption
    assert cluster["resourcesVpcConfig"]["subnetIds"] == ["subnet-0a", "subnet-0c"]
    assert cluster["computeConfig"]["nodePools"] == ["system"]


def versions_and_insights():
    found, pages = all_pages("list_insights", clusterName="shop")
    assert pages == len(found) == 3
    insight = eks.describe_insight(clusterName="shop", id=found[0]["id"])["insight"]
    assert insight["insightStatus"]["status"] == "PASSING"
    control("POST", "faults", {"kind": "UpgradeBlocked", "cluster": "shop"})
    bad = eks.list_insights(clusterName="shop", filter={"statuses": ["ERROR"]})["insights"]
    assert len(bad) == 1 and bad[0]["kubernetesVersion"] == "1.35"
    refused("InvalidStateException", eks.update_cluster_version, name="shop", version="1.35")
    control("DELETE", "faults?cluster=shop")
    refused("InvalidParameterException", eks.update_cluster_version, name="shop", version="1.36")
    update = eks.update_cluster_version(name="shop", version="1.35")["update"]
    refused("ResourceInUseException", eks.update_cluster_config, name="shop", deletionProtection=True)
    successful(update)
    assert eks.describe_cluster(name="shop")["cluster"]["version"] == "1.35"


def nodegroups():
    for name, more in {
        "general": {"version": "1.34", "labels": {"team": "shop"}, "instanceTypes": ["m7g.large"]},
        "spot": {"capacityType": "SPOT", "launchTemplate": {"name": "t", "version": "1"}},
    }.items():
        eks.create_nodegroup(
            clusterName="shop",
            nodegroupName=name,
            subnets=["subnet-0a"],
            nodeRole=ROLE % "node",
            scalingConfig={"minSize": 1, "maxSize": 3, "desiredSize": 2},
            updateConfig={"maxUnavailablePercentage": 25},
            nodeRepairConfig={"enabled": True},
            **more,
        )
    general = {"clusterName": "shop", "nodegroupName": "general"}
    wait("nodegroup_active", **general)
    assert all_pages("list_nodegroups", clusterName="shop") == (["general", "spot"], 2)
    update = eks.update_nodegroup_config(
        **general,
        labels={"addOrUpdateLabels": {"tier": "web"}, "removeLabels": ["team"]},
        taints={"addOrUpdateTaints": [{"key": "gpu", "value": "", "effect": "NO_SCHEDULE"}]},
        scalingConfig={"minSize": 1, "maxSize": 5, "desiredSize": 3},
        updateConfig={"maxUnavailable": 1},
        nodeRepairConfig={"enabled": False},
    )["update"]
    refused("ResourceInUseException", eks.update_nodegroup_config, **general, scalingConfig={"maxSize": 9})
    successful(update, nodegroupName="general")
    group = eks.describe_nodegroup(**general)["nodegroup"]
    assert group["labels"] == {"tier": "web"} and group["scalingConfig"]["desiredSize"] == 3
    update = eks.update_nodegroup_version(**general, version="1.35")["update"]
    successful(update, nodegroupName="general")
    release = eks.describe_nodegroup(**general)["nodegroup"]["releaseVersion"]
    name = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/release_version"
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == release
    control("POST", "releases")
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] != release
    refused("ParameterNotFound", ssm.get_parameter, Name="/aws/service/eks/other")
    control("POST", "faults", {"kind": "UpdateFails", "cluster": "shop", "times": 1})
    update = finished(eks.update_nodegroup_version(**general)["update"], nodegroupName="general")
    assert update["status"] == "Failed" and update["errors"][0]["errorCode"] == "PodEvictionFailure"
    control("POST", "faults", {"kind": "Capacity", "cluster": "shop", "pool": "spot"})
    group = eks.describe_nodegroup(clusterName="shop", nodegroupName="spot")["nodegroup"]
    assert group["status"] == "DEGRADED"
    assert group["health"]["issues"][0]["code"] == "AsgInstanceLaunchFailures"
    control("DELETE", "faults")
    wait("nodegroup_active", clusterName="shop", nodegroupName="spot")
    update = eks.update_nodegroup_version(
        clusterName="shop", nodegroupName="spot", launchTemplate={"name": "t", "version": "2"}
    )["update"]
    successful(update, nodegroupName="spot")
    ids, pages = all_pages("list_updates", name="shop", nodegroupName="general")
    assert pages == len(ids) == 3


def addons():
    offers, pages = all_pages("describe_addon_versions", kubernetesVersion="1.35")
    assert pages == len(offers) == 5
    offer = eks.describe_addon_versions(addonName="vpc-cni", kubernetesVersion="1.35")["addons"][0]
    newest, *_, oldest = [version["addonVersion"] for version in offer["addonVersions"]]
    eks.create_addon(clusterName="shop", addonName="vpc-cni", addonVersion=oldest, tags={"a": "b"})
    eks.create_addon(
        clusterName="shop",
        addonName="aws-ebs-csi-driver",
        podIdentityAssociations=[{"serviceAccount": "ebs-csi-controller-sa", "roleArn": ROLE % "ebs"}],
        configurationValues='{"controller":{}}',
    )
    wait("addon_active", clusterName="shop", addonName="vpc-cni")
    wait("addon_active", clusterName="shop", addonName="aws-ebs-csi-driver")
    refused("ResourceInUseException", eks.create_addon, clusterName="shop", addonName="vpc-cni")
    refused("InvalidParameterException", eks.create_addon, clusterName="shop", addonName="none")
    update = eks.update_addon(
        clusterName="shop", addonName="vpc-cni", addonVersion=newest, resolveConflicts="PRESERVE"
    )["update"]
    successful(update, addonName="vpc-cni")
    addon = eks.describe_addon(clusterName="shop", addonName="vpc-cni")["addon"]
    assert addon["addonVersion"] == newest
    assert all_pages("list_addons", clusterName="shop") == (["aws-ebs-csi-driver", "vpc-cni"], 2)
    driver = eks.describe_addon(clusterName="shop", addonName="aws-ebs-csi-driver")["addon"]
    assert len(driver["podIdentityAssociations"]) == 1
    for name in ("vpc-cni", "aws-ebs-csi-driver"):
        eks.delete_addon(clusterName="shop", addonName=name, preserve=True)
        wait("addon_deleted", clusterName="shop", addonName=name)


def access():
    ops = {"clusterName": "shop", "principalArn": ROLE % "ops"}
    eks.create_access_entry(**ops, kubernetesGroups=["viewers"], tags={"a": "b"})
    refused("ResourceInUseException", eks.create_access_entry, **ops)
    eks.create_access_entry(clusterName="shop", principalArn=ROLE % "karpenter", type="EC2_LINUX")
    policies, pages = all_pages("list_access_policies")
    assert pages == len(policies)
    for policy in policies[:2]:
        eks.associate_access_policy(
            **ops, policyArn=policy["arn"], accessScope={"type": "namespace", "namespaces": ["web"]}
        )
    used, pages = all_pages("list_associated_access_policies", **ops)
    assert pages == len(used) == 2
    eks.disassociate_access_policy(**ops, policyArn=policies[0]["arn"])
    eks.update_access_entry(**ops, kubernetesGroups=["editors"])
    assert eks.describe_access_entry(**ops)["accessEntry"]["kubernetesGroups"] == ["editors"]
    entries, pages = all_pages("list_access_entries", clusterName="shop")
    # The creator and the role of the nodes are there without being asked for.
    expected = [ROLE % "karpenter", ROLE % "node", ROLE % "ops", "arn:aws:iam::111122223333:user/simulated"]
    assert entries == expected and pages == 4, entries
    entries = eks.list_access_entries(clusterName="shop", associatedPolicyArn=policies[1]["arn"])
    assert entries["accessEntries"] == [ROLE % "ops"]
    eks.delete_access_entry(**ops)
    refused("ResourceNotFoundException", eks.describe_access_entry, **ops)


def identities():
    for account in ("collector", "writer"):
        made = eks.create_pod_identity_association(
            clusterName="shop", namespace="telemetry", serviceAccount=account, roleArn=ROLE % "otel", tags={"a": "b"}
        )["association"]
    again = {"namespace": "telemetry", "serviceAccount": "writer", "roleArn": ROLE % "x"}
    refused("ResourceInUseException", eks.create_pod_identity_association, clusterName="shop", **again)
    one = {"clusterName": "shop", "associationId": made["associationId"]}
    assert eks.update_pod_identity_association(**one, roleArn=ROLE % "new")["association"]["roleArn"] == ROLE % "new"
    assert eks.describe_pod_identity_association(**one)["association"]["roleArn"] == ROLE % "new"
    found, pages = all_pages("list_pod_identity_associations", clusterName="shop", namespace="telemetry")
    assert pages == len(found) == 2
    eks.tag_resource(resourceArn=made["associationArn"], tags={"c": "d"})
    eks.untag_resource(resourceArn=made["associationArn"], tagKeys=["a"])
    assert eks.list_tags_for_resource(resourceArn=made["associationArn"])["tags"] == {"c": "d"}
    eks.delete_pod_identity_association(**one)


def fargate():
    def create(name):
        return eks.create_fargate_profile(
            clusterName="shop",
            fargateProfileName=name,
            podExecutionRoleArn=ROLE % "fargate",
            subnets=["subnet-0a"],
            selectors=[{"namespace": "web", "labels": {"on": "fargate"}}],
        )

    create("web")
    busy = refused_with_conflict(create, "batch")
    assert re.search("currently has Fargate profile web in status CREATING", busy), busy
    wait("fargate_profile_active", clusterName="shop", fargateProfileName="web")
    create("batch")
    wait("fargate_profile_active", clusterName="shop", fargateProfileName="batch")
    assert all_pages("list_fargate_profiles", clusterName="shop") == (["batch", "web"], 2)
    for name in ("batch", "web"):
        eks.delete_fargate_profile(clusterName="shop", fargateProfileName=name)
        wait("fargate_profile_deleted", clusterName="shop", fargateProfileName=name)


def refused_with_conflict(call, name):
    """EKS answers conflicts of Fargate profiles with an error that its model does not list for them."""
    COMMON_ERRORS.add("ResourceInUseException")
    try:
        call(name)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceInUseException", error
        return error.response["Error"]["Message"]
    finally:
        COMMON_ERRORS.remove("ResourceInUseException")
    raise AssertionError(f"{name} was not refused")


def sessions():
    me = sts.get_caller_identity()
    assert me["Account"] == "111122223333" and me["Arn"] == "arn:aws:iam::111122223333:user/simulated", me
    given = sts.assume_role(RoleArn=ROLE % "ops", RoleSessionName="night")["Credentials"]
    session = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    arn = client("sts", **session).get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::111122223333:assumed-role/ops/night"
    assert client("eks", **session).list_clusters()["clusters"]
    given = sts.assume_role_with_web_identity(
        RoleArn=ROLE % "web", RoleSessionName="pod", WebIdentityToken="a.b.c"
    )
    assert given["AssumedRoleUser"]["Arn"] == "arn:aws:sts::111122223333:assumed-role/web/pod"
    refused("ValidationError", sts.assume_role, RoleArn="arn:aws:iam::111122223333:user/x1234567890", RoleSessionName="xy")
    control("POST", "faults", {"kind": "Denied", "operation": "AssumeRole", "times": 1})
    refused("AccessDenied", sts.assume_role, RoleArn=ROLE % "ops", RoleSessionName="night")
    control("POST", "faults", {"kind": "ExpiredCredentials", "times": 2})
    refused("ExpiredTokenException", eks.list_clusters)
    refused("ExpiredToken", sts.get_caller_identity)
    control("POST", "faults", {"kind": "Throttle", "times": 1})
    refused("ThrottlingException", eks.list_clusters)


def deletion():
    refused("ResourceInUseException", eks.delete_cluster, name="shop")
    for name in ("general", "spot"):
        eks.delete_nodegroup(clusterName="shop", nodegroupName=name)
    wait("nodegroup_deleted", clusterName="shop", nodegroupName="general")
    wait("nodegroup_deleted", clusterName="shop", nodegroupName="spot")
    for name in ("shop", "one", "two"):
        eks.delete_cluster(name=name)
    wait("cluster_deleted", name="shop")
    wait("cluster_deleted", name="two")
    assert eks.list_clusters()["clusters"] == [] or wait("cluster_deleted", name="one") is None


for part in (
    clusters,
    configuration,
    versions_and_insights,
    nodegroups,
    addons,
    access,
    identities,
    fargate,
    sessions,
    deletion,
):
    part()
print(f"{len(seen)} operations: {', '.join(sorted(seen))}")
print("everything is as the model says")
