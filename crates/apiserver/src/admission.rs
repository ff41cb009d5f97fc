//! Puts a write before the ValidatingAdmissionPolicies of its cluster.

use std::sync::Arc;

use fleetwright_apiserver_core::admission::{self, Operation, Params, Request, pod_security};
use fleetwright_apiserver_core::crd;
use fleetwright_apiserver_core::crud::Part;
use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::scheme::{ResourceType, Scheme};
use fleetwright_apiserver_core::status::ApiError;
use serde_json::Value;

use crate::cluster::LogicalCluster;
use crate::crds::is_crd;
use crate::operations::{KIND_TERMINATING, Target, place_of};
use crate::tables::Object;

const POLICIES: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";
const BINDINGS: &str = "validatingadmissionpolicybindings.admissionregistration.k8s.io";

/// What is about to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    operation: Operation,
    subresource: Option<&'static str>,
    object: Option<&'a Value>,
    old: Option<&'a Value>,
    dry_run: bool,
}

impl<'a> Asked<'a> {
    pub(crate) fn create(object: &'a Value, options: &Options) -> Self {
        let operation = Operation::Create;
        let dry_run = options.dry_run;
        Self { operation, subresource: None, object: Some(object), old: None, dry_run }
    }

    pub(crate) fn update(part: Part, object: &'a Value, old: &'a Value, options: &Options) -> Self {
        let subresource = match part {
            Part::Main => None,
            Part::Status => Some("status"),
            Part::Finalize => Some("finalize"),
            Part::Scale => Some("scale"),
        };
        let operation = Operation::Update;
        let dry_run = options.dry_run;
        Self { operation, subresource, object: Some(object), old: Some(old), dry_run }
    }

    pub(crate) fn delete(old: &'a Value, options: &Options) -> Self {
        let operation = Operation::Delete;
        let dry_run = options.dry_run;
        Self { operation, subresource: None, object: None, old: Some(old), dry_run }
    }
}

impl LogicalCluster {
    /// Asks the definitions of custom kinds, Pod Security, and the policies; answers warnings.
    /// Objects that go along with their namespace are not asked about: that happens inside the
    /// writer.
    pub(crate) fn admit(
        &self,
        target: Target<'_>,
        asked: Asked<'_>,
    ) -> Result<Vec<String>, ApiError> {
        self.guard_definitions(target, &asked)?;
        let namespace =
            target.namespace.and_then(|name| self.tables.get("namespaces", &place_of(None, name)));
        let namespace = namespace.as_ref().map(|object| &*object.value);
        let mut warnings = self.judge_pods(target, &asked, namespace)?;
        let bindings = self.everything(BINDINGS);
        if bindings.is_empty() {
            return Ok(warnings);
        }
        let policies = self.everything(POLICIES);
        let Asked { operation, subresource, object, old, dry_run } = asked;
        let request = Request {
            rt: target.rt,
            name: target.name,
            subresource,
            operation,
            object,
            old,
            namespace,
            dry_run,
        };
        let policies: Vec<&Value> = policies.iter().map(|object| &*object.value).collect();
        let bindings: Vec<&Value> = bindings.iter().map(|object| &*object.value).collect();
        let scheme = self.scheme();
        let others: Vec<_> = others(&scheme, target.rt)
            .map(|rt| {
                let shown =
                    |value: Option<&Value>| value.map(|value| shown_as(rt, target.rt, value));
                (rt, shown(object), shown(old))
            })
            .collect();
        let mut requests = vec![request];
        requests.extend(others.iter().map(|(rt, object, old)| {
            let (object, old) = (object.as_deref(), old.as_deref());
            Request { rt, object, old, ..request }
        }));
        let told = admission::admit_equivalents(&policies, &bindings, &requests, self)?;
        warnings.extend(told);
        Ok(warnings)
    }

    fn everything(&self, resource: &str) -> Vec<Arc<Object>> {
        // A list of now is never too old.
        let listed = self.tables.list(resource, None, None, None);
        listed.map(|snapshot| snapshot.objects).unwrap_or_default()
    }

