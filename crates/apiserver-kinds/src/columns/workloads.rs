//! Columns of what runs pods, and of pods.

use serde_json::{Value, json};

use super::cells::{items, label_selector, map_selector, number, text as at};
use super::{AGE, CREATED, Cell, Column, column, computed, text};

pub(super) fn of(kind: &str) -> &'static [Column] {
    match kind {
        "Deployment" => DEPLOYMENT,
        "ReplicaSet" => REPLICA_SET,
        "DaemonSet" => DAEMON_SET,
        "StatefulSet" => STATEFUL_SET,
        "Job" => JOB,
        "CronJob" => CRON_JOB,
        "HorizontalPodAutoscaler" => AUTOSCALER,
        "PodDisruptionBudget" => BUDGET,
        "ControllerRevision" => REVISION,
        _ => const { &[CREATED] },
    }
}

const CONTAINERS: Column =
    computed("Containers", containers).wide().says("Names of each container in the template.");
const IMAGES: Column =
    computed("Images", images).wide().says("Images referenced by each container in the template.");

pub(super) const POD: &[Column] = &[
    computed("Ready", pod_ready)
        .says("The aggregate readiness state of this pod for accepting traffic."),
    computed("Status", pod_status).says("The aggregate status of the containers in this pod."),
    computed("Restarts", pod_restarts).says(
        "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
    ),
    AGE,
    computed("IP", |pod| or_none(at(pod, "/status/podIP"))).wide().doc("core.v1.PodStatus", "podIP"),
    computed("Node", |pod| or_none(at(pod, "/spec/nodeName"))).wide().doc("core.v1.PodSpec", "nodeName"),
    computed("Nominated Node", |pod| or_none(at(pod, "/status/nominatedNodeName")))
        .wide()
        .doc("core.v1.PodStatus", "nominatedNodeName"),
    computed("Readiness Gates", readiness_gates).wide().doc("core.v1.PodSpec", "readinessGates"),
];

pub(super) const POD_TEMPLATE: &[Column] = &[
    computed("Containers", |o| names(&o["template"], "name"))
        .says("Names of each container in the template."),
    computed("Images", |o| names(&o["template"], "image"))
        .says("Images referenced by each container in the template."),
    computed("Pod Labels", |o| map_selector(&o["template"]["metadata"]["labels"]))
        .says("The labels for the pod template."),
];

const DEPLOYMENT: &[Column] = &[
    computed("Ready", ready).says("Number of the pod with ready state"),
    computed("Up-to-date", |o| json!(number(o, "/status/updatedReplicas")))
        .doc("apps.v1.DeploymentStatus", "updatedReplicas"),
    computed("Available", |o| json!(number(o, "/status/availableReplicas")))
        .doc("apps.v1.DeploymentStatus", "availableReplicas"),
    AGE,
    CONTAINERS,
    IMAGES,
    computed("Selector", selector).wide().doc("apps.v1.DeploymentSpec", "selector"),
];

pub(super) const REPLICA_SET: &[Column] = &[
    computed("Desired", desired).of_type("integer").doc("apps.v1.ReplicaSetSpec", "replicas"),
    computed("Current", |o| json!(number(o, "/status/replicas")))
        .of_type("integer")
        .doc("apps.v1.ReplicaSetStatus", "replicas"),
    computed("Ready", |o| json!(number(o, "/status/readyReplicas")))
        .of_type("integer")
        .doc("apps.v1.ReplicaSetStatus", "readyReplicas"),
    AGE,
    CONTAINERS,
    IMAGES,
    computed("Selector", selector).wide().doc("apps.v1.ReplicaSetSpec", "selector"),
];

const DAEMON_SET: &[Column] = &[
    computed("Desired", |o| json!(number(o, "/status/desiredNumberScheduled")))
        .of_type("integer")
        .doc("apps.v1.DaemonSetStatus", "desiredNumberScheduled"),
    computed("Current", |o| json!(number(o, "/status/currentNumberScheduled")))
        .of_type("integer")
        .doc("apps.v1.DaemonSetStatus", "currentNumberScheduled"),
    computed("Ready", |o| json!(number(o, "/status/numberReady")))
        .of_type("integer")
        .doc("apps.v1.DaemonSetStatus", "numberReady"),
    computed("Up-to-date", |o| json!(number(o, "/status/updatedNumberScheduled")))
        .of_type("integer")
        .doc("apps.v1.DaemonSetStatus", "updatedNumberScheduled"),
    computed("Available", |o| json!(number(o, "/status/numberAvailable")))
        .of_type("integer")
        .doc("apps.v1.DaemonSetStatus", "numberAvailable"),
    computed("Node Selector", |o| map_selector(&o["spec"]["template"]["spec"]["nodeSelector"]))
        .doc("core.v1.PodSpec", "nodeSelector"),
    AGE,
    CONTAINERS,
    IMAGES,
    computed("Selector", selector).wide().doc("apps.v1.DaemonSetSpec", "selector"),
];

