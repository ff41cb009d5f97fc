//! What runs pods: Deployments and their kin, Jobs, CronJobs, autoscalers.

use serde_json::{Value, json};

use super::pods::{check_spec, list, not_negative, one_of, text, unsupported};
use crate::scheme::ResourceType;
use crate::selector::LabelSelector;
use crate::status::Cause;

/// Deployment, ReplicaSet, DaemonSet, StatefulSet.
pub(super) fn check(rt: &ResourceType, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    not_negative(&mut causes, "spec.replicas".into(), &spec["replicas"]);
    check_selector(&mut causes, rt, spec);
    check_template(&mut causes, &spec["template"], &["Always"]);
    not_negative(&mut causes, "spec.minReadySeconds".into(), &spec["minReadySeconds"]);
    not_negative(&mut causes, "spec.revisionHistoryLimit".into(), &spec["revisionHistoryLimit"]);
    if rt.kind == "Deployment" {
        let kinds = ["Recreate", "RollingUpdate"];
        one_of(&mut causes, "spec.strategy.type".into(), &spec["strategy"]["type"], &kinds);
        if spec["strategy"]["type"] == "Recreate" && spec["strategy"]["rollingUpdate"].is_object() {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            causes.push(Cause::forbidden("spec.strategy.rollingUpdate", why));
        }
    }
    if let Some(old) = old {
        if rt.kind == "StatefulSet" {
            check_stateful_update(&mut causes, spec, &old["spec"]);
        } else {
            immutable(&mut causes, "spec.selector", &spec["selector"], &old["spec"]["selector"]);
        }
    }
    causes
}

pub(super) fn immutable(causes: &mut Vec<Cause>, field: &str, now: &Value, before: &Value) {
    if now != before {
        causes.push(Cause::invalid(field, now, "field is immutable"));
    }
}

fn check_stateful_update(causes: &mut Vec<Cause>, spec: &Value, old: &Value) {
    const FREE: &[&str] = &[
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |spec: &Value| {
        let fields = spec.as_object().into_iter().flatten();
        let fields = fields.filter(|(key, _)| !FREE.contains(&key.as_str()));
        fields.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
    };
    if fixed(spec) != fixed(old) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                   'template', 'updateStrategy', 'revisionHistoryLimit', \
                   'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        causes.push(Cause::forbidden("spec", why));
    }
}

fn check_selector(causes: &mut Vec<Cause>, rt: &ResourceType, spec: &Value) {
    let selector = &spec["selector"];
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        let why = format!("empty selector is invalid for {}", rt.kind.to_lowercase());
        causes.push(Cause::invalid("spec.selector", selector, &why));
    }
    match LabelSelector::from_object(selector) {
        Err(error) => {
            causes.push(Cause::invalid_without_value("spec.selector", &error.to_string()));
        }
        // No selector selects nothing, not everything.
        Ok(parsed) if selector.is_null() || !parsed.matches(&spec["template"]) => {
            let labels = match &spec["template"]["metadata"]["labels"] {
                Value::Null => json!(null),
                labels => labels.clone(),
            };
            let why = "`selector` does not match template `labels`";
            causes.push(Cause::invalid("spec.template.metadata.labels", &labels, why));
        }
        Ok(_) => {}
    }
}

fn check_template(causes: &mut Vec<Cause>, template: &Value, restart: &[&str]) {
    let spec = &template["spec"];
    check_spec(causes, "spec.template.spec", spec);
    if !restart.contains(&text(spec, "restartPolicy")) {
        let field = "spec.template.spec.restartPolicy".to_owned();
        causes.push(unsupported(field, &spec["restartPolicy"], restart));
    }
}

pub(super) fn check_replication_controller(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    not_negative(&mut causes, "spec.replicas".into(), &spec["replicas"]);
    if spec["selector"].as_object().is_none_or(serde_json::Map::is_empty) {
        causes.push(Cause::required("spec.selector", ""));
    }
    if spec["template"].is_object() {
        check_template(&mut causes, &spec["template"], &["Always"]);
    } else {
        causes.push(Cause::required("spec.template", ""));
    }
    causes
}

