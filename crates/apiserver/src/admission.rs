//! Puts a write before the ValidatingAdmissionPolicies of its cluster.

use fleetwright_apiserver_core::admission::{self, Operation, Request};
use fleetwright_apiserver_core::crud::Part;
use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::status::ApiError;
use serde_json::Value;

use crate::cluster::LogicalCluster;
use crate::operations::{Target, place_of};

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
    /// Asks the policies. Objects that go along with their namespace are not asked about: that
    /// happens inside the writer.
    pub(crate) fn admit(&self, target: Target<'_>, asked: Asked<'_>) -> Result<(), ApiError> {
        let everything = |resource| {
            // A list of now is never too old.
            let listed = self.tables.list(resource, None, None, None);
            listed.map(|snapshot| snapshot.objects).unwrap_or_default()
        };
        let bindings = everything(BINDINGS);
        if bindings.is_empty() {
            return Ok(());
        }
        let policies = everything(POLICIES);
        let namespace =
            target.namespace.and_then(|name| self.tables.get("namespaces", &place_of(None, name)));
        let Asked { operation, subresource, object, old, dry_run } = asked;
        let request = Request {
            rt: target.rt,
            name: target.name,
            subresource,
            operation,
            object,
            old,
            namespace: namespace.as_ref().map(|object| &*object.value),
            dry_run,
        };
        let policies: Vec<&Value> = policies.iter().map(|object| &*object.value).collect();
        let bindings: Vec<&Value> = bindings.iter().map(|object| &*object.value).collect();
        admission::admit(&policies, &bindings, &request)
    }
}
