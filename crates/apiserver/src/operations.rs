//! Create, change and remove: read what is there, let the pure core decide, hand the result to
//! the writer, and start over where a write was overtaken.

use std::sync::Arc;

use fleetwright_apiserver_core::crd;
use fleetwright_apiserver_core::crud::{
    self, Admitted, Birth, Context, DeleteOptions, Deletion, Effect, Part,
};
use fleetwright_apiserver_core::document::Document;
use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::scheme::ResourceType;
use fleetwright_apiserver_core::status::{self, ApiError};
use serde_json::Value;

use crate::admission::Asked;
use crate::cluster::LogicalCluster;
use crate::crds::is_crd;
use crate::tables::{Object, Place};
use crate::writer::{Expect, Write, WriteError, is_deleting};

mod apply;
mod evict;
mod pods;
mod services;

/// How often a change that was overtaken starts over. Each time somebody else has got on, so this
/// many must come at once before one is told to try again; upstream has no bound here.
const ATTEMPTS: usize = 64;
/// Nobody may delete these (upstream's admission plugin `NamespaceLifecycle`).
const IMMORTAL_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Why nothing is made of a kind whose definition is on its way out.
pub(crate) const KIND_TERMINATING: &str =
    "create not allowed while custom resource definition is terminating";

/// What a write leaves behind, to be answered.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) value: Arc<Value>,
    pub(crate) warnings: Vec<String>,
}

/// A name in the API: the kind, and where the object lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) rt: &'a ResourceType,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
}

pub(crate) fn place_of(namespace: Option<&str>, name: &str) -> Place {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}

