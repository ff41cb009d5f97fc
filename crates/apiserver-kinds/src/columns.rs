//! The columns in which a table shows each built-in kind, as kubectl users know them.
//!
//! Headers, types and priorities follow Kubernetes 1.36; kinds without columns of their own show name and creation time.

use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::schemas::describe;

mod cells;
mod workloads;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// A column of a built-in kind's table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Header.
    pub name: &'static str,
    /// Type as announced: `string`, `integer`, `boolean` or `date`.
    pub kind: &'static str,
    /// `name` for the name column, else empty.
    pub format: &'static str,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i64,
    /// Where the value comes from.
    pub cell: Cell,
    doc: Doc,
}

/// Where a cell's value comes from.
#[derive(Debug, Clone, Copy)]
pub enum Cell {
    /// Age since the first timestamp there is at these pointers, as text; `<unknown>` without one.
    Age(&'static [&'static str]),
    /// From one timestamp to another, or to now; empty without the first.
    Between(&'static str, &'static str),
    /// Made from the object.
    Computed(fn(&Value) -> Value),
    /// The text at this pointer; empty where there is none.
    Text(&'static str),
}

/// What the header means.
#[derive(Debug, Clone, Copy)]
enum Doc {
    None,
    Text(&'static str),
    /// What a field of a definition (below `io.k8s.api.`, or whole) is for.
    Field(&'static str, &'static str),
}

impl Column {
    /// For people.
    #[must_use]
    pub fn description(&self) -> String {
        match self.doc {
            Doc::None => String::new(),
            Doc::Text(text) => text.to_owned(),
            Doc::Field(META, field) => describe(META, field).to_owned(),
            Doc::Field(definition, field) => {
                describe(&format!("io.k8s.api.{definition}"), field).to_owned()
            }
        }
    }

    const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }

    const fn of_type(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    const fn doc(self, definition: &'static str, field: &'static str) -> Self {
        Self { doc: Doc::Field(definition, field), ..self }
    }

    const fn says(self, text: &'static str) -> Self {
        Self { doc: Doc::Text(text), ..self }
    }
}

const fn column(name: &'static str, cell: Cell) -> Column {
    Column { name, kind: "string", format: "", priority: 0, cell, doc: Doc::None }
}

const fn text(name: &'static str, pointer: &'static str) -> Column {
    column(name, Cell::Text(pointer))
}

const fn computed(name: &'static str, how: fn(&Value) -> Value) -> Column {
    column(name, Cell::Computed(how))
}

const NAME: Column = Column { format: "name", ..text("Name", "/metadata/name").doc(META, "name") };
const AGE: Column =
    column("Age", Cell::Age(&["/metadata/creationTimestamp"])).doc(META, "creationTimestamp");
const CREATED: Column = text("Created At", "/metadata/creationTimestamp")
    .of_type("date")
    .doc(META, "creationTimestamp");

/// The name column, as custom kinds have it too.
#[must_use]
pub fn name_description() -> String {
    NAME.description()
}

/// The columns of a kind's table, in order.
#[must_use]
pub fn columns(kind: &Kind) -> Vec<Column> {
    let own: &[Column] = match (kind.group, kind.kind) {
        ("" | "events.k8s.io", "Event") => return EVENT.to_vec(),
        ("", _) => core(kind.kind),
        ("apps" | "batch" | "autoscaling" | "policy", _) => workloads::of(kind.kind),
        ("networking.k8s.io" | "discovery.k8s.io", _) => network(kind.kind),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => BINDING,
        _ => others(kind.kind),
    };
    std::iter::once(&NAME).chain(own).copied().collect()
}

const LAST_SEEN: &[&str] =
    &["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp", "/eventTime"];
const FIRST_SEEN: &[&str] = &["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"];

/// kubectl shows events without their names, except in the wide form.
const EVENT: &[Column] = &[
    column("Last Seen", Cell::Age(LAST_SEEN)).doc("core.v1.Event", "lastTimestamp"),
    text("Type", "/type").doc("core.v1.Event", "type"),
    text("Reason", "/reason").doc("core.v1.Event", "reason"),
    computed("Object", cells::event_object).doc("core.v1.Event", "involvedObject"),
    computed("Subobject", cells::event_part).wide().doc("core.v1.Event", "involvedObject"),
    computed("Source", cells::event_source).wide().doc("core.v1.Event", "source"),
    computed("Message", cells::event_message).doc("core.v1.Event", "message"),
    column("First Seen", Cell::Age(FIRST_SEEN)).wide().doc("core.v1.Event", "firstTimestamp"),
    computed("Count", cells::event_count).wide().doc("core.v1.Event", "count"),
    NAME.wide(),
];

fn core(kind: &str) -> &'static [Column] {
    match kind {
        "ConfigMap" => {
            const { &[computed("Data", cells::data).doc("core.v1.ConfigMap", "data"), AGE] }
        }
        "Secret" => SECRET,
        "ServiceAccount" => {
            const { &[computed("Secrets", cells::secrets).doc("core.v1.ServiceAccount", "secrets"), AGE] }
        }
        "Namespace" => {
            const { &[text("Status", "/status/phase").says("The status of the namespace"), AGE] }
        }
        "Endpoints" => {
            const { &[computed("Endpoints", cells::endpoints).doc("core.v1.Endpoints", "subsets"), AGE] }
        }
        "Node" => NODE,
        "Pod" => workloads::POD,
        "PodTemplate" => workloads::POD_TEMPLATE,
        "ReplicationController" => workloads::REPLICA_SET,
        "PersistentVolume" => VOLUME,
        "PersistentVolumeClaim" => CLAIM,
        "ResourceQuota" => QUOTA,
        "Service" => SERVICE,
        "ComponentStatus" => &[],
        _ => const { &[CREATED] },
    }
}

