//! Defaults of pods, alone and in templates.

use serde_json::{Value, json};

use super::{absent, inside, is_set, items, number, text};

/// Mode of files from Secrets and ConfigMaps: 0644.
const FILE_MODE: i64 = 420;

pub(super) fn pod(pod: &mut Value) {
    let Some(spec) = inside(pod, "spec") else {
        return;
    };
    for group in ["initContainers", "containers"] {
        items(spec, group).for_each(ask_for_the_limit);
    }
    absent(spec, "enableServiceLinks", json!(true));
    pod_spec(spec);
}

/// Whoever says what a container may have at most asks for as much.
fn ask_for_the_limit(container: &mut Value) {
    let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
    for (resource, quantity) in limits {
        if container["resources"]["requests"].is_null() {
            container["resources"]["requests"] = json!({});
        }
        absent(&mut container["resources"]["requests"], &resource, quantity);
    }
}

pub(super) fn template(template: &mut Value) {
    if let Some(spec) = inside(template, "spec") {
        pod_spec(spec);
    }
}

fn pod_spec(spec: &mut Value) {
    text(spec, "restartPolicy", "Always");
    text(spec, "dnsPolicy", "ClusterFirst");
    text(spec, "schedulerName", "default-scheduler");
    absent(spec, "terminationGracePeriodSeconds", json!(30));
    absent(spec, "securityContext", json!({}));
    let on_host = spec["hostNetwork"] == true;
    for group in ["initContainers", "containers", "ephemeralContainers"] {
        items(spec, group).for_each(|one| container(one, on_host));
    }
    items(spec, "volumes").for_each(volume);
}

fn container(container: &mut Value, on_host: bool) {
    let image = container["image"].as_str().unwrap_or_default();
    let pull = if is_latest(image) { "Always" } else { "IfNotPresent" };
    text(container, "imagePullPolicy", pull);
    text(container, "terminationMessagePath", "/dev/termination-log");
    text(container, "terminationMessagePolicy", "File");
    for port in items(container, "ports") {
        text(port, "protocol", "TCP");
        if on_host {
            let own = port["containerPort"].as_i64().unwrap_or_default();
            number(port, "hostPort", own);
        }
    }
    for variable in items(container, "env") {
        if let Some(field) = variable.get_mut("valueFrom").and_then(|from| inside(from, "fieldRef"))
        {
            text(field, "apiVersion", "v1");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = inside(container, name) {
            number(probe, "timeoutSeconds", 1);
            number(probe, "periodSeconds", 10);
            number(probe, "successThreshold", 1);
            number(probe, "failureThreshold", 3);
            handler(probe);
            if let Some(grpc) = inside(probe, "grpc") {
                absent(grpc, "service", json!(""));
            }
        }
    }
    for name in ["postStart", "preStop"] {
        let hook = container.get_mut("lifecycle").and_then(|lifecycle| inside(lifecycle, name));
        if let Some(hook) = hook {
            handler(hook);
        }
    }
}

fn handler(handler: &mut Value) {
    if let Some(get) = inside(handler, "httpGet") {
        text(get, "path", "/");
        text(get, "scheme", "HTTP");
    }
}

/// Whether an image reference means `latest`: it has no digest, and no tag or this one.
#[must_use]
pub fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn volume(volume: &mut Value) {
    let Some(fields) = volume.as_object_mut() else {
        return;
    };
    if !fields.iter().any(|(key, value)| key != "name" && value.is_object()) {
        fields.insert("emptyDir".to_owned(), json!({}));
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = inside(volume, kind) {
            absent(source, "defaultMode", json!(FILE_MODE));
        }
    }
    if let Some(source) = inside(volume, "downwardAPI") {
        downward(source);
    }
    if let Some(projected) = inside(volume, "projected") {
        for source in items(projected, "sources") {
            if let Some(token) = inside(source, "serviceAccountToken") {
                absent(token, "expirationSeconds", json!(3600));
            }
            if let Some(source) = inside(source, "downwardAPI") {
                downward(source);
            }
        }
    }
    if let Some(path) = inside(volume, "hostPath") {
        absent(path, "type", json!(""));
    }
    if let Some(iscsi) = inside(volume, "iscsi") {
        text(iscsi, "iscsiInterface", "default");
    }
    if let Some(image) = inside(volume, "image") {
        let reference = image["reference"].as_str().unwrap_or_default();
        let pull = if is_latest(reference) { "Always" } else { "IfNotPresent" };
        text(image, "pullPolicy", pull);
    }
    let claim = volume.get_mut("ephemeral").and_then(|own| inside(own, "volumeClaimTemplate"));
    if let Some(claim) = claim.filter(|claim| is_set(claim)) {
        absent(&mut claim["spec"], "volumeMode", json!("Filesystem"));
    }
}

fn downward(source: &mut Value) {
    for item in items(source, "items") {
        if let Some(field) = inside(item, "fieldRef") {
            text(field, "apiVersion", "v1");
        }
    }
}
