//! Acts on a member: pools are emptied, and what the cluster made outside itself is removed.

use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_plan::{MemberStep, ObjectRef};
use fleetwright_reconcile::{Failure, Gate};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::member::{DRAINING_SINCE, failed, nodes, pods_on};
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
    let told = |error: kube::Error| failed(&format!("drain nodes {selector}"), &error);
    let nodes = nodes(client, selector).await.map_err(told)?;
    for node in &nodes {
        // One pass is many writes; a freeze must not wait for its end. The next look goes on.
        if gate.writes().is_err() {
            return Ok(());
        }
        cordon(client, node, now).await?;
    }
    let pods = pods_on(client, &nodes).await.map_err(told)?;
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
            evict(&api, pod).await
        };
        match asked {
            Ok(()) => {}
            // Gone already, made anew under the same name, or kept by a disruption budget: the next look tells.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 429) => {}
            // Holds up only this one.
            Err(error) => {
                let deed = format!("ask pod {namespace}/{name} to leave");
                refused.get_or_insert(failed(&deed, &error));
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Asks the pod that was seen to leave, and not one of the same name that came after it. Said by hand, since the client's
/// own call leaves out how to delete.
async fn evict(api: &Api<Pod>, pod: &Pod) -> Result<(), kube::Error> {
    let name = pod.name_any();
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": pod.namespace(), "name": name},
        "deleteOptions": {"preconditions": {"uid": pod.uid()}},
    });
    let params = PostParams::default();
    api.create_subresource::<_, Value>("eviction", &name, &params, &eviction).await.map(drop)
}

/// Deletes the pod that was seen, not one of the same name that came after it.
fn of_this_life(pod: &Pod) -> DeleteParams {
    let preconditions = kube::api::Preconditions { uid: pod.uid(), ..Default::default() };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

/// Nodes that were being drained take pods again: the replacement that they were to give way to was taken back. Only those
/// that bear our mark; a node that somebody else closed stays closed.
async fn reopen(client: &Client, selector: &str) -> Result<(), Failure> {
    let told = |error: kube::Error| failed(&format!("reopen nodes {selector}"), &error);
    for node in nodes(client, selector).await.map_err(told)? {
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
            other => drop(other.map_err(told)?),
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
        Err(error) => Err(failed(&format!("cordon node {name}"), &error)),
    }
}

async fn delete_outside(client: &Client, what: &str, object: &ObjectRef) -> Result<(), Failure> {
    if object.group.is_empty() && object.plural == "persistentvolumeclaims" {
        return delete_claim(client, &object.namespace, &object.name)
            .await
            .map_err(|error| failed(&format!("delete {what}"), &error));
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
        .map_err(|error| failed(&format!("delete {what}"), &error))
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
    use std::sync::{Arc, Mutex};

    use fleetwright_reconcile::OpenGate;
    use http::{Request, Response};
    use kube::client::Body;

    use super::*;

    /// Paths and bodies of what was posted.
    type Posted = Arc<Mutex<Vec<(String, Value)>>>;

    /// A member that answers every request by `answer`, given its path; the bodies of what was posted are kept.
    fn member(answer: fn(&str) -> (u16, Value)) -> (Client, Posted) {
        let posted = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posted);
        let service = tower::service_fn(move |request: Request<Body>| {
            let kept = Arc::clone(&kept);
            async move {
                let (parts, body) = request.into_parts();
                let path = parts.uri.path().to_owned();
                if parts.method == http::Method::POST {
                    let bytes = body.collect_bytes().await.expect("a body");
                    let body = serde_json::from_slice(&bytes).expect("JSON");
                    kept.lock().expect("the posts").push((path.clone(), body));
                }
                let (code, value) = answer(&path);
                Response::builder().status(code).body(Body::from(value.to_string().into_bytes()))
            }
        });
        (Client::new(service, "default"), posted)
    }

    #[tokio::test]
    async fn only_the_pod_that_was_seen_is_asked_to_leave() {
        let (client, posted) = member(|path| match path {
            "/api/v1/nodes" => (
                200,
                json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": [
                    {"metadata": {"name": "n1", "annotations": {DRAINING_SINCE: "x"}}, "spec": {"unschedulable": true}},
                ]}),
            ),
            "/api/v1/pods" => (
                200,
                json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [
                    {"metadata": {"namespace": "shop", "name": "db-0", "uid": "0a"}},
                ]}),
            ),
            // Another pod of that name is there by now.
            _ => (
                409,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "code": 409, "message": "uid"}),
            ),
        });
        let drained = drain(&client, ("pool=web", false), (Timestamp::UNIX_EPOCH, &OpenGate)).await;
        assert_eq!(drained, Ok(()));
        let posted = posted.lock().expect("the posts").clone();
        assert_eq!(
            posted,
            [(
                "/api/v1/namespaces/shop/pods/db-0/eviction".to_owned(),
                json!({
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"namespace": "shop", "name": "db-0"},
                    "deleteOptions": {"preconditions": {"uid": "0a"}},
                })
            )]
        );
    }

    #[tokio::test]
    async fn a_member_that_knows_no_such_list_is_asked_again_later_and_not_at_once() {
        let nothing = |_: &str| (404, json!("404 page not found"));
        let (client, _) = member(nothing);
        let gate = OpenGate;
        let now = Timestamp::UNIX_EPOCH;
        let claim = MemberStep::DeleteOutside {
            what: "Volume shop/data".into(),
            object: ObjectRef {
                group: String::new(),
                version: "v1".into(),
                plural: "persistentvolumeclaims".into(),
                namespace: "shop".into(),
                name: "data".into(),
            },
        };
        let drain = MemberStep::Drain {
            pool: fleetwright_names::PoolName::new("web").expect("a name"),
            selector: "pool=web".into(),
            onto: "pool=web-2".into(),
            force: false,
        };
        for step in [claim, drain] {
            let failure = act(&client, &step, (now, &gate)).await.expect_err("nothing is there");
            assert_eq!((failure.class, failure.code.as_str()), (Class::Transient, "NotFound"));
        }
    }

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
