//! What goes wrong in the simulation itself, as nobody asked it to.

use fleetwright_apiserver::{ApiError, ClusterError};

/// The simulated cloud cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The logical cluster with the cloud's memory could not be attached.
    #[error("the simulated cloud's own records cannot be opened")]
    Records(#[source] ClusterError),
    /// What was remembered cannot be brought up to date.
    #[error("the simulated cloud cannot continue where it stopped")]
    Settle(#[source] SettleError),
}

/// A transition that was due could not be made; it stays due.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// A stored record cannot be read.
    #[error("the record {record} of the simulated cloud is damaged: {detail}")]
    Damaged {
        /// Its ConfigMap.
        record: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A record could not be written or removed.
    #[error("the record {record} of the simulated cloud cannot be stored")]
    NotStored {
        /// Its ConfigMap.
        record: String,
        /// Why.
        #[source]
        source: ApiError,
    },
    /// A member's logical cluster could not be added or removed.
    #[error("the simulated cluster {member} can neither come nor go")]
    Member {
        /// The logical cluster.
        member: String,
        /// Why.
        #[source]
        source: ClusterError,
    },
    /// The nodes of a group could not be written.
    #[error("the nodes of {member} cannot be stored")]
    Nodes {
        /// The logical cluster.
        member: String,
        /// Why.
        #[source]
        source: ApiError,
    },
    /// What a member's objects have in the cloud could not be written into them.
    #[error("the load balancers and volumes of {member} cannot be stored")]
    Outside {
        /// The logical cluster.
        member: String,
        /// Why.
        #[source]
        source: ApiError,
    },
    /// A cluster that is active has no logical cluster: the API server runs without it.
    #[error("the simulated cluster {0} is not attached; restart")]
    Detached(String),
}

impl SettleError {
    /// With all its causes: the answer of a cloud has no chain of sources.
    pub(crate) fn in_full(&self) -> String {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        message
    }
}
