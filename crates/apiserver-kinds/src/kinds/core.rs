//! The kinds of the core group.

use super::{
    CHANGE, CONNECT, CREATE, Kind, READ, SCALE, STATUS, Subresource, WITHOUT_DELETECOLLECTION, of,
    own, row,
};

const CORE: (&str, &str) = ("", "");
const CREATE_GET: &[&str] = &["create", "get"];
const UPDATE: &[&str] = &["update"];

const POD_PATHS: &[Subresource] = &[
    of("attach", CORE, "PodAttachOptions", CREATE_GET),
    of("binding", CORE, "Binding", CREATE),
    own("ephemeralcontainers", CHANGE),
    of("eviction", ("policy", "v1"), "Eviction", CREATE),
    of("exec", CORE, "PodExecOptions", CREATE_GET),
    own("log", &["get"]),
    of("portforward", CORE, "PodPortForwardOptions", CREATE_GET),
    of("proxy", CORE, "PodProxyOptions", CONNECT),
    own("resize", CHANGE),
    STATUS,
];

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

pub(super) const ROWS: &[Kind] = &[
    row("", "Binding", "bindings").verbs(CREATE),
    row("", "ComponentStatus", "componentstatuses").cluster().verbs(READ).short(&["cs"]),
    row("", "ConfigMap", "configmaps").short(&["cm"]),
    row("", "Endpoints", "endpoints").short(&["ep"]),
    row("", "Event", "events").short(&["ev"]).select(EVENT_FIELDS),
    row("", "LimitRange", "limitranges").short(&["limits"]),
    row("", "Namespace", "namespaces")
        .cluster()
        .verbs(WITHOUT_DELETECOLLECTION)
        .short(&["ns"])
        .sub(&[own("finalize", UPDATE), STATUS])
        .select(&["status.phase"]),
    row("", "Node", "nodes")
        .cluster()
        .short(&["no"])
        .sub(&[of("proxy", CORE, "NodeProxyOptions", CONNECT), STATUS])
        .select(&["spec.unschedulable"]),
    row("", "PersistentVolumeClaim", "persistentvolumeclaims").short(&["pvc"]).sub(&[STATUS]),
    row("", "PersistentVolume", "persistentvolumes").cluster().short(&["pv"]).sub(&[STATUS]),
    row("", "Pod", "pods").short(&["po"]).among(&["all"]).sub(POD_PATHS).select(POD_FIELDS),
    row("", "PodTemplate", "podtemplates"),
    row("", "ReplicationController", "replicationcontrollers")
        .short(&["rc"])
        .among(&["all"])
        .sub(&[SCALE, STATUS])
        .select(&["status.replicas"]),
    row("", "ResourceQuota", "resourcequotas").short(&["quota"]).sub(&[STATUS]),
    row("", "Secret", "secrets").select(&["type"]),
    row("", "ServiceAccount", "serviceaccounts").short(&["sa"]).sub(&[of(
        "token",
        ("authentication.k8s.io", "v1"),
        "TokenRequest",
        CREATE,
    )]),
    row("", "Service", "services")
        .short(&["svc"])
        .among(&["all"])
        .sub(&[of("proxy", CORE, "ServiceProxyOptions", CONNECT), STATUS])
        .select(&["spec.clusterIP", "spec.type"]),
];
