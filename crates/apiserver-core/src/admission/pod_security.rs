//! Pod Security admission: what the labels `pod-security.kubernetes.io/*` of a namespace say
//! about the pods in it, and about what makes pods there.
//!
//! Checks, texts and order are those of k8s.io/pod-security-admission 1.36 (recorded answers of
//! kube-apiserver). Nothing is exempt, and there is no audit log for `audit` to write to.

use serde_json::{Map, Value, json};

use crate::scheme::ResourceType;
use crate::status::Cause;

mod checks;
mod volumes;

const PREFIX: &str = "pod-security.kubernetes.io/";
/// Pods of a namespace that are looked at when its level is raised.
const MOST_PODS: usize = 3000;

/// How much pods may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Privileged,
    /// Nothing that is known to break out.
    Baseline,
    /// Only what hardened pods need.
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// A level, and the version of Kubernetes whose checks it means: None for the latest, else the
/// minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standard {
    /// How much pods may do.
    pub level: Level,
    /// As 25 for `v1.25`.
    pub minor: Option<u32>,
}

impl Standard {
    /// `restricted:latest`.
    fn name(self) -> String {
        match self.minor {
            None => format!("{}:latest", self.level.as_str()),
            Some(minor) => format!("{}:v1.{minor}", self.level.as_str()),
        }
    }

    fn since(self, minor: u32) -> bool {
        self.minor.is_none_or(|own| own >= minor)
    }
}

fn label<'a>(namespace: &'a Value, mode: &str) -> Option<&'a str> {
    namespace["metadata"]["labels"][format!("{PREFIX}{mode}")].as_str()
}

/// `latest` is None in Some.
fn parse_version(text: &str) -> Option<Option<u32>> {
    if text == "latest" {
        return Some(None);
    }
    let digits = text.strip_prefix("v1.")?;
    let plain = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain && digits.bytes().all(|b| b.is_ascii_digit())).map(Some)
}

/// What a namespace asks for in a mode. A label that cannot be read asks for the most.
fn standard(namespace: &Value, mode: &str) -> Standard {
    let level = match label(namespace, mode) {
        None => Level::Privileged,
        Some(text) => Level::parse(text).unwrap_or(Level::Restricted),
    };
    let version = label(namespace, &format!("{mode}-version"));
    Standard { level, minor: version.and_then(parse_version).flatten() }
}

/// The labels of a namespace that mean nothing.
fn check_labels(namespace: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for mode in ["enforce", "audit", "warn"] {
        let field = |mode: &str| format!("metadata.labels[{PREFIX}{mode}]");
        if let Some(text) = label(namespace, mode).filter(|text| Level::parse(text).is_none()) {
            let why = "must be one of privileged, baseline, restricted";
            causes.push(Cause::invalid(field(mode), &json!(text), why));
        }
        let version = format!("{mode}-version");
        if let Some(text) = label(namespace, &version).filter(|t| parse_version(t).is_none()) {
            let why = "must be \"latest\" or \"v1.x\"";
            causes.push(Cause::invalid(field(&version), &json!(text), why));
        }
    }
    causes
}

/// What Pod Security says about a write.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// Why the request is forbidden.
    pub forbidden: Option<String>,
    /// Why a namespace's labels are refused.
    pub causes: Vec<Cause>,
    /// Texts for the client.
    pub warnings: Vec<String>,
}

/// Judges a namespace that is written. `pods` are those in it, asked for only when its level is
/// raised.
#[must_use]
pub fn judge_namespace<P: AsRef<Value>>(
    namespace: &Value,
    old: Option<&Value>,
    pods: impl FnOnce() -> Vec<P>,
) -> Verdict {
    let causes = check_labels(namespace);
    // What was wrong before may stay, so that a namespace is not locked in.
    if !causes.is_empty() && old.is_none_or(|old| check_labels(old) != causes) {
        return Verdict { causes, ..Verdict::default() };
    }
    let Some(old) = old else { return Verdict::default() };
    let (before, after) = (standard(old, "enforce"), standard(namespace, "enforce"));
    let relaxed = before.minor == after.minor && after.level <= before.level;
    if before == after || after.level == Level::Privileged || relaxed {
        return Verdict::default();
    }
    let pods = pods();
    let pods = pods.iter().map(AsRef::as_ref).take(MOST_PODS);
    let name = namespace["metadata"]["name"].as_str().unwrap_or_default();
    Verdict { warnings: warn_of_pods(name, after, pods), ..Verdict::default() }
}

