"""Drives the simulated Azure with Microsoft's own client and holds every answer against its models.

Usage: azure_client.py ENDPOINT CA_FILE. Credentials come from the environment. Ends with status 0 and a last line that
says so when everything was as expected; an assertion otherwise.
"""

import base64
import json
import os
import sys
import time

import requests
from azure.core import MatchConditions
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.containerservice import ContainerServiceClient, models
from azure.mgmt.containerservice._utils.model_base import Model

ENDPOINT, CA_FILE = sys.argv[1:3]
TENANT = os.environ["AZURE_TENANT_ID"]
SUBSCRIPTION = os.environ["AZURE_SUBSCRIPTION_ID"]
GROUP, NAME = "retail", "shop"
AKS = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"
# What bodies are, by the end of their address; others are not held against a model.
SHAPES = {
    "managedclusters": models.ManagedCluster,
    "agentpools": models.AgentPool,
    "maintenanceconfigurations": models.MaintenanceConfiguration,
    "listclusterusercredential": models.CredentialResults,
    "listclusteradmincredential": models.CredentialResults,
}
judged = set()


def entra(scope, secret=None):
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["AZURE_CLIENT_ID"],
        "client_secret": secret or os.environ["AZURE_CLIENT_SECRET"],
        "scope": scope,
    }
    return requests.post(f"{ENDPOINT}/{TENANT}/oauth2/v2.0/token", data=form, verify=CA_FILE, timeout=30)


class Credential:
    """A client secret, as azure-identity has it."""

    def get_token(self, *scopes, **_):
        answer = entra(scopes[0]).json()
        return AccessToken(answer["access_token"], int(time.time()) + answer["expires_in"])