const STATEFUL_SET: &[Column] =
    &[computed("Ready", ready).says("Number of the pod with ready state"), AGE, CONTAINERS, IMAGES];

const JOB: &[Column] = &[
    computed("Status", job_status).says("Status of the job."),
    computed("Completions", completions).doc("batch.v1.JobStatus", "succeeded"),
    column("Duration", Cell::Between("/status/startTime", "/status/completionTime"))
        .says("Time required to complete the job."),
    AGE,
    CONTAINERS,
    IMAGES,
    computed("Selector", selector).wide().doc("batch.v1.JobSpec", "selector"),
];

const CRON_JOB: &[Column] = &[
    text("Schedule", "/spec/schedule").doc("batch.v1.CronJobSpec", "schedule"),
    computed("Timezone", |o| or_none(at(o, "/spec/timeZone")))
        .doc("batch.v1.CronJobSpec", "timeZone"),
    computed("Suspend", |o| json!(if o["spec"]["suspend"] == true { "True" } else { "False" }))
        .of_type("boolean")
        .doc("batch.v1.CronJobSpec", "suspend"),
    computed("Active", |o| json!(items(o, "/status/active").len()))
        .of_type("integer")
        .doc("batch.v1.CronJobStatus", "active"),
    column("Last Schedule", Cell::Age(&["/status/lastScheduleTime"]))
        .doc("batch.v1.CronJobStatus", "lastScheduleTime"),
    AGE,
    computed("Containers", |o| names(&o["spec"]["jobTemplate"]["spec"]["template"], "name"))
        .wide()
        .says("Names of each container in the template."),
    computed("Images", |o| names(&o["spec"]["jobTemplate"]["spec"]["template"], "image"))
        .wide()
        .says("Images referenced by each container in the template."),
    computed("Selector", |o| label_selector(&o["spec"]["jobTemplate"]["spec"]["selector"]))
        .wide()
        .doc("batch.v1.JobSpec", "selector"),
];

const AUTOSCALER: &[Column] = &[
    computed("Reference", reference)
        .doc("autoscaling.v2.HorizontalPodAutoscalerSpec", "scaleTargetRef"),
    computed("Targets", targets).doc("autoscaling.v2.HorizontalPodAutoscalerSpec", "metrics"),
    computed("MinPods", |o| match o["spec"]["minReplicas"].as_i64() {
        Some(least) => json!(least.to_string()),
        None => json!("<unset>"),
    })
    .doc("autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas"),
    computed("MaxPods", |o| json!(number(o, "/spec/maxReplicas")))
        .doc("autoscaling.v2.HorizontalPodAutoscalerSpec", "maxReplicas"),
    computed("Replicas", |o| json!(number(o, "/status/currentReplicas")))
        .doc("autoscaling.v2.HorizontalPodAutoscalerStatus", "currentReplicas"),
    AGE,
];

const BUDGET: &[Column] = &[
    computed("Min Available", |o| int_or_string(&o["spec"]["minAvailable"]))
        .says("The minimum number of pods that must be available."),
    computed("Max Unavailable", |o| int_or_string(&o["spec"]["maxUnavailable"]))
        .says("The maximum number of pods that may be unavailable."),
    computed("Allowed Disruptions", |o| json!(number(o, "/status/disruptionsAllowed")))
        .of_type("integer")
        .says("Calculated number of pods that may be disrupted at this time."),
    AGE,
];

const REVISION: &[Column] = &[
    computed("Controller", owner).says("Controller of the object"),
    computed("Revision", |o| json!(number(o, "/revision")))
        .doc("apps.v1.ControllerRevision", "revision"),
    AGE,
];

fn or_none(text: &str) -> Value {
    json!(if text.is_empty() { "<none>" } else { text })
}

fn int_or_string(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text),
        Value::Number(number) => json!(number.to_string()),
        _ => json!("N/A"),
    }
}

fn names(template: &Value, key: &str) -> Value {
    let containers = items(template, "/spec/containers").iter();
    let found: Vec<&str> = containers.filter_map(|container| container[key].as_str()).collect();
    json!(found.join(","))
}

fn containers(object: &Value) -> Value {
    names(&object["spec"]["template"], "name")
}

fn images(object: &Value) -> Value {
    names(&object["spec"]["template"], "image")
}

fn selector(object: &Value) -> Value {
    match &object["spec"]["selector"] {
        // Of a ReplicationController.
        labels
            if labels.get("matchLabels").is_none() && labels.get("matchExpressions").is_none() =>
        {
            map_selector(labels)
        }
        selector => label_selector(selector),
    }
}

fn desired(object: &Value) -> Value {
    json!(object["spec"]["replicas"].as_i64().unwrap_or(1))
}

