//! `fleetwright plan`: what would happen if these files were applied, from the controllers' own functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use fleetwright_api_types::{ClusterPolicy, ManagedCluster, ProviderConfig};
use fleetwright_apiserver_core::scheme::{ResourceType, Scheme};
use fleetwright_controllers::Fleet;
use fleetwright_controllers::preview::{Foreseen, Preview};
use fleetwright_names::ObjectKey;
use fleetwright_plan::{CloudAction, Step};
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::apply::merged;
use crate::check::refusals;
use crate::manifest::{Finding, Manifest};
use crate::table;

/// Stands for the uid that a new object will get.
const NEW_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The hub did not answer.
    #[error("cannot read the hub's {what}")]
    Hub {
        /// The plural that was listed.
        what: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Our objects on a hub, with those of the files over them.
#[derive(Debug, Default)]
pub struct Overlay {
    clusters: BTreeMap<ObjectKey, Arc<ManagedCluster>>,
    policies: BTreeMap<ObjectKey, Arc<ClusterPolicy>>,
    accounts: BTreeMap<ObjectKey, Arc<ProviderConfig>>,
    /// Where the declared clusters stand.
    declared: BTreeMap<ObjectKey, Manifest>,
    /// The files hold policies, so that clusters beyond the files are concerned.
    policies_declared: bool,
    /// Accounts in the files: every cluster that uses one is concerned.
    accounts_declared: BTreeSet<ObjectKey>,
    /// What the hub would refuse of the files.
    refused: Vec<Finding>,
}

/// What would happen to one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `namespace/name`.
    pub cluster: String,
    /// One line a step, wait or refusal.
    pub lines: Vec<Line>,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What this line is about.
    pub what: What,
    /// For people, starting with a sign: `+` make, `~` change, `-` remove, `.` wait, `!` cannot be done.
    pub text: String,
    /// `now`, or what it waits for.
    pub when: String,
}

/// What a line of a plan is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum What {
    /// A write to the cloud that makes or changes something.
    CloudWrite,
    /// A write to the cloud that destroys something.
    CloudDelete,
    /// A write to the member's own API.
    MemberWrite,
    /// Something must happen first.
    Wait,
    /// It will not be done.
    Refusal,
}

/// A whole preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Clusters looked at, by name.
    pub entries: Vec<Entry>,
    /// What is wrong with the files; then nothing was asked of any cloud.
    pub findings: Vec<Finding>,
}

impl Overlay {
    /// Reads the hub (`None`: there is none) and lays checked manifests over it.
    ///
    /// # Errors
    /// When the hub fails.
    pub async fn read(
        hub: Option<&Client>,
        manifests: &[Manifest],
        scheme: &Scheme,
    ) -> Result<Self, PreviewError> {
        let mut overlay = Self::default();
        if let Some(client) = hub {
            overlay.clusters = list(client).await?;
            overlay.policies = list(client).await?;
            overlay.accounts = list(client).await?;
        }
        let refused = &mut overlay.refused;
        for manifest in manifests {
            let kind = manifest.text("/kind");
            let rt = scheme.types().find(|rt| rt.custom && rt.kind == kind);
            match (kind, rt) {
                ("ManagedCluster", Some(rt)) => {
                    if let Some(key) = lay(&mut overlay.clusters, rt, manifest, refused) {
                        overlay.declared.insert(key, manifest.clone());
                    }
                }
                ("ClusterPolicy", Some(rt)) => {
                    overlay.policies_declared |=
                        lay(&mut overlay.policies, rt, manifest, refused).is_some();
                }
                ("ProviderConfig", Some(rt)) => {
                    let laid = lay(&mut overlay.accounts, rt, manifest, refused);
                    overlay.accounts_declared.extend(laid);
                }
                _ => {}
            }
        }
        Ok(overlay)
    }
}

async fn list<K>(client: &Client) -> Result<BTreeMap<ObjectKey, Arc<K>>, PreviewError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let found = Api::<K>::all(client.clone()).list(&ListParams::default()).await;
    let found = found.map_err(|source| PreviewError::Hub {
        what: K::plural(&()).into_owned(),
        source: Box::new(source),
    })?;
    Ok(found.into_iter().map(|object| (key_of(&object), Arc::new(object))).collect())
}

