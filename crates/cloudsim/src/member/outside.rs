//! What a cluster makes in the cloud by itself: load balancers of Services, volumes of claims.
//!
//! Kinds that the member's API does not serve have no objects, and then nothing is outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetwright_apiserver::{ApiError, LogicalCluster, ResourceRef};
use serde_json::{Value, json};

use super::Members;
use crate::SettleError;
use crate::state::digest_hex;

const SERVICES: ResourceRef = ResourceRef::new("", "v1", "services");
const CLAIMS: ResourceRef = ResourceRef::new("", "v1", "persistentvolumeclaims");
const VOLUMES: ResourceRef = ResourceRef::new("", "v1", "persistentvolumes");
/// Kubernetes' own, of `k8s.io/cloud-provider`.
const CLEANUP: &str = "service.kubernetes.io/load-balancer-cleanup";

/// What the controllers of a cloud do in a member.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Of the volumes.
    pub(crate) driver: &'static str,
    /// How a load balancer is reached, by the Service's uid and the region: an entry of `ingress`.
    pub(crate) ingress: fn(&str, &str) -> Value,
    /// Before the name of a volume in the cloud.
    pub(crate) volume: &'static str,
}

impl Members {
    /// Does the work of the cloud's controllers in a member, as far as anybody waits for it. Says whether what is
    /// outside has changed; the caller stores it.
    pub(crate) async fn look_outside(
        &self,
        member: &str,
        region: &str,
        cloud: &'static Surroundings,
        known: &mut BTreeSet<String>,
    ) -> Result<bool, SettleError> {
        let Some(member) = self.find(member) else {
            return Ok(false);
        };
        let mut outside = Outside::of(cloud);
        for service in member.list(&SERVICES, None).await {
            outside.see_service(&service, region);
        }
        let claims = member.list(&CLAIMS, None).await;
        outside.see_volumes(&claims, &member.list(&VOLUMES, None).await);
        let Outside { holds, writes, removes, cloud: _ } = outside;
        let failed =
            |source: ApiError| SettleError::Outside { member: member.name().to_owned(), source };
        for (write, object) in writes {
            put(&member, write, object).await.map_err(failed)?;
        }
        for volume in removes {
            member.delete(&VOLUMES, None, &volume).await.map_err(failed)?;
        }
        let changed = holds != *known;
        *known = holds;
        Ok(changed)
    }
}