fn ready(object: &Value) -> Value {
    json!(format!("{}/{}", number(object, "/status/readyReplicas"), desired(object)))
}

fn owner(object: &Value) -> Value {
    let owners = items(object, "/metadata/ownerReferences").iter();
    let controller = owners.into_iter().find(|owner| owner["controller"] == true);
    json!(controller.map_or_else(
        || "<none>".to_owned(),
        |owner| {
            let group = at(owner, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
            let kind = at(owner, "/kind").to_lowercase();
            let dot = if group.is_empty() { "" } else { "." };
            format!("{kind}{dot}{group}/{}", at(owner, "/name"))
        }
    ))
}

fn job_status(object: &Value) -> Value {
    let holds = |kind: &str| {
        let mut conditions = items(object, "/status/conditions").iter();
        conditions.any(|one| at(one, "/type") == kind && at(one, "/status") == "True")
    };
    let found = ["Complete", "Failed"].into_iter().find(|kind| holds(kind));
    let deleting = !at(object, "/metadata/deletionTimestamp").is_empty();
    json!(found.unwrap_or(match () {
        () if deleting => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }))
}

fn completions(object: &Value) -> Value {
    let done = number(object, "/status/succeeded");
    let parallelism = number(object, "/spec/parallelism");
    json!(match object["spec"]["completions"].as_i64() {
        Some(wanted) => format!("{done}/{wanted}"),
        None if parallelism > 1 => format!("{done}/1 of {parallelism}"),
        None => format!("{done}/1"),
    })
}

fn reference(object: &Value) -> Value {
    let kind = at(object, "/spec/scaleTargetRef/kind");
    json!(format!("{kind}/{}", at(object, "/spec/scaleTargetRef/name")))
}

/// `cpu: <unknown>/80%`; only resource metrics are shown with their numbers.
fn targets(object: &Value) -> Value {
    if let Some(wanted) = object["spec"]["targetCPUUtilizationPercentage"].as_i64() {
        return json!(match object["status"]["currentCPUUtilizationPercentage"].as_i64() {
            Some(now) => format!("cpu: {now}%/{wanted}%"),
            None => format!("cpu: <unknown>/{wanted}%"),
        });
    }
    let metrics = items(object, "/spec/metrics");
    let current = items(object, "/status/currentMetrics");
    let one = |(index, metric): (usize, &Value)| {
        let name = at(metric, "/resource/name");
        let now = current.get(index).map(|now| &now["resource"]["current"]);
        let percent = metric.pointer("/resource/target/averageUtilization").and_then(Value::as_i64);
        match (percent, now.and_then(|now| now["averageUtilization"].as_i64())) {
            (Some(wanted), Some(now)) => format!("{name}: {now}%/{wanted}%"),
            (Some(wanted), None) => format!("{name}: <unknown>/{wanted}%"),
            (None, _) => "<unknown>".to_owned(),
        }
    };
    let all: Vec<String> = metrics.iter().enumerate().map(one).collect();
    match all.as_slice() {
        [] => json!("<none>"),
        [a, b, rest @ ..] if !rest.is_empty() => {
            json!(format!("{a}, {b} + {} more...", rest.len()))
        }
        few => json!(few.join(", ")),
    }
}

fn pod_ready(pod: &Value) -> Value {
    let statuses = items(pod, "/status/containerStatuses");
    let ready = statuses.iter().filter(|s| s["ready"] == true).count();
    json!(format!("{ready}/{}", items(pod, "/spec/containers").len()))
}

fn pod_status(pod: &Value) -> Value {
    let own = match at(pod, "/status/reason") {
        "" => at(pod, "/status/phase"),
        reason => reason,
    };
    if !at(pod, "/metadata/deletionTimestamp").is_empty() {
        return json!(if own == "NodeLost" { "Unknown" } else { "Terminating" });
    }
    let statuses = items(pod, "/status/containerStatuses").iter();
    let mut reasons = statuses.flat_map(|status| {
        ["/state/waiting/reason", "/state/terminated/reason"].map(|pointer| at(status, pointer))
    });
    json!(reasons.find(|reason| !reason.is_empty()).unwrap_or(own))
}

fn pod_restarts(pod: &Value) -> Value {
    let statuses = items(pod, "/status/containerStatuses").iter();
    json!(statuses.filter_map(|s| s["restartCount"].as_i64()).sum::<i64>().to_string())
}

fn readiness_gates(pod: &Value) -> Value {
    let gates = items(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return json!("<none>");
    }
    let holds = |gate: &Value| {
        let mut conditions = items(pod, "/status/conditions").iter();
        conditions.any(|c| c["type"] == gate["conditionType"] && c["status"] == "True")
    };
    json!(format!("{}/{}", gates.iter().filter(|gate| holds(gate)).count(), gates.len()))
}