fn key_of<K: Resource>(object: &K) -> ObjectKey {
    ObjectKey {
        namespace: object.meta().namespace.clone().unwrap_or_default(),
        name: object.meta().name.clone().unwrap_or_default(),
    }
}

/// Lays one manifest over the objects. Checked manifests always fit their type; what does not is left to the hub. What the
/// hub would refuse of an edit, such as another value of an immutable field, is added to `refused`.
fn lay<K>(
    objects: &mut BTreeMap<ObjectKey, Arc<K>>,
    rt: &ResourceType,
    manifest: &Manifest,
    refused: &mut Vec<Finding>,
) -> Option<ObjectKey>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    let key = ObjectKey {
        namespace: manifest.text("/metadata/namespace").to_owned(),
        name: manifest.text("/metadata/name").to_owned(),
    };
    let object = match objects.get(&key).and_then(|found| serde_json::to_value(found.as_ref()).ok())
    {
        Some(found) => {
            let mut object = merged(&found, &manifest.object);
            refused.extend(refusals(rt, (&object, Some(&found)), manifest));
            if object["spec"] != found["spec"] {
                let generation = found["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
                object["metadata"]["generation"] = generation.into();
            }
            object
        }
        None => {
            let mut object = manifest.object.clone();
            object["metadata"]["uid"] = NEW_UID.into();
            object["metadata"]["generation"] = Value::from(1);
            object
        }
    };
    let object = serde_json::from_value(object).ok()?;
    objects.insert(key.clone(), Arc::new(object));
    Some(key)
}

/// Asks the controllers of `fleet` what they would do. Nothing is written; for certainty `fleet` holds clients that cannot.
pub async fn foresee(fleet: &Fleet, overlay: &Overlay) -> Outcome {
    let preview =
        Preview::new(fleet, overlay.accounts.values().cloned(), overlay.policies.values().cloned());
    let mut outcome = Outcome { entries: Vec::new(), findings: overlay.refused.clone() };
    for (key, manifest) in &overlay.declared {
        let Some(cluster) = overlay.clusters.get(key) else { continue };
        match preview.problems(Arc::clone(cluster)).await {
            Ok(problems) => {
                let found = problems
                    .iter()
                    .map(|problem| manifest.finding(&problem.field, &problem.message));
                outcome.findings.extend(found);
            }
            Err(failure) => outcome.findings.push(manifest.finding("", failure.message)),
        }
    }
    if !outcome.findings.is_empty() {
        return outcome;
    }
    for (key, cluster) in &overlay.clusters {
        let mut lines = Vec::new();
        let account = ObjectKey::cluster_scoped(&cluster.spec.provider_config_ref.name);
        let declared =
            overlay.declared.contains_key(key) || overlay.accounts_declared.contains(&account);
        if declared {
            lines.extend(told(&preview.cluster(Arc::clone(cluster)).await));
        }
        let reachable =
            cluster.status.as_ref().is_some_and(|status| status.kubeconfig_secret_ref.is_some());
        if reachable && (declared || overlay.policies_declared) {
            lines.extend(told(&preview.policies(Arc::clone(cluster)).await));
        } else if !declared {
            continue;
        }
        outcome.entries.push(Entry { cluster: key.to_string(), lines });
    }
    outcome
}

fn told(foreseen: &Foreseen) -> Vec<Line> {
    let Foreseen { problems, plan, later, failure } = foreseen;
    let refusal =
        |text: String| Line { what: What::Refusal, text: format!("! {text}"), when: String::new() };
    let mut lines: Vec<Line> =
        problems.iter().map(|problem| refusal(problem.to_string())).collect();
    if let Some(plan) = plan {
        lines.extend(plan.steps.iter().filter_map(|step| line(step, "now")));
        lines.extend(plan.waiting.iter().map(|waiting| Line {
            what: What::Wait,
            text: format!(". {}", waiting.what),
            when: format!("waits: {}", waiting.on),
        }));
        lines.extend(plan.refused.iter().map(|problem| refusal(problem.to_string())));
    }
    lines.extend(later.iter().filter_map(|step| line(step, "waits: control plane")));
    lines.extend(failure.iter().map(|failure| refusal(failure.to_string())));
    lines
}