def check(value, at):
    """Fails unless all that is in a value is in its model, at any depth."""
    if isinstance(value, Model):
        judged.add(type(value).__name__)
        known = {field._rest_name: name for name, field in value._attr_to_rest_field.items()}
        for name in value._data:
            assert name in known, f"{at}.{name} is not in {type(value).__name__}"
            check(getattr(value, known[name]), f"{at}.{name}")
    elif isinstance(value, list):
        for n, item in enumerate(value):
            check(item, f"{at}[{n}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            check(item, f"{at}[{name}]")


class Judge(SansIOHTTPPolicy):
    """Sees every answer. An error must have a code and a message; an answer must be of its model."""

    def on_response(self, request, response):
        http = response.http_response
        http.read()
        assert http.headers["x-ms-request-id"], "no request id"
        if not http.body():
            return
        body = json.loads(http.body())
        if http.status_code >= 400:
            error = body.get("error", body)
            assert error["code"] and error["message"], body
            return
        parts = [part.lower() for part in http.request.url.split("?")[0].rstrip("/").split("/")]
        if "operationresults" in parts:
            check(models.AgentPool(body), "AgentPool")
            return
        if "operations" in parts:
            assert body["status"] in ("InProgress", "Succeeded", "Failed"), body
            return
        for kind in (parts[-1], parts[-2]):
            if kind in SHAPES:
                shape = SHAPES[kind]
                for item in body["value"] if kind == parts[-1] and "value" in body else [body]:
                    check(shape(item), shape.__name__)
                return


def client(**more):
    return ContainerServiceClient(
        Credential(),
        SUBSCRIPTION,
        base_url=ENDPOINT,
        api_version="2026-03-01",
        connection_verify=CA_FILE,
        polling_interval=0,
        per_call_policies=[Judge()],
        **more,
    )


def fails(error, code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error as raised:
        assert type(raised) is error, type(raised)
        assert raised.error is None or raised.error.code == code, raised.error.code
        return raised
    raise AssertionError(f"{code} was expected")


def control(method, path, body=None):
    headers = {"authorization": f"Bearer {os.environ['SIMULATION_TOKEN']}"}
    url = f"{ENDPOINT}/_simulation/{path}"
    answer = requests.request(method, url, json=body, headers=headers, verify=CA_FILE, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shop():
    return models.ManagedCluster(
        location="westeurope",
        tags={"env": "test"},
        identity=models.ManagedClusterIdentity(type="SystemAssigned"),
        properties=models.ManagedClusterProperties(
            kubernetes_version="1.33",
            dns_prefix="shop",
            agent_pool_profiles=[
                models.ManagedClusterAgentPoolProfile(
                    name="sys", mode="System", count=2, vm_size="Standard_D2s_v5", os_type="Linux"
                )
            ],
            network_profile=models.ContainerServiceNetworkProfile(
                network_plugin="azure", network_plugin_mode="overlay", network_dataplane="cilium", network_policy="cilium"
            ),
            addon_profiles={"azurepolicy": models.ManagedClusterAddonProfile(enabled=True)},
            auto_scaler_profile={"scan-interval": "20s"},
            disable_local_accounts=False,
            oidc_issuer_profile=models.ManagedClusterOIDCIssuerProfile(enabled=True),
        ),
    )


def clusters(aks):
    clusters = aks.managed_clusters
    fails(ResourceNotFoundError, "ResourceNotFound", clusters.get, GROUP, NAME)
    fails(ResourceNotFoundError, "ResourceGroupNotFound", clusters.get, "missing", NAME)
    begun = clusters.begin_create_or_update(
        GROUP, NAME, shop(), etag="*", match_condition=MatchConditions.IfMissing
    )
    assert begun.status() == "InProgress", begun.status()
    fails(ResourceExistsError, "OperationNotAllowed", clusters.begin_create_or_update, GROUP, NAME, shop())
    made = begun.result()
    assert made.properties.provisioning_state == "Succeeded"
    assert made.properties.current_kubernetes_version == "1.33.2"
    assert made.properties.oidc_issuer_profile.issuer_url.startswith("https://westeurope.oic.")
    fails(
        ResourceExistsError,
        "PreconditionFailed",
        clusters.begin_create_or_update,
        GROUP,
        NAME,
        shop(),
        etag="*",
        match_condition=MatchConditions.IfMissing,
    )

    made.properties.kubernetes_version = "1.34"
    stale = made.e_tag
    done = clusters.begin_create_or_update(
        GROUP, NAME, made, etag=stale, match_condition=MatchConditions.IfNotModified
    ).result()
    assert done.properties.current_kubernetes_version == "1.34.2"
    fails(
        ResourceModifiedError,
        "PreconditionFailed",
        clusters.begin_create_or_update,
        GROUP,
        NAME,
        made,
        etag=stale,
        match_condition=MatchConditions.IfNotModified,
    )
    tagged = clusters.begin_update_tags(GROUP, NAME, models.TagsObject(tags={"env": "prod"})).result()
    assert tagged.tags == {"env": "prod"}
    upgrades = clusters.get_upgrade_profile(GROUP, NAME)
    offered = upgrades.properties.control_plane_profile.upgrades
    assert [one.kubernetes_version for one in offered] == ["1.35.1", "1.35.2"]
    assert clusters.list_kubernetes_versions("westeurope").values_property


def pools(aks):
    pools = aks.agent_pools
    web = models.AgentPool(
        properties=models.ManagedClusterAgentPoolProfileProperties(
            mode="User", count=1, vm_size="Standard_D4s_v5", node_labels={"team": "web"}
        )
    )
    made = pools.begin_create_or_update(GROUP, NAME, "web", web).result()
    assert made.properties.provisioning_state == "Succeeded"
    assert made.properties.current_orchestrator_version == "1.34.2"
    made.properties.count = 3
    assert pools.begin_create_or_update(GROUP, NAME, "web", made).result().properties.count == 3
    made.properties.vm_size = "Standard_D8s_v5"
    fails(
        HttpResponseError,
        "PropertyChangeNotAllowed",
        pools.begin_create_or_update,
        GROUP,
        NAME,
        "web",
        made,
    )
    old = pools.get(GROUP, NAME, "sys")
    assert old.properties.current_orchestrator_version == "1.33.2"
    old.properties.orchestrator_version = "1.34"
    done = pools.begin_create_or_update(GROUP, NAME, "sys", old).result()
    assert done.properties.current_orchestrator_version == "1.34.2"

    control("POST", "releases")
    latest = pools.get_upgrade_profile(GROUP, NAME, "web").properties.latest_node_image_version
    assert pools.get(GROUP, NAME, "web").properties.node_image_version != latest
    pools.begin_upgrade_node_image_version(GROUP, NAME, "web").result()
    assert pools.get(GROUP, NAME, "web").properties.node_image_version == latest
    assert [pool.name for pool in pools.list(GROUP, NAME)] == ["sys", "web"]
    fails(HttpResponseError, "OperationNotAllowed", pools.begin_delete, GROUP, NAME, "sys")
    pools.begin_delete(GROUP, NAME, "web").result()
    fails(ResourceNotFoundError, "NotFound", pools.get, GROUP, NAME, "web")


def maintenance(aks):
    configurations = aks.maintenance_configurations
    name = "aksManagedAutoUpgradeSchedule"
    window = models.MaintenanceWindow(
        schedule=models.Schedule(weekly=models.WeeklySchedule(interval_weeks=1, day_of_week="Sunday")),
        duration_hours=4,
        start_time="02:00",
    )
    wanted = models.MaintenanceConfiguration(
        properties=models.MaintenanceConfigurationProperties(maintenance_window=window)
    )
    made = configurations.create_or_update(GROUP, NAME, name, wanted)
    assert made.properties.maintenance_window.utc_offset == "+00:00"
    listed = configurations.list_by_managed_cluster(GROUP, NAME)
    assert [one.name for one in listed] == [name]
    configurations.delete(GROUP, NAME, name)
    fails(ResourceNotFoundError, "NotFound", configurations.get, GROUP, NAME, name)


def faults(aks):
    control("POST", "faults", {"kind": "Throttle", "times": 1})
    began = time.monotonic()
    assert aks.managed_clusters.get(GROUP, NAME).name == NAME
    assert time.monotonic() - began >= 1, "the client did not wait as long as it was told"
    control("POST", "faults", {"kind": "UpdateFails", "times": 1})
    poller = aks.managed_clusters.begin_update_tags(GROUP, NAME, models.TagsObject(tags={}))
    fails(HttpResponseError, "ControlPlaneAddOnsNotReady", poller.result)
    failed = aks.managed_clusters.get(GROUP, NAME)
    assert failed.properties.provisioning_state == "Failed"
    assert failed.properties.status.provisioning_error.code == "ControlPlaneAddOnsNotReady"
    repaired = aks.managed_clusters.begin_create_or_update(GROUP, NAME, failed).result()
    assert repaired.properties.provisioning_state == "Succeeded"


def members(aks):
    clusters = aks.managed_clusters
    value = clusters.list_cluster_user_credentials(GROUP, NAME, format="exec").kubeconfigs[0].value
    text = bytes(value).decode()
    fields = {key.strip(): rest.strip() for key, _, rest in (line.partition(":") for line in text.splitlines())}
    url = f"{fields['server']}/api/v1/nodes"

    def nodes(token):
        headers = {"authorization": f"Bearer {token}"}
        return requests.get(url, headers=headers, verify=CA_FILE, timeout=30)

    answer = nodes(fields["token"])
    assert answer.status_code == 200, answer.text
    labels = [node["metadata"]["labels"]["agentpool"] for node in answer.json()["items"]]
    assert labels == ["sys", "sys"], labels
    token = entra(AKS).json()["access_token"]
    assert nodes(token).status_code == 401, "without Entra its tokens open nothing"

    cluster = clusters.get(GROUP, NAME)
    cluster.properties.aad_profile = models.ManagedClusterAADProfile(managed=True)
    cluster.properties.disable_local_accounts = True
    clusters.begin_create_or_update(GROUP, NAME, cluster).result()
    assert nodes(token).status_code == 200
    assert nodes(fields["token"]).status_code == 401
    value = clusters.list_cluster_user_credentials(GROUP, NAME, format="exec").kubeconfigs[0].value
    assert "command: kubelogin" in bytes(value).decode()
    fails(HttpResponseError, "BadRequest", clusters.list_cluster_admin_credentials, GROUP, NAME)


def pages(aks):
    for n in range(11):
        aks.managed_clusters.begin_create_or_update("many", f"c{n:02}", shop(), polling=False)
    names = [one.name for one in aks.managed_clusters.list_by_resource_group("many")]
    assert names == [f"c{n:02}" for n in range(11)], names
    assert len(list(aks.managed_clusters.list())) == 12


def main():
    wrong = entra("https://management.azure.com/.default", secret="guess")
    assert wrong.status_code == 401 and wrong.json()["error_codes"] == [7000215], wrong.text
    aks = client()
    clusters(aks)
    pools(aks)
    maintenance(aks)
    faults(aks)
    members(aks)
    pages(aks)
    other = client(credential_scopes=[AKS])
    fails(ClientAuthenticationError, "InvalidAuthenticationTokenAudience", other.managed_clusters.get, GROUP, NAME)
    aks.managed_clusters.begin_delete(GROUP, NAME).result()
    fails(ResourceNotFoundError, "ResourceNotFound", aks.managed_clusters.get, GROUP, NAME)
    aks.managed_clusters.begin_delete(GROUP, NAME).result()
    for model in ("ManagedCluster", "AgentPool", "MaintenanceConfiguration", "CredentialResults"):
        assert model in judged, f"nothing was held against {model}"
    print("everything is as the model says")


main()