    /// Pod Security: of pods and what makes them, and of the labels of namespaces.
    fn judge_pods(
        &self,
        target: Target<'_>,
        asked: &Asked<'_>,
        namespace: Option<&Value>,
    ) -> Result<Vec<String>, ApiError> {
        let Target { rt, name, .. } = target;
        let Some(object) = asked.object.filter(|_| !rt.custom && asked.subresource.is_none())
        else {
            return Ok(Vec::new());
        };
        let verdict = if rt.is("", "namespaces") {
            let pods = || {
                let listed = self.tables.list("pods", Some(name), None, None);
                let pods = listed.map(|snapshot| snapshot.objects).unwrap_or_default();
                pods.iter().map(|pod| Arc::clone(&pod.value)).collect::<Vec<_>>()
            };
            pod_security::judge_namespace(object, asked.old, pods)
        } else if let Some(namespace) = namespace {
            pod_security::judge_pods(rt, object, asked.old, namespace)
        } else {
            return Ok(Vec::new());
        };
        match verdict.forbidden {
            Some(why) => Err(ApiError::forbidden(rt, name, &why)),
            None if !verdict.causes.is_empty() => Err(ApiError::invalid(rt, name, verdict.causes)),
            None => Ok(verdict.warnings),
        }
    }

    /// What the definitions of custom kinds forbid: new instances of a kind that is going, and any
    /// change of a definition that is part of the program.
    fn guard_definitions(&self, target: Target<'_>, asked: &Asked<'_>) -> Result<(), ApiError> {
        let Target { rt, name, .. } = target;
        if rt.custom && asked.operation == Operation::Create {
            let definition =
                self.tables.get(crd::GROUP_RESOURCE, &place_of(None, &rt.group_resource()));
            if definition.is_some_and(|definition| crd::is_terminating(&definition.value)) {
                return Err(ApiError::forbidden(rt, name, KIND_TERMINATING));
            }
        }
        let own = is_crd(rt).then(|| self.attached.scheme.own_crds().get(name)).flatten();
        let Some(own) = own else { return Ok(()) };
        if asked.object.is_some_and(|object| object["spec"] == own["spec"]) {
            return Ok(());
        }
        let why = "this definition is part of the program: it comes and changes with its version";
        Err(ApiError::forbidden(rt, name, why))
    }
}

/// The other versions, and groups, in which the objects of a kind are served.
fn others<'a>(
    scheme: &'a Scheme,
    rt: &'a ResourceType,
) -> impl Iterator<Item = &'a Arc<ResourceType>> {
    let stored = rt.stored_resource();
    let other = move |other: &&Arc<ResourceType>| {
        other.plural == rt.plural
            && (other.version != rt.version || other.group != rt.group)
            && other.stored_resource() == stored
    };
    scheme.types().filter(other)
}

/// An object of one version in another.
fn shown_as(wanted: &ResourceType, given: &ResourceType, object: &Value) -> Arc<Value> {
    let stored = Arc::new(crd::in_storage_version(given, object.clone()));
    match crd::viewed(wanted, &stored) {
        Some(view) => Arc::new(view),
        None => crd::in_version(wanted, &stored),
    }
}

impl Params for LogicalCluster {
    fn of_kind(&self, api_version: &str, kind: &str, namespace: Option<&str>) -> Vec<Value> {
        let scheme = self.scheme();
        let Some(rt) = scheme.find_kind(api_version, kind) else { return Vec::new() };
        let namespace = namespace.filter(|_| rt.namespaced);
        if rt.namespaced && namespace.is_none() {
            return Vec::new();
        }
        let listed = self.tables.list(&rt.stored_resource(), namespace, None, None);
        let found = listed.map(|snapshot| snapshot.objects).unwrap_or_default();
        found.iter().map(|object| (*object.viewed(rt).value).clone()).collect()
    }
}
