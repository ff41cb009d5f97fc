//! Acts on a member: pools are emptied, and what the cluster made outside itself is removed.

use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_plan::{MemberStep, ObjectRef};
use fleetwright_reconcile::{Failure, Gate};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, EvictParams, ListParams, Patch, PatchParams,
};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::member::{DRAINING_SINCE, nodes, pods_on};
use super::{Desired, ManagedClusterController};

/// One pass over a member takes no longer.
const PATIENCE: Duration = Duration::from_secs(45);

impl ManagedClusterController {
    pub(super) async fn act_on_member(
        &self,
        desired: &Desired,
        step: &MemberStep,
    ) -> Result<(), Failure> {
        let unreached = || {
            let message = format!("{step}: how the member is reached is not known");
            Failure::new(Class::Transient, "Unreachable", message)
        };
        let member = desired.member().ok_or_else(unreached)?;
        let client = self.members.client(&member).await?;
        let work = act(&client, step, (self.clock.now(), self.safety.as_ref()));
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_elapsed| {
            let message = format!("cannot {step}: no answer within {} s", PATIENCE.as_secs());
            Err(Failure::new(Class::Unknown, "NoAnswer", message))
        })
    }
}

async fn act(
    client: &Client,
    step: &MemberStep,
    (now, gate): (Timestamp, &dyn Gate),
) -> Result<(), Failure> {
    match step {
        MemberStep::Drain { pool: _, selector, onto, force } => {
            if !onto.is_empty() {
                reopen(client, onto).await?;
            }
            drain(client, (selector, *force), (now, gate)).await
        }
        MemberStep::DeleteOutside { what, object } => delete_outside(client, what, object).await,
        MemberStep::LabelNamespace { .. }
        | MemberStep::PutNetworkPolicy { .. }
        | MemberStep::DeleteNetworkPolicy { .. } => {
            let message = format!("{step} is not for the controller of ManagedCluster");
            Err(Failure::new(Class::Bug, "WrongController", message))
        }
    }
}

/// One pass: the nodes take no new pods, and the pods that are there are asked to leave. What a disruption budget keeps
/// stays for the next pass, unless `force`.
async fn drain(
    client: &Client,
    (selector, force): (&str, bool),
    (now, gate): (Timestamp, &dyn Gate),
) -> Result<(), Failure> {
    let failed = |error: kube::Error| Failure::kube(&format!("drain nodes {selector}"), &error);
    let nodes = nodes(client, selector).await.map_err(failed)?;
    for node in &nodes {
        // One pass is many writes; a freeze must not wait for its end. The next look goes on.
        if gate.writes().is_err() {
            return Ok(());
        }
        cordon(client, node, now).await?;
    }
    let pods = pods_on(client, &nodes).await.map_err(failed)?;
    let mut refused = None;
    for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        if gate.writes().is_err() {
            return Ok(());
        }
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let api = Api::<Pod>::namespaced(client.clone(), &namespace);
        let asked = if force {
            api.delete(&name, &of_this_life(pod)).await.map(drop)
        } else {
            api.evict(&name, &EvictParams::default()).await.map(drop)
        };
        match asked {
            Ok(()) => {}
            // Gone already, made anew under the same name, or kept by a disruption budget: the next look tells.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 429) => {}
            // Holds up only this one.
            Err(error) => {
                let deed = format!("ask pod {namespace}/{name} to leave");
                refused.get_or_insert(Failure::kube(&deed, &error));
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Deletes the pod that was seen, not one of the same name that came after it.
fn of_this_life(pod: &Pod) -> DeleteParams {
    let preconditions = kube::api::Preconditions { uid: pod.uid(), ..Default::default() };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

/// Nodes that were being drained take pods again: the replacement that they were to give way to was taken back. Only those
/// that bear our mark; a node that somebody else closed stays closed.
async fn reopen(client: &Client, selector: &str) -> Result<(), Failure> {
    let failed = |error: kube::Error| Failure::kube(&format!("reopen nodes {selector}"), &error);
    for node in nodes(client, selector).await.map_err(failed)? {
        if !node.annotations().contains_key(DRAINING_SINCE) {
            continue;
        }
        let patch = json!({
            "metadata": {"annotations": {DRAINING_SINCE: null}},
            "spec": {"unschedulable": null},
        });
        let api = Api::<Node>::all(client.clone());
        let patched =
            api.patch(&node.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await;
        match patched {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other.map_err(failed)?),
        }
    }
    Ok(())
}

async fn cordon(client: &Client, node: &Node, now: Timestamp) -> Result<(), Failure> {
    let closed = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let since = node.annotations().get(DRAINING_SINCE);
    if closed && since.is_some() {
        return Ok(());
    }
    let since = since.cloned().unwrap_or_else(|| now.to_string());
    let patch = json!({
        "metadata": {"annotations": {DRAINING_SINCE: since}},
        "spec": {"unschedulable": true},
    });
    let name = node.name_any();
    let api = Api::<Node>::all(client.clone());
    match api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Failure::kube(&format!("cordon node {name}"), &error)),
    }
}

async fn delete_outside(client: &Client, what: &str, object: &ObjectRef) -> Result<(), Failure> {
    if object.group.is_empty() && object.plural == "persistentvolumeclaims" {
        return delete_claim(client, &object.namespace, &object.name)
            .await
            .map_err(|error| Failure::kube(&format!("delete {what}"), &error));
    }
    let api_version = if object.group.is_empty() {
        object.version.clone()
    } else {
        format!("{}/{}", object.group, object.version)
    };
    let resource = ApiResource {
        group: object.group.clone(),
        version: object.version.clone(),
        api_version,
        // Only named in what is sent, and a delete sends nothing of it.
        kind: String::new(),
        plural: object.plural.clone(),
    };
    let api: Api<DynamicObject> = if object.namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), &object.namespace, &resource)
    };
    gone(api.delete(&object.name, &DeleteParams::background()).await)
        .map_err(|error| Failure::kube(&format!("delete {what}"), &error))
}

