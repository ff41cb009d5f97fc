//! The kinds of the named groups, in the order of discovery.

use super::{CHANGE, CREATE, Kind, SCALE, STATUS, own, row};

const APPS: &str = "apps";
const EVENTS: &str = "events.k8s.io";
const AUTHN: &str = "authentication.k8s.io";
const AUTHZ: &str = "authorization.k8s.io";
const NET: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const RESOURCE: &str = "resource.k8s.io";
const FLOW: &str = "flowcontrol.apiserver.k8s.io";
const EXTENSIONS: &[&str] = &["api-extensions"];
const ALL: &[&str] = &["all"];

const EVENT_FIELDS: &[&str] = &[
    "reason",
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reportingController",
    "type",
];

const AUTOSCALER: Kind = row("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
    .short(&["hpa"])
    .among(ALL)
    .sub(&[STATUS]);

pub(super) const ROWS: &[Kind] = &[
    row("apiregistration.k8s.io", "APIService", "apiservices")
        .cluster()
        .among(EXTENSIONS)
        .sub(&[STATUS]),
    row(APPS, "ControllerRevision", "controllerrevisions"),
    row(APPS, "DaemonSet", "daemonsets").short(&["ds"]).among(ALL).sub(&[STATUS]),
    row(APPS, "Deployment", "deployments").short(&["deploy"]).among(ALL).sub(&[SCALE, STATUS]),
    row(APPS, "ReplicaSet", "replicasets")
        .short(&["rs"])
        .among(ALL)
        .sub(&[SCALE, STATUS])
        .select(&["status.replicas"]),
    row(APPS, "StatefulSet", "statefulsets").short(&["sts"]).among(ALL).sub(&[SCALE, STATUS]),
    Kind { storage: false, ..row(EVENTS, "Event", "events").short(&["ev"]).select(EVENT_FIELDS) },
    row(AUTHN, "SelfSubjectReview", "selfsubjectreviews").cluster().verbs(CREATE),
    row(AUTHN, "TokenReview", "tokenreviews").cluster().verbs(CREATE),
    row(AUTHZ, "LocalSubjectAccessReview", "localsubjectaccessreviews").verbs(CREATE),
    row(AUTHZ, "SelfSubjectAccessReview", "selfsubjectaccessreviews").cluster().verbs(CREATE),
    row(AUTHZ, "SelfSubjectRulesReview", "selfsubjectrulesreviews").cluster().verbs(CREATE),
    row(AUTHZ, "SubjectAccessReview", "subjectaccessreviews").cluster().verbs(CREATE),
    Kind { version: "v2", ..AUTOSCALER },
    Kind { storage: false, ..AUTOSCALER },
    row("batch", "CronJob", "cronjobs").short(&["cj"]).among(ALL).sub(&[STATUS]),
    row("batch", "Job", "jobs").among(ALL).sub(&[STATUS]).select(&["status.successful"]),
    row("certificates.k8s.io", "CertificateSigningRequest", "certificatesigningrequests")
        .cluster()
        .short(&["csr"])
        .sub(&[own("approval", CHANGE), STATUS])
        .select(&["spec.signerName"]),
    row(NET, "IngressClass", "ingressclasses").cluster(),
    row(NET, "Ingress", "ingresses").short(&["ing"]).sub(&[STATUS]),
    row(NET, "IPAddress", "ipaddresses").cluster().short(&["ip"]),
    row(NET, "NetworkPolicy", "networkpolicies").short(&["netpol"]),
    row(NET, "ServiceCIDR", "servicecidrs").cluster().sub(&[STATUS]),
    row("policy", "PodDisruptionBudget", "poddisruptionbudgets").short(&["pdb"]).sub(&[STATUS]),
    row(RBAC, "ClusterRoleBinding", "clusterrolebindings").cluster(),
    row(RBAC, "ClusterRole", "clusterroles").cluster(),
    row(RBAC, "RoleBinding", "rolebindings"),
    row(RBAC, "Role", "roles"),
    row(STORAGE, "CSIDriver", "csidrivers").cluster(),
    row(STORAGE, "CSINode", "csinodes").cluster(),
    row(STORAGE, "CSIStorageCapacity", "csistoragecapacities"),
    row(STORAGE, "StorageClass", "storageclasses").cluster().short(&["sc"]),
    row(STORAGE, "VolumeAttachment", "volumeattachments").cluster().sub(&[STATUS]),
    row(STORAGE, "VolumeAttributesClass", "volumeattributesclasses").cluster().short(&["vac"]),
    row(ADMISSION, "MutatingAdmissionPolicy", "mutatingadmissionpolicies")
        .cluster()
        .among(EXTENSIONS),
    row(ADMISSION, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings")
        .cluster()
        .among(EXTENSIONS),
    row(ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
        .cluster()
        .among(EXTENSIONS),
    row(ADMISSION, "ValidatingAdmissionPolicy", "validatingadmissionpolicies")
        .cluster()
        .among(EXTENSIONS)
        .sub(&[STATUS]),
    row(ADMISSION, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")
        .cluster()
        .among(EXTENSIONS),
    row(ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
        .cluster()
        .among(EXTENSIONS),
    row("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions")
        .cluster()
        .short(&["crd", "crds"])
        .among(EXTENSIONS)
        .sub(&[STATUS]),
    row("scheduling.k8s.io", "PriorityClass", "priorityclasses").cluster().short(&["pc"]),
    row("coordination.k8s.io", "Lease", "leases"),
    row("node.k8s.io", "RuntimeClass", "runtimeclasses").cluster(),
    row("discovery.k8s.io", "EndpointSlice", "endpointslices"),
    row(RESOURCE, "DeviceClass", "deviceclasses").cluster(),
    row(RESOURCE, "ResourceClaim", "resourceclaims").sub(&[STATUS]),
    row(RESOURCE, "ResourceClaimTemplate", "resourceclaimtemplates"),
    row(RESOURCE, "ResourceSlice", "resourceslices")
        .cluster()
        .select(&["spec.nodeName", "spec.driver"]),
    row(FLOW, "FlowSchema", "flowschemas").cluster().sub(&[STATUS]),
    row(FLOW, "PriorityLevelConfiguration", "prioritylevelconfigurations").cluster().sub(&[STATUS]),
];
