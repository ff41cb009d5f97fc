//! The finalizer: taken just before the first side effect, let go when nothing of ours is left.

use std::fmt::Debug;

use fleetwright_errclass::Class;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use crate::{Controller, Failure};

/// Takes the finalizer just before the first side effect. Fails, and so stops the side effect, when the object changed
/// or is gone since it was read: a stale cache must not make a cloud resource for an object that nobody has.
pub(crate) async fn hold<C: Controller>(
    controller: &C,
    api: &Api<C::Object>,
    object: &C::Object,
) -> Result<Option<C::Object>, Failure> {
    let Some(finalizer) = controller.finalizer() else {
        return Ok(None);
    };
    let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|held| held == finalizer) {
        return Ok(None);
    }
    if object.meta().deletion_timestamp.is_some() {
        // Refused, not a conflict: nothing changes until somebody acts, and each look costs calls to a cloud.
        return Err(Failure::new(
            Class::Refused,
            "Deleting",
            "the object is being deleted, so nothing new is made for it",
        ));
    }
    finalizers.push(finalizer.to_owned());
    set(api, object, &finalizers).await.map(Some)
}

pub(crate) async fn remove<C: Controller>(
    controller: &C,
    api: &Api<C::Object>,
    object: &C::Object,
) -> Result<(), Failure> {
    let Some(finalizer) = controller.finalizer() else {
        return Ok(());
    };
    let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|held| held != finalizer);
    if finalizers.len() == before {
        return Ok(());
    }
    tracing::info!(finalizer, "nothing of ours is left; letting the object go");
    match set(api, object, &finalizers).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code == "NotFound" => Ok(()),
        Err(failure) => Err(failure),
    }
}

async fn set<K>(api: &Api<K>, object: &K, finalizers: &[String]) -> Result<K, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned,
{
    let name = object.name_any();
    let patch = json!({"metadata": {
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
        "finalizers": finalizers,
    }});
    api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(|error| Failure::kube(&format!("set the finalizers of {name}"), &error))
}