/// A claim goes only when nobody uses it and nobody makes it again: first the StatefulSets that would, then the claim,
/// then the pods that use it.
async fn delete_claim(client: &Client, namespace: &str, name: &str) -> Result<(), kube::Error> {
    let every = ListParams::default();
    let sets = Api::<StatefulSet>::namespaced(client.clone(), namespace);
    let listed = match sets.list(&every).await {
        Ok(list) => list.items,
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error),
    };
    for set in listed.iter().filter(|set| makes(set, name)) {
        gone(sets.delete(&set.name_any(), &DeleteParams::background()).await)?;
    }
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace);
    gone(claims.delete(name, &DeleteParams::default()).await)?;
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    for pod in pods.list(&every).await?.items.iter().filter(|pod| uses(pod, name)) {
        match pods.delete(&pod.name_any(), &of_this_life(pod)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => gone(other)?,
        }
    }
    Ok(())
}

fn gone<T>(deleted: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match deleted {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the StatefulSet makes this claim: `<template>-<set>-<ordinal>`.
fn makes(set: &StatefulSet, claim: &str) -> bool {
    let templates = set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_ref());
    templates.into_iter().flatten().any(|template| {
        let stem = format!("{}-{}-", template.name_any(), set.name_any());
        claim.strip_prefix(&stem).is_some_and(|ordinal| {
            !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

fn uses(pod: &Pod, claim: &str) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    volumes.into_iter().flatten().any(|volume| {
        volume.persistent_volume_claim.as_ref().is_some_and(|source| source.claim_name == claim)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stateful_set_makes_the_claims_of_its_templates_and_no_others() {
        let set: StatefulSet = serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "db"},
            "spec": {
                "selector": {}, "serviceName": "db", "template": {},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
            },
        }))
        .expect("a set");
        assert!(makes(&set, "data-db-0") && makes(&set, "data-db-12"));
        for other in ["data-db-", "data-db-x", "data-db2-0", "logs-db-0", "data-db-0-1"] {
            assert!(!makes(&set, other), "{other}");
        }
    }
}