const SECRET: &[Column] = &[
    text("Type", "/type").doc("core.v1.Secret", "type"),
    computed("Data", cells::data).doc("core.v1.Secret", "data"),
    AGE,
];

const QUOTA: &[Column] = &[
    computed("Request", cells::quota_requests)
        .says("Request represents a minimum amount of cpu/memory that a container may consume."),
    computed("Limit", cells::quota_limits)
        .says("Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."),
    AGE,
];

const NODE: &[Column] = &[
    computed("Status", cells::node_status).says("The status of the node"),
    computed("Roles", cells::node_roles).says("The roles of the node"),
    AGE,
    text("Version", "/status/nodeInfo/kubeletVersion")
        .doc("core.v1.NodeSystemInfo", "kubeletVersion"),
    computed("Internal-IP", cells::internal_ip).wide().doc("core.v1.NodeStatus", "addresses"),
    computed("External-IP", cells::external_ip).wide().doc("core.v1.NodeStatus", "addresses"),
    computed("OS-Image", cells::os_image).wide().doc("core.v1.NodeSystemInfo", "osImage"),
    computed("Kernel-Version", cells::kernel).wide().doc("core.v1.NodeSystemInfo", "kernelVersion"),
    computed("Container-Runtime", cells::container_runtime)
        .wide()
        .doc("core.v1.NodeSystemInfo", "containerRuntimeVersion"),
];

const VOLUME: &[Column] = &[
    text("Capacity", "/spec/capacity/storage").doc("core.v1.PersistentVolumeSpec", "capacity"),
    computed("Access Modes", cells::access_modes)
        .doc("core.v1.PersistentVolumeSpec", "accessModes"),
    text("Reclaim Policy", "/spec/persistentVolumeReclaimPolicy")
        .doc("core.v1.PersistentVolumeSpec", "persistentVolumeReclaimPolicy"),
    computed("Status", cells::claim_phase).doc("core.v1.PersistentVolumeStatus", "phase"),
    computed("Claim", cells::volume_claim).doc("core.v1.PersistentVolumeSpec", "claimRef"),
    text("StorageClass", "/spec/storageClassName")
        .doc("core.v1.PersistentVolumeSpec", "storageClassName"),
    computed("VolumeAttributesClass", cells::attributes_class)
        .doc("core.v1.PersistentVolumeSpec", "volumeAttributesClassName"),
    text("Reason", "/status/reason").doc("core.v1.PersistentVolumeStatus", "reason"),
    AGE,
    computed("VolumeMode", cells::volume_mode)
        .wide()
        .doc("core.v1.PersistentVolumeSpec", "volumeMode"),
];

const CLAIM: &[Column] = &[
    computed("Status", cells::claim_phase).doc("core.v1.PersistentVolumeClaimStatus", "phase"),
    text("Volume", "/spec/volumeName").doc("core.v1.PersistentVolumeClaimSpec", "volumeName"),
    computed("Capacity", cells::claim_capacity)
        .doc("core.v1.PersistentVolumeClaimStatus", "capacity"),
    computed("Access Modes", cells::bound_modes)
        .doc("core.v1.PersistentVolumeClaimStatus", "accessModes"),
    text("StorageClass", "/spec/storageClassName")
        .doc("core.v1.PersistentVolumeClaimSpec", "storageClassName"),
    computed("VolumeAttributesClass", cells::attributes_class)
        .doc("core.v1.PersistentVolumeClaimSpec", "volumeAttributesClassName"),
    AGE,
    computed("VolumeMode", cells::volume_mode)
        .wide()
        .doc("core.v1.PersistentVolumeClaimSpec", "volumeMode"),
];

const SERVICE: &[Column] = &[
    text("Type", "/spec/type").doc("core.v1.ServiceSpec", "type"),
    computed("Cluster-IP", cells::cluster_ip).doc("core.v1.ServiceSpec", "clusterIP"),
    computed("External-IP", cells::addresses).doc("core.v1.ServiceSpec", "externalIPs"),
    computed("Port(s)", cells::service_ports).doc("core.v1.ServiceSpec", "ports"),
    AGE,
    computed("Selector", cells::service_selector).wide().doc("core.v1.ServiceSpec", "selector"),
];