/// Writes an object unless somebody else did since it was listed: the next look decides anew then.
async fn put(member: &LogicalCluster, write: Write, object: Value) -> Result<(), ApiError> {
    let (namespace, name) = (text(&object, "/metadata/namespace"), text(&object, "/metadata/name"));
    let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
    let now = member.get(write.resource, namespace, name).await;
    let revision = |object: &Value| object["metadata"]["resourceVersion"].clone();
    if now.map(|now| revision(&now)) != write.over {
        return Ok(());
    }
    match member.put(write.resource, object).await {
        Ok(_) => Ok(()),
        // Gone or changed half way.
        Err(error) if matches!(error.code(), 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Where an object goes.
#[derive(Debug, PartialEq)]
struct Write {
    resource: &'static ResourceRef,
    /// The revision that was seen; `None`: it was not there.
    over: Option<Value>,
}

impl Write {
    fn new(resource: &'static ResourceRef) -> Self {
        Self { resource, over: None }
    }

    fn over(resource: &'static ResourceRef, seen: &Value) -> Self {
        Self { resource, over: Some(seen["metadata"]["resourceVersion"].clone()) }
    }
}

/// What there is in the cloud, and what its controllers do about that in the member.
#[derive(Debug)]
struct Outside {
    cloud: &'static Surroundings,
    holds: BTreeSet<String>,
    writes: Vec<(Write, Value)>,
    /// Names of volumes.
    removes: Vec<String>,
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Outside {
    fn of(cloud: &'static Surroundings) -> Self {
        Self { cloud, holds: BTreeSet::new(), writes: Vec::new(), removes: Vec::new() }
    }

    fn see_service(&mut self, service: &Arc<Value>, region: &str) {
        let finalizers = service["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let others = finalizers.iter().filter(|finalizer| **finalizer != CLEANUP).cloned();
        let others: Vec<Value> = others.collect();
        let ours = others.len() < finalizers.len();
        let deleted = service["metadata"]["deletionTimestamp"].is_string();
        let wanted = service["spec"]["type"] == "LoadBalancer" && !deleted;
        let mut object = (**service).clone();
        if wanted {
            let (namespace, name) =
                (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
            self.holds.insert(format!("LoadBalancer {namespace}/{name}"));
            if ours && service["status"]["loadBalancer"]["ingress"].is_array() {
                return;
            }
            let mut finalizers = others;
            finalizers.push(json!(CLEANUP));
            object["metadata"]["finalizers"] = json!(finalizers);
            object["status"]["loadBalancer"] = json!({ "ingress": [(self.cloud.ingress)(text(service, "/metadata/uid"), region)] });
        } else if ours {
            object["metadata"]["finalizers"] = json!(others);
            // An object that goes with its last finalizer has no status to write.
            object["status"] = Value::Null;
        } else {
            return;
        }
        self.writes.push((Write::over(&SERVICES, service), object));
    }

    fn see_volumes(&mut self, claims: &[Arc<Value>], volumes: &[Arc<Value>]) {
        let by_uid: BTreeMap<&str, &Arc<Value>> =
            claims.iter().map(|claim| (text(claim, "/metadata/uid"), claim)).collect();
        for volume in volumes {
            if volume["spec"]["csi"]["driver"] != self.cloud.driver {
                continue;
            }
            let claim = &volume["spec"]["claimRef"];
            if !by_uid.contains_key(text(claim, "/uid")) {
                if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete" {
                    self.removes.push(text(volume, "/metadata/name").to_owned());
                    continue;
                }
                if volume["status"]["phase"] != "Released" {
                    let mut object = (**volume).clone();
                    object["status"]["phase"] = json!("Released");
                    self.writes.push((Write::over(&VOLUMES, volume), object));
                }
            }
            self.holds.insert(held_for(claim));
        }
        for claim in claims {
            let deleted = claim["metadata"]["deletionTimestamp"].is_string();
            if claim["status"]["phase"] != "Bound" && !deleted {
                self.bind(claim);
            }
        }
    }

    /// Makes the volume of a claim.
    fn bind(&mut self, claim: &Arc<Value>) {
        let uid = text(claim, "/metadata/uid");
        let name = format!("pvc-{uid}");
        let mut bound = (**claim).clone();
        bound["spec"]["volumeName"] = json!(name);
        let access = bound["spec"]["accessModes"].clone();
        let room = bound["spec"]["resources"]["requests"].clone();
        bound["status"] = json!({ "phase": "Bound", "accessModes": access, "capacity": room });
        let reference = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": uid,
            "namespace": text(claim, "/metadata/namespace"), "name": text(claim, "/metadata/name"),
        });
        self.holds.insert(held_for(&reference));
        let handle = format!("{}{}", self.cloud.volume, digest_hex(uid, 17));
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
            "spec": {
                "accessModes": access, "capacity": room, "claimRef": reference,
                "persistentVolumeReclaimPolicy": "Delete",
                "csi": { "driver": self.cloud.driver, "volumeHandle": handle },
            },
            "status": { "phase": "Bound" },
        });
        self.writes.push((Write::new(&VOLUMES), volume));
        self.writes.push((Write::over(&CLAIMS, claim), bound));
    }
}

fn held_for(claim: &Value) -> String {
    format!("Volume {}/{}", text(claim, "/namespace"), text(claim, "/name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settle::AWS;

    fn told(outside: &Outside) -> (BTreeSet<String>, usize, usize) {
        (outside.holds.clone(), outside.writes.len(), outside.removes.len())
    }

    fn service(change: fn(&mut Value)) -> Outside {
        let mut service = json!({
            "metadata": { "namespace": "shop", "name": "web", "uid": "u" },
            "spec": { "type": "LoadBalancer" },
        });
        change(&mut service);
        seen(&service)
    }

    fn seen(service: &Value) -> Outside {
        let mut outside = Outside::of(&AWS);
        outside.see_service(&Arc::new(service.clone()), "eu-central-1");
        outside
    }

    #[test]
    fn a_service_gets_a_load_balancer_with_a_name_and_a_finalizer_once() {
        let made = service(|_| {});
        assert_eq!(made.holds, BTreeSet::from(["LoadBalancer shop/web".to_owned()]));
        let [(_, object)] = made.writes.as_slice() else { panic!("{made:?}") };
        assert_eq!(object["metadata"]["finalizers"], json!([CLEANUP]));
        let host = text(object, "/status/loadBalancer/ingress/0/hostname");
        assert!(host.ends_with(".elb.eu-central-1.amazonaws.com"), "{host}");
        assert_eq!(told(&seen(object)), (made.holds.clone(), 0, 0));
    }

    #[test]
    fn the_load_balancer_of_a_deleted_service_goes_and_lets_it_go() {
        let gone = service(|service| {
            service["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:00Z");
            service["metadata"]["finalizers"] = json!(["x", CLEANUP]);
        });
        assert!(gone.holds.is_empty());
        assert_eq!(gone.writes[0].1["metadata"]["finalizers"], json!(["x"]));
    }

    #[test]
    fn other_services_are_none_of_the_clouds_business() {
        let inner = service(|service| service["spec"]["type"] = json!("ClusterIP"));
        assert_eq!(told(&inner), (BTreeSet::new(), 0, 0));
    }

    fn claim() -> Arc<Value> {
        Arc::new(json!({
            "metadata": { "namespace": "db", "name": "data", "uid": "u" },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        }))
    }

    #[test]
    fn a_claim_is_bound_to_a_volume_that_goes_with_it_or_stays_as_its_policy_says() {
        let mut made = Outside::of(&AWS);
        made.see_volumes(&[claim()], &[]);
        assert_eq!(made.holds, BTreeSet::from(["Volume db/data".to_owned()]));
        let [(_, volume), (_, bound)] = made.writes.as_slice() else { panic!("{made:?}") };
        assert_eq!(bound["spec"]["volumeName"], "pvc-u");
        let (volume, bound) = (Arc::new(volume.clone()), Arc::new(bound.clone()));
        let mut again = Outside::of(&AWS);
        again.see_volumes(&[bound], &[Arc::clone(&volume)]);
        assert_eq!(told(&again), (made.holds.clone(), 0, 0));

        let mut gone = Outside::of(&AWS);
        gone.see_volumes(&[], &[Arc::clone(&volume)]);
        assert_eq!((gone.removes, gone.holds.len()), (vec!["pvc-u".to_owned()], 0));
        let mut kept = (*volume).clone();
        kept["spec"]["persistentVolumeReclaimPolicy"] = json!("Retain");
        let mut stays = Outside::of(&AWS);
        stays.see_volumes(&[], &[Arc::new(kept)]);
        assert_eq!(stays.holds, made.holds);
        assert_eq!(stays.writes[0].1["status"]["phase"], "Released");
    }
}
