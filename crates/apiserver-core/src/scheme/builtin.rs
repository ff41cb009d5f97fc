//! The built-in kinds: names here, columns in `columns.rs`, schemas in `data/kubernetes.json`.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::{ResourceType, Rules, Scheme};

mod columns;

pub(super) use columns::name_column;

const DATA: &str = include_str!("../../data/kubernetes.json");

/// One row of the table of built-in kinds.
struct Row {
    definition: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    has_status: bool,
    selectable: &'static [&'static str],
}

const fn row(definition: &'static str, plural: &'static str) -> Row {
    let (short_names, categories, selectable): (_, _, &[&str]) = (&[], &[], &[]);
    Row {
        definition,
        plural,
        short_names,
        categories,
        namespaced: true,
        has_status: false,
        selectable,
    }
}

const ROWS: &[Row] = &[
    Row { short_names: &["cm"], ..row("io.k8s.api.core.v1.ConfigMap", "configmaps") },
    Row {
        short_names: &["ev"],
        selectable: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
        ..row("io.k8s.api.core.v1.Event", "events")
    },
    Row {
        short_names: &["ns"],
        namespaced: false,
        has_status: true,
        selectable: &["status.phase"],
        ..row("io.k8s.api.core.v1.Namespace", "namespaces")
    },
    Row {
        short_names: &["no"],
        namespaced: false,
        has_status: true,
        selectable: &["spec.unschedulable"],
        ..row("io.k8s.api.core.v1.Node", "nodes")
    },
    Row {
        short_names: &["pv"],
        namespaced: false,
        has_status: true,
        ..row("io.k8s.api.core.v1.PersistentVolume", "persistentvolumes")
    },
    Row {
        short_names: &["pvc"],
        has_status: true,
        ..row("io.k8s.api.core.v1.PersistentVolumeClaim", "persistentvolumeclaims")
    },
    Row {
        short_names: &["po"],
        categories: &["all"],
        has_status: true,
        selectable: &["spec.nodeName", "spec.serviceAccountName", "status.phase", "status.podIP"],
        ..row("io.k8s.api.core.v1.Pod", "pods")
    },
    Row { selectable: &["type"], ..row("io.k8s.api.core.v1.Secret", "secrets") },
    Row { short_names: &["sa"], ..row("io.k8s.api.core.v1.ServiceAccount", "serviceaccounts") },
    Row {
        short_names: &["svc"],
        categories: &["all"],
        has_status: true,
        selectable: &["spec.clusterIP", "spec.type"],
        ..row("io.k8s.api.core.v1.Service", "services")
    },
    Row {
        categories: &["api-extensions"],
        namespaced: false,
        has_status: true,
        ..row(
            "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
            "validatingadmissionpolicies",
        )
    },
    Row {
        categories: &["api-extensions"],
        namespaced: false,
        ..row(
            "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
            "validatingadmissionpolicybindings",
        )
    },
    Row {
        short_names: &["sts"],
        categories: &["all"],
        has_status: true,
        ..row("io.k8s.api.apps.v1.StatefulSet", "statefulsets")
    },
    row("io.k8s.api.coordination.v1.Lease", "leases"),
    Row {
        short_names: &["ing"],
        has_status: true,
        ..row("io.k8s.api.networking.v1.Ingress", "ingresses")
    },
    Row {
        short_names: &["netpol"],
        ..row("io.k8s.api.networking.v1.NetworkPolicy", "networkpolicies")
    },
    Row {
        short_names: &["pdb"],
        has_status: true,
        ..row("io.k8s.api.policy.v1.PodDisruptionBudget", "poddisruptionbudgets")
    },
];

/// The built-in kinds; they are read and compiled once in the life of the process.
pub(super) fn scheme() -> Scheme {
    static BUILTIN: OnceLock<Scheme> = OnceLock::new();
    BUILTIN.get_or_init(read).clone()
}

/// Reads the embedded data. It is part of the program, so a broken file shows as a scheme
/// without kinds, which the tests refuse.
fn read() -> Scheme {
    let mut data: Value = serde_json::from_str(DATA).unwrap_or_default();
    let definitions = match data.get_mut("definitions").map(Value::take) {
        Some(Value::Object(map)) => Arc::new(map),
        _ => Arc::new(Map::new()),
    };
    let types = ROWS.iter().filter_map(|row| resource_type(row, &definitions));
    let keyed =
        types.map(|rt| ((rt.group.clone(), rt.version.clone(), rt.plural.clone()), Arc::new(rt)));
    Scheme { types: keyed.collect(), definitions: Arc::clone(&definitions) }
}

fn resource_type(row: &Row, definitions: &Arc<Map<String, Value>>) -> Option<ResourceType> {
    let schema = definitions.get(row.definition)?.clone();
    let gvk = schema.get("x-kubernetes-group-version-kind")?.get(0)?;
    let text = |key: &str| gvk.get(key).and_then(Value::as_str).map(str::to_owned);
    let kind = text("kind")?;
    let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
    Some(ResourceType {
        group: text("group")?,
        version: text("version")?,
        plural: row.plural.to_owned(),
        singular: kind.to_lowercase(),
        short_names: owned(row.short_names),
        categories: owned(row.categories),
        namespaced: row.namespaced,
        has_status: row.has_status,
        custom: false,
        storage: true,
        columns: columns::columns(&kind),
        selectable_fields: owned(row.selectable),
        rules: Rules::compile(&kind, &schema, Arc::clone(definitions)).ok()?,
        schema,
        kind,
    })
}
