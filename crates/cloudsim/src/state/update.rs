//! Updates: what EKS does to something that is there, and says about it afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Cluster;

/// EKS forgets old updates; so does the simulation, beyond this many of a cluster.
const MAX_UPDATES: usize = 100;

/// What is updated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    Cluster,
    Nodegroup(String),
    Addon(String),
}

/// What an update does once it is due.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Values for paths of the target's configuration, in EKS's words.
    pub(crate) values: Vec<(String, Value)>,
    pub(crate) version: Option<String>,
    /// Of a node group; naming one replaces its machines, if it is another than today's.
    pub(crate) release: Option<String>,
}

/// What went wrong with an update: an `ErrorCode` of EKS and a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// How far an update is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Progress {
    Open {
        due: Timestamp,
        change: Change,
        /// It will end badly.
        doomed: Option<Trouble>,
    },
    Successful,
    Failed(Trouble),
}

/// An update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Update {
    pub(crate) id: String,
    /// An `UpdateType` of EKS.
    pub(crate) kind: String,
    pub(crate) target: Target,
    /// `UpdateParamType`s of EKS with their values.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) created_at: Timestamp,
    /// The client's, for idempotency.
    pub(crate) token: Option<String>,
    pub(crate) progress: Progress,
}

impl Update {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.progress, Progress::Open { .. })
    }

    /// As `DescribeUpdate` gives it.
    pub(crate) fn describe(&self) -> Value {
        let (status, errors) = match &self.progress {
            Progress::Open { .. } => ("InProgress", json!([])),
            Progress::Successful => ("Successful", json!([])),
            Progress::Failed(Trouble { code, message }) => (
                "Failed",
                json!([{ "errorCode": code, "errorMessage": message, "resourceIds": [] }]),
            ),
        };
        let params =
            self.params.iter().map(|(kind, value)| json!({ "type": kind, "value": value }));
        json!({ "update": {
            "id": self.id,
            "status": status,
            "type": self.kind,
            "params": params.collect::<Vec<_>>(),
            "createdAt": crate::eks::seconds(self.created_at),
            "errors": errors,
        } })
    }
}

impl Cluster {
    /// The update that the same call made before.
    pub(crate) fn repeated(&self, target: &Target, token: Option<&str>) -> Option<&Update> {
        let token = token?;
        let same =
            |update: &&Update| update.target == *target && update.token.as_deref() == Some(token);
        self.updates.iter().find(same)
    }

    /// Remembers an update.
    pub(crate) fn begin(&mut self, update: Update) {
        self.updates.push(update);
        if self.updates.len() > MAX_UPDATES
            && let Some(oldest) = self.updates.iter().position(|update| !update.is_open())
        {
            self.updates.remove(oldest);
        }
    }
}