/// The selector and labels that tie pods to their Job, made from its uid.
pub(super) fn adopt_pods(job: &mut Value) {
    const PREFIX: &str = "batch.kubernetes.io/";
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let (name, uid) = (job["metadata"]["name"].clone(), job["metadata"]["uid"].clone());
    let key = format!("{PREFIX}controller-uid");
    if job["spec"]["selector"].is_null() {
        job["spec"]["selector"] = json!({"matchLabels": {key.as_str(): uid}});
    }
    let metadata = &mut job["spec"]["template"]["metadata"];
    for (label, value) in [
        (key.as_str(), &uid),
        ("controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("job-name", &name),
    ] {
        metadata["labels"][label] = value.clone();
    }
}

pub(super) fn check_job(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    for key in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        not_negative(&mut causes, format!("spec.{key}"), &spec[key]);
    }
    check_job_pods(&mut causes, "spec", spec);
    if let Some(old) = old {
        let old = &old["spec"];
        immutable(&mut causes, "spec.selector", &spec["selector"], &old["selector"]);
        immutable(
            &mut causes,
            "spec.completionMode",
            &spec["completionMode"],
            &old["completionMode"],
        );
        if spec["completionMode"] != "Indexed" {
            immutable(&mut causes, "spec.completions", &spec["completions"], &old["completions"]);
        }
        // A suspended Job's template may still change in parts; ours may not.
        if old["suspend"] != true {
            immutable(&mut causes, "spec.template", &spec["template"], &old["template"]);
        }
    }
    causes
}

fn check_job_pods(causes: &mut Vec<Cause>, path: &str, spec: &Value) {
    let pod = &spec["template"]["spec"];
    check_spec(causes, &format!("{path}.template.spec"), pod);
    if !matches!(text(pod, "restartPolicy"), "OnFailure" | "Never") {
        let field = format!("{path}.template.spec.restartPolicy");
        let choices = "valid values: \"OnFailure\", \"Never\"";
        causes.push(match text(pod, "restartPolicy") {
            // What was defaulted nobody chose.
            "Always" | "" => Cause::required(field, choices),
            _ => unsupported(field, &pod["restartPolicy"], &["Never", "OnFailure"]),
        });
    }
}

pub(super) fn check_cron_job(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    let name = text(&object["metadata"], "name");
    if name.len() > 52 {
        let why = "must be no more than 52 characters";
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    let schedule = text(spec, "schedule");
    if schedule.is_empty() {
        causes.push(Cause::required("spec.schedule", ""));
    } else if !schedule.starts_with('@') && schedule.split_whitespace().count() != 5 {
        let found = schedule.split_whitespace().count();
        let why = format!("expected exactly 5 fields, found {found}: {schedule}");
        causes.push(Cause::invalid("spec.schedule", &json!(schedule), &why));
    }
    let policies = ["Allow", "Forbid", "Replace"];
    one_of(&mut causes, "spec.concurrencyPolicy".into(), &spec["concurrencyPolicy"], &policies);
    for key in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        not_negative(&mut causes, format!("spec.{key}"), &spec[key]);
    }
    check_job_pods(&mut causes, "spec.jobTemplate.spec", &spec["jobTemplate"]["spec"]);
    causes
}

pub(super) fn check_autoscaler(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    let (least, most) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64().unwrap_or(0));
    for key in ["kind", "name"] {
        if text(&spec["scaleTargetRef"], key).is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{key}"), ""));
        }
    }
    if least.is_some_and(|least| least < 1) {
        let why = "must be greater than or equal to 1";
        causes.push(Cause::invalid("spec.minReplicas", &spec["minReplicas"], why));
    }
    if most < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), "must be greater than 0"));
    }
    if least.is_some_and(|least| least > most) {
        let why = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), why));
    }
    for (index, metric) in list(spec, "metrics").iter().enumerate() {
        let kinds = ["ContainerResource", "External", "Object", "Pods", "Resource"];
        let field = format!("spec.metrics[{index}].type");
        if text(metric, "type").is_empty() {
            causes.push(Cause::required(field, "must specify a metric source type"));
        } else {
            one_of(&mut causes, field, &metric["type"], &kinds);
        }
    }
    causes
}
