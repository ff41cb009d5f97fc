//! Events: one for each change that happened, never one for a state that lasts.

use fleetwright_api_types::{Condition, ConditionStatus, ConditionType};
use fleetwright_names::sha256_hex;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Client, Resource};

/// Something that happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) warning: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Reasons of a condition that is False because work is under way, which is no cause for alarm.
const IN_PROGRESS: [&str; 11] = [
    "Absent",
    "Applying",
    "AwaitingConfirmation",
    "AwaitingWindow",
    "Creating",
    "Deleting",
    "HandsOff",
    "NotAsked",
    "Pending",
    "Provisioning",
    "Updating",
];

/// What changed between two lists of conditions, as happenings: `Ready`, `NotReady` or `ReadyUnknown`. What is
/// wrong with `DriftFree` is named by its reason, `DriftDetected` and the like. The kstatus markers only repeat what the
/// others say.
pub(crate) fn by_difference(old: &[Condition], new: &[Condition]) -> Vec<Happening> {
    new.iter()
        .filter(|now| !matches!(now.type_, ConditionType::Reconciling | ConditionType::Stalled))
        .filter(|now| {
            let before = old.iter().find(|before| before.type_ == now.type_);
            let first = now.status == ConditionStatus::True || !calm(now);
            before.map_or(first, |before| {
                before.status != now.status || (!calm(now) && before.reason != now.reason)
            })
        })
        .map(|now| {
            let type_ = now.type_.as_str();
            Happening {
                warning: !calm(now),
                reason: match now.status {
                    ConditionStatus::True => type_.to_owned(),
                    ConditionStatus::False if now.type_ == ConditionType::DriftFree => {
                        now.reason.clone()
                    }
                    ConditionStatus::False => format!("Not{type_}"),
                    ConditionStatus::Unknown => format!("{type_}Unknown"),
                },
                message: format!("{}: {}", now.reason, now.message),
            }
        })
        .collect()
}

fn calm(condition: &Condition) -> bool {
    condition.status == ConditionStatus::True || IN_PROGRESS.contains(&condition.reason.as_str())
}

/// Posts the happenings. A failure is logged and forgotten: events are for people, and never hold a reconcile up.
pub(crate) async fn post<K>(client: &Client, object: &K, now: Timestamp, happenings: Vec<Happening>)
where
    K: Resource<DynamicType = ()>,
{
    let meta = object.meta();
    let name = meta.name.clone().unwrap_or_default();
    let namespace = meta.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    for happening in happenings {
        // The same happening has the same name, so a repeat after a crash is refused by the server.
        let version = meta.resource_version.clone().unwrap_or_default();
        let uid = meta.uid.clone().unwrap_or_default();
        let digest =
            sha256_hex(format!("{uid}/{version}/{}/{}", happening.reason, happening.message));
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{}", &digest[..16])),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some(K::api_version(&()).into_owned()),
                kind: Some(K::kind(&()).into_owned()),
                name: Some(name.clone()),
                namespace: meta.namespace.clone(),
                uid: meta.uid.clone(),
                ..ObjectReference::default()
            },
            type_: Some(if happening.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(happening.reason),
            message: Some(happening.message),
            source: Some(EventSource { component: Some("fleetwright".to_owned()), host: None }),
            reporting_component: Some("fleetwright".to_owned()),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            count: Some(1),
            ..Event::default()
        };
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => tracing::debug!(%error, object = %name, "an event was not recorded"),
        }
    }
}