impl LogicalCluster {
    fn context<'a>(
        &self,
        rt: &'a ResourceType,
        namespace: Option<&'a str>,
        options: &'a Options,
    ) -> Context<'a> {
        Context { rt, namespace, now: self.shared().clock.now(), options }
    }

    pub(crate) fn stored(&self, target: Target<'_>) -> Result<Arc<Object>, ApiError> {
        let Target { rt, namespace, name } = target;
        let found = self.tables.get(&rt.stored_resource(), &place_of(namespace, name));
        found.map(|object| object.viewed(rt)).ok_or_else(|| ApiError::not_found(rt, name))
    }

    pub(crate) async fn create(
        &self,
        rt: &ResourceType,
        namespace: Option<&str>,
        body: Document,
        options: &Options,
    ) -> Result<Written, ApiError> {
        let generated = body.value["metadata"]["name"].as_str().unwrap_or_default().is_empty();
        let ids = &self.shared().ids;
        for _ in 0..ATTEMPTS {
            let birth = Birth { uid: ids.uid(), suffix: ids.suffix() };
            let context = self.context(rt, namespace, options);
            let mut admitted = crud::create(&context, body.clone(), birth)?;
            self.allocate(rt, &mut admitted.object, None)?;
            self.receive_pod(rt, &mut admitted.object)?;
            let name = admitted.object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let target = Target { rt, namespace, name: &name };
            let told = self.admit(target, Asked::create(&admitted.object, options))?;
            match self.store(target, Expect::Absent, Some(admitted.object), options).await {
                Ok(value) => {
                    let warnings = [admitted.warnings, told].concat();
                    return Ok(Written { value, warnings });
                }
                // Another object drew the same random suffix: draw again.
                Err(WriteError::Exists) if generated => {}
                Err(error) => return Err(self.explain(target, error)),
            }
        }
        let message = "no free name was found for generateName; try again";
        Err(ApiError::unavailable(message))
    }

    /// Replaces or patches a part: `change` gets the stored object and says what becomes of it.
    pub(crate) async fn change(
        &self,
        target: Target<'_>,
        part: Part,
        options: &Options,
        change: impl Fn(&Context<'_>, &Value) -> Result<Admitted, ApiError>,
    ) -> Result<Written, ApiError> {
        let Target { rt, namespace, .. } = target;
        for _ in 0..ATTEMPTS {
            let old = self.stored(target)?;
            let before = crd::in_version(rt, &old.value);
            let context = self.context(rt, namespace, options);
            let Admitted { mut object, effect, mut warnings } = change(&context, &before)?;
            self.allocate(rt, &mut object, Some(&before))?;
            warnings.extend(self.admit(target, Asked::update(part, &object, &before, options))?);
            let expect = Expect::Revision(old.revision);
            let written = match effect {
                Effect::Unchanged => {
                    return Ok(Written { value: Arc::clone(&old.value), warnings });
                }
                Effect::Write => self.store(target, expect, Some(object), options).await,
                Effect::Remove => {
                    // What is answered is the object without its last finalizer.
                    let removed = self.store(target, expect, None, options).await;
                    removed.map(|_last| Arc::new(object))
                }
            };
            match written {
                Ok(value) => return Ok(Written { value, warnings }),
                // Somebody was faster. A caller who named a revision gets a conflict from
                // `change` the next time round.
                Err(WriteError::Stale) => {}
                Err(error) => return Err(self.explain(target, error)),
            }
        }
        Err(ApiError::modified(rt, target.name))
    }

    /// Deletes and says what to answer: the object that stays for now, the one that went, or a
    /// `Status`.
    pub(crate) async fn remove(
        &self,
        rt: &ResourceType,
        namespace: Option<&str>,
        name: &str,
        body: Option<&Value>,
        options: &Options,
    ) -> Result<Arc<Value>, ApiError> {
        let target = Target { rt, namespace, name };
        let delete_options = DeleteOptions::parse(body, options)?;
        let dry = Options { dry_run: delete_options.dry_run, ..options.clone() };
        for _ in 0..ATTEMPTS {
            let old = self.stored(target)?;
            if rt.is("", "namespaces") && IMMORTAL_NAMESPACES.contains(&name) {
                return Err(ApiError::forbidden(rt, name, "this namespace may not be deleted"));
            }
            let deletion =
                crud::delete(&self.context(rt, namespace, options), &old.value, &delete_options)?;
            self.admit(target, Asked::delete(&old.value, &dry))?;
            let expect = Expect::Revision(old.revision);
            let removed = match deletion {
                Deletion::Unchanged => return Ok(Arc::clone(&old.value)),
                Deletion::Mark(object) => self.store(target, expect, Some(object), &dry).await,
                Deletion::Remove => {
                    self.store(target, expect, None, &dry).await.map(|last| removal(rt, name, last))
                }
            };
            match removed {
                Ok(value) => return Ok(value),
                Err(WriteError::Stale) => {}
                Err(error) => return Err(self.explain(target, error)),
            }
        }
        Err(ApiError::modified(rt, name))
    }

    pub(crate) async fn create_or_replace(
        &self,
        rt: &ResourceType,
        mut object: Value,
    ) -> Result<Arc<Value>, ApiError> {
        let text = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
        let (namespace, name) = (text("namespace"), text("name").unwrap_or_default());
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        let target = Target { rt, namespace: namespace.as_deref(), name: &name };
        let options = Options::default();
        let main = || Document { value: object.clone(), duplicates: Vec::new() };
        let created = match self.stored(target) {
            Ok(_) => None,
            Err(_absent) => match self.create(rt, namespace.as_deref(), main(), &options).await {
                // Somebody was faster.
                Err(error) if error.reason() == "AlreadyExists" => None,
                other => Some(other?),
            },
        };
        let mut written = match created {
            Some(written) => written,
            None => {
                self.change(target, Part::Main, &options, |context, old| {
                    crud::update(context, &name, Part::Main, old, with_revision_of(main(), old))
                })
                .await?
            }
        };
        if rt.has_status && object.get("status").is_some_and(|status| !status.is_null()) {
            written = self
                .change(target, Part::Status, &options, |context, old| {
                    crud::update(context, &name, Part::Status, old, with_revision_of(main(), old))
                })
                .await?;
        }
        Ok(written.value)
    }

    /// Hands a decided write to the writer; for a dry run only pretends to.
    async fn store(
        &self,
        target: Target<'_>,
        expect: Expect,
        new: Option<Value>,
        options: &Options,
    ) -> Result<Arc<Value>, WriteError> {
        let resource = target.rt.stored_resource();
        let place = place_of(target.namespace, target.name);
        if options.dry_run {
            let current = self.tables.get(&resource, &place);
            if expect == Expect::Absent && current.is_none() {
                self.check_namespace(target)?;
            }
            return match (new, current) {
                (Some(_), Some(_)) if expect == Expect::Absent => Err(WriteError::Exists),
                (Some(value), _) => Ok(Arc::new(value)),
                (None, Some(object)) => Ok(Arc::clone(&object.value)),
                (None, None) => Err(WriteError::Missing),
            };
        }
        let tables = Arc::clone(&self.tables);
        let new = new.map(|new| crd::in_storage_version(target.rt, new));
        let custom = target.rt.custom;
        let write = Write { tables, resource, place, custom, expect, new };
        let object = self.shared().writer.write(write).await?;
        if is_crd(target.rt) {
            self.crds_changed().await;
        }
        Ok(Arc::clone(&object.viewed(target.rt).value))
    }

    /// What the writer asks of the namespace of a new object, for what is not handed to it.
    fn check_namespace(&self, target: Target<'_>) -> Result<(), WriteError> {
        let Some(name) = target.namespace.filter(|name| !name.is_empty()) else { return Ok(()) };
        match self.tables.get("namespaces", &place_of(None, name)) {
            None => Err(WriteError::NamespaceMissing),
            Some(object) if is_deleting(&object.value) => Err(WriteError::NamespaceTerminating),
            Some(_) => Ok(()),
        }
    }

    fn explain(&self, target: Target<'_>, error: WriteError) -> ApiError {
        let Target { rt, namespace, name } = target;
        let namespace = namespace.unwrap_or_default();
        match error {
            WriteError::Exists => match self.stored(target) {
                Ok(object) if !object.value["metadata"]["deletionTimestamp"].is_null() => {
                    ApiError::being_deleted(rt, name)
                }
                _ => ApiError::already_exists(rt, name),
            },
            WriteError::Missing => ApiError::not_found(rt, name),
            WriteError::NamespaceTerminating => {
                ApiError::namespace_terminating(rt, name, namespace)
            }
            WriteError::KindMissing => ApiError::path_not_found(),
            WriteError::KindTerminating => ApiError::forbidden(rt, name, KIND_TERMINATING),
            WriteError::NamespaceMissing => match self.scheme().find("", "v1", "namespaces") {
                Some(namespaces) => ApiError::not_found(namespaces, namespace),
                None => ApiError::path_not_found(),
            },
            other => other.into(),
        }
    }
}

fn removal(rt: &ResourceType, name: &str, last: Arc<Value>) -> Arc<Value> {
    if crud::answers_object(rt) {
        return last;
    }
    let uid = last["metadata"]["uid"].as_str().unwrap_or_default();
    Arc::new(status::success(rt, name, uid))
}

/// Says "replace whatever is there": some kinds refuse a replacement that names no revision.
fn with_revision_of(mut body: Document, old: &Value) -> Document {
    body.value["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
    body
}