const BINDING: &[Column] = &[
    computed("Role", cells::bound_role).says("Role is the role that is bound"),
    AGE,
    computed("Users", cells::users).wide().says("Users in the role binding"),
    computed("Groups", cells::groups).wide().says("Groups in the role binding"),
    computed("ServiceAccounts", cells::accounts).wide().says("ServiceAccounts in the role binding"),
];

fn network(kind: &str) -> &'static [Column] {
    const INGRESS: &[Column] = &[
        computed("Class", cells::ingress_class)
            .doc("networking.v1.IngressSpec", "ingressClassName"),
        computed("Hosts", cells::ingress_hosts)
            .says("Hosts that incoming requests are matched against before the ingress rule"),
        computed("Address", cells::ingress_addresses)
            .says("Address is a list containing ingress points for the load-balancer"),
        computed("Ports", cells::ingress_ports).says("Ports of TLS configurations that open"),
        AGE,
    ];
    const SLICE: &[Column] = &[
        text("AddressType", "/addressType").doc("discovery.v1.EndpointSlice", "addressType"),
        computed("Ports", cells::slice_ports).doc("discovery.v1.EndpointSlice", "ports"),
        computed("Endpoints", cells::slice_endpoints)
            .doc("discovery.v1.EndpointSlice", "endpoints"),
        AGE,
    ];
    match kind {
        "Ingress" => INGRESS,
        "EndpointSlice" => SLICE,
        "NetworkPolicy" => {
            const {
                &[
                    computed("Pod-Selector", cells::pod_selector)
                        .doc("networking.v1.NetworkPolicySpec", "podSelector"),
                    AGE,
                ]
            }
        }
        "IngressClass" => {
            const {
                &[
                    text("Controller", "/spec/controller")
                        .says("Controller that is responsible for handling this class"),
                    computed("Parameters", cells::class_parameters)
                        .says("A reference to a resource with additional parameters"),
                    AGE,
                ]
            }
        }
        _ => const { &[CREATED] },
    }
}

fn others(kind: &str) -> &'static [Column] {
    const STORAGE_CLASS: &[Column] = &[
        text("Provisioner", "/provisioner").doc("storage.v1.StorageClass", "provisioner"),
        text("ReclaimPolicy", "/reclaimPolicy").doc("storage.v1.StorageClass", "reclaimPolicy"),
        text("VolumeBindingMode", "/volumeBindingMode")
            .doc("storage.v1.StorageClass", "volumeBindingMode"),
        computed("AllowVolumeExpansion", cells::expands)
            .doc("storage.v1.StorageClass", "allowVolumeExpansion"),
        AGE,
    ];
    const PRIORITY: &[Column] = &[
        computed("Value", |object| object["value"].clone())
            .doc("scheduling.v1.PriorityClass", "value"),
        computed("Global-Default", |object| json!(object["globalDefault"] == true))
            .doc("scheduling.v1.PriorityClass", "globalDefault"),
        AGE,
        text("PreemptionPolicy", "/preemptionPolicy")
            .doc("scheduling.v1.PriorityClass", "preemptionPolicy"),
    ];
    const POLICY: &[Column] = &[
        computed("Validations", cells::validations).of_type("integer"),
        computed("ParamKind", cells::param_kind),
        AGE,
    ];
    match kind {
        "Lease" => {
            const {
                &[
                    text("Holder", "/spec/holderIdentity")
                        .doc("coordination.v1.LeaseSpec", "holderIdentity"),
                    AGE,
                ]
            }
        }
        "StorageClass" => STORAGE_CLASS,
        "PriorityClass" => PRIORITY,
        "ValidatingAdmissionPolicy" => POLICY,
        "ValidatingAdmissionPolicyBinding" => {
            const {
                &[
                    text("PolicyName", "/spec/policyName"),
                    computed("ParamRef", cells::param_ref),
                    AGE,
                ]
            }
        }
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            const { &[computed("Webhooks", cells::webhooks).of_type("integer"), AGE] }
        }
        "RuntimeClass" => {
            const { &[text("Handler", "/handler").doc("node.v1.RuntimeClass", "handler"), AGE] }
        }
        _ => const { &[CREATED] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    #[test]
    fn every_column_that_cites_a_field_finds_its_description() {
        for kind in kinds::all() {
            for column in columns(kind) {
                if matches!(column.doc, Doc::Field(..)) {
                    let (kind, name) = (kind.kind, column.name);
                    assert!(!column.description().is_empty(), "{kind} {name}");
                }
            }
        }
    }

    #[test]
    fn kinds_without_columns_of_their_own_show_when_they_were_created() {
        let role = kinds::all().find(|kind| kind.plural == "roles").map(columns);
        let names: Vec<&str> = role.iter().flatten().map(|column| column.name).collect();
        assert_eq!(names, ["Name", "Created At"]);
    }
}