/// One line per kind of violation, with the first pod that has it.
fn warn_of_pods<'a>(
    namespace: &str,
    standard: Standard,
    pods: impl Iterator<Item = &'a Value>,
) -> Vec<String> {
    let mut found: Vec<(String, &str, usize)> = Vec::new();
    for pod in pods {
        let problems = checks::violations(standard, &pod["metadata"], &pod["spec"]);
        if problems.is_empty() {
            continue;
        }
        let reasons: Vec<&str> = problems.iter().map(|problem| problem.reason.as_str()).collect();
        let reasons = reasons.join(", ");
        match found.iter_mut().find(|(known, ..)| *known == reasons) {
            Some((_, _, count)) => *count += 1,
            None => found.push((reasons, pod["metadata"]["name"].as_str().unwrap_or_default(), 1)),
        }
    }
    if found.is_empty() {
        return Vec::new();
    }
    let head = format!(
        "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level {:?}",
        standard.name()
    );
    let line = |(reasons, name, count): (String, &str, usize)| match count {
        1 => format!("{name}: {reasons}"),
        2 => format!("{name} (and 1 other pod): {reasons}"),
        more => format!("{name} (and {} other pods): {reasons}", more - 1),
    };
    std::iter::once(head).chain(found.into_iter().map(line)).collect()
}

/// Judges a pod, or what makes pods. `namespace` is the object it lives in.
#[must_use]
pub fn judge_pods(
    rt: &ResourceType,
    object: &Value,
    old: Option<&Value>,
    namespace: &Value,
) -> Verdict {
    let Some((metadata, spec)) = pod_of(rt, object) else { return Verdict::default() };
    if old.and_then(|old| pod_of(rt, old)).is_some_and(|(_, before)| before == spec) {
        return Verdict::default();
    }
    let mut verdict = Verdict::default();
    let tell = |standard: Standard| {
        let problems = checks::violations(standard, metadata, spec);
        let one = |problem: &checks::Violation| format!("{} ({})", problem.reason, problem.detail);
        let texts: Vec<String> = problems.iter().map(one).collect();
        (!texts.is_empty())
            .then(|| format!("violate PodSecurity {:?}: {}", standard.name(), texts.join(", ")))
    };
    let (enforce, warn) = (standard(namespace, "enforce"), standard(namespace, "warn"));
    if rt.is("", "pods")
        && let Some(text) = tell(enforce)
    {
        // "violates", of a pod that is there; "would violate", of one that may come.
        verdict.forbidden = Some(text.replacen("violate", "violates", 1));
        return verdict;
    }
    verdict.warnings.extend(tell(warn).map(|text| format!("would {text}")));
    verdict
}

/// Metadata and spec of the pods that an object is or makes.
fn pod_of<'a>(rt: &ResourceType, object: &'a Value) -> Option<(&'a Value, &'a Value)> {
    let template = match (rt.group.as_str(), rt.plural.as_str()) {
        ("", "pods") => "",
        ("", "podtemplates") => "/template",
        ("", "replicationcontrollers")
        | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("batch", "jobs") => "/spec/template",
        ("batch", "cronjobs") => "/spec/jobTemplate/spec/template",
        _ => return None,
    };
    let pod = object.pointer(template)?;
    let spec = pod.get("spec").filter(|spec| spec.is_object())?;
    Some((pod.get("metadata").unwrap_or(&Value::Null), spec))
}

/// The containers of a pod, in the order in which they are looked at.
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let kinds = ["initContainers", "containers", "ephemeralContainers"];
    kinds.into_iter().filter_map(|kind| spec[kind].as_array()).flatten()
}

fn name(container: &Value) -> &str {
    container["name"].as_str().unwrap_or_default()
}

/// `"a", "b"`.
fn quoted<T: AsRef<str>>(names: &[T]) -> String {
    let one = |name: &T| format!("{:?}", name.as_ref());
    names.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `container "a"` or `containers "a", "b"`.
fn of_containers<T: AsRef<str>>(names: &[T]) -> String {
    format!("{} {}", plural("container", names.len()), quoted(names))
}

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn object(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object()
}

#[cfg(test)]
mod tests;