/// The hub's own book-keeping (connection Secrets) is left out: it follows from the rest.
fn line(step: &Step, when: &str) -> Option<Line> {
    let what = match step {
        Step::Cloud(step) => match step.action {
            CloudAction::Create { .. } | CloudAction::Release => What::CloudWrite,
            CloudAction::Delete => What::CloudDelete,
        },
        Step::Member(_) => What::MemberWrite,
        Step::Hub(_) => return None,
    };
    Some(Line { what, text: step.to_string(), when: when.to_owned() })
}

impl Outcome {
    /// Whether anything would be written.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.count(|line| !matches!(line.what, What::Wait | What::Refusal)) > 0
    }

    /// Whether something is wrong or cannot be done.
    #[must_use]
    pub fn has_refusals(&self) -> bool {
        !self.findings.is_empty() || self.count(|line| line.what == What::Refusal) > 0
    }

    fn count(&self, wanted: impl Fn(&Line) -> bool) -> usize {
        self.entries.iter().flat_map(|entry| &entry.lines).filter(|line| wanted(line)).count()
    }

    /// The lines of all clusters with something to say, and the totals.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for entry in &self.entries {
            for (index, line) in entry.lines.iter().enumerate() {
                let name = if index == 0 { entry.cluster.clone() } else { String::new() };
                rows.push(vec![name, line.text.clone(), line.when.clone()]);
            }
        }
        let mut lines = table::align(&rows);
        lines.push(self.totals());
        lines
    }

    /// For example `1 of 3 clusters · 5 cloud writes (1 now, 4 wait) · 0 deletes · nothing else touched`.
    #[must_use]
    pub fn totals(&self) -> String {
        let writes = |line: &Line| !matches!(line.what, What::Wait | What::Refusal);
        let touched = self.entries.iter().filter(|entry| entry.lines.iter().any(writes)).count();
        let cloud = |line: &Line| matches!(line.what, What::CloudWrite | What::CloudDelete);
        let all = self.count(cloud);
        let now = self.count(|line| cloud(line) && line.when == "now");
        let deletes = self.count(|line| line.what == What::CloudDelete);
        let members = self.count(|line| line.what == What::MemberWrite);
        let refused = self.count(|line| line.what == What::Refusal);
        let clusters = self.entries.len();
        let mut parts = vec![
            format!("{touched} of {clusters} {}", plural(clusters, "cluster")),
            format!("{all} cloud {} ({now} now, {} wait)", plural(all, "write"), all - now),
            format!("{deletes} {}", plural(deletes, "delete")),
        ];
        if members > 0 {
            parts.push(format!("{members} {} on members", plural(members, "write")));
        }
        if refused > 0 {
            parts.push(format!("{refused} refused"));
        }
        parts.push("nothing else touched".to_owned());
        parts.join(" · ")
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(what: What, text: &str, when: &str) -> Line {
        Line { what, text: text.to_owned(), when: when.to_owned() }
    }

    #[test]
    fn a_plan_reads_as_a_table_with_totals() {
        let outcome = Outcome {
            entries: vec![
                Entry {
                    cluster: "a/one".to_owned(),
                    lines: vec![
                        line(What::CloudWrite, "+ create control plane", "now"),
                        line(What::CloudWrite, "+ create pool p", "waits: control plane"),
                    ],
                },
                Entry { cluster: "a/two".to_owned(), lines: Vec::new() },
                Entry {
                    cluster: "b/three".to_owned(),
                    lines: vec![line(What::CloudDelete, "- delete pool old", "now")],
                },
            ],
            findings: Vec::new(),
        };
        assert_eq!(
            outcome.text(),
            [
                "a/one    + create control plane  now",
                "         + create pool p         waits: control plane",
                "b/three  - delete pool old       now",
                "2 of 3 clusters · 3 cloud writes (2 now, 1 wait) · 1 delete · nothing else touched",
            ]
        );
        assert!(outcome.has_changes());
        assert!(!outcome.has_refusals());
    }

    #[test]
    fn waiting_is_no_change() {
        let entries = vec![Entry {
            cluster: "a/one".to_owned(),
            lines: vec![line(What::Wait, ". it", "waits: eks")],
        }];
        let outcome = Outcome { entries, findings: Vec::new() };
        assert!(!outcome.has_changes());
        assert_eq!(
            outcome.totals(),
            "0 of 1 cluster · 0 cloud writes (0 now, 0 wait) · 0 deletes · nothing else touched"
        );
    }
}
