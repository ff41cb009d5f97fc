//! A difference between what is declared and what was seen, as a provider states it.

use fleetwright_api_types::Governed;
use fleetwright_names::PoolName;
use serde_json::Value;

use crate::{KubernetesVersion, Resource};

/// What must change about one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What differs.
    pub resource: Resource,
    /// How it can be made right.
    pub kind: ChangeKind,
}

impl Change {
    /// What will be done in the end, and what it waits for first, if the provider says so.
    #[must_use]
    pub fn in_time(&self) -> (&ChangeKind, Option<&str>) {
        match &self.kind {
            ChangeKind::Later { then, why } => (then, Some(why)),
            now => (now, None),
        }
    }
}

/// How a difference can be made right.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeKind {
    /// It is missing.
    Create {
        /// The cloud's request.
        body: Value,
        /// The pool that this one succeeds, because what differs cannot be changed in place.
        replaces: Option<Replacement>,
    },
    /// It can be changed in place, by one call.
    Update(Update),
    /// It is declared, exists without tags of ours (or with those of a predecessor) and may become ours, if the rules allow that.
    Claim,
    /// A pool of ours whose successor is declared: drained, then deleted, once the successor is ready.
    Retire {
        /// The pool that takes its place.
        successor: PoolName,
    },
    /// It is ours and no longer declared.
    Delete,
    /// It can be made right, but not yet: the provider's own order of work.
    Later {
        /// How, when its time has come.
        then: Box<ChangeKind>,
        /// What it waits for, in a few words, for example `server s1`.
        why: String,
    },
    /// It cannot be made right by us.
    Refused {
        /// Path of the field in the object, for example `spec.version`.
        field: String,
        /// What is declared.
        declared: String,
        /// What was found.
        found: String,
        /// Why not.
        why: String,
    },
}

/// Why a pool gets a successor.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    /// The pool that goes.
    pub pool: PoolName,
    /// What cannot be changed in place.
    pub differences: Vec<Difference>,
}

/// One call that changes one resource in place.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The kind of change in one lower-case word, for example `version`, `logging`, `scaling`. A cloud takes one kind at a time.
    pub what: String,
    /// What it makes right, at least one.
    pub differences: Vec<Difference>,
    /// The cloud's request, in the provider's own JSON; opaque to the planner.
    pub body: Value,
    /// The work it is, if a maintenance window may have to be awaited.
    pub governed: Option<Governed>,
    /// For a newer Kubernetes version: from where to where.
    pub upgrade: Option<Upgrade>,
}

/// A step to a newer Kubernetes version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    /// What runs.
    pub from: KubernetesVersion,
    /// What this one call leads to: one minor further for a control plane.
    pub to: KubernetesVersion,
    /// Where the walk ends: what is declared.
    pub target: KubernetesVersion,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Difference {
    /// Its path in the object, for example `spec.nodePools[general].size.max`.
    pub field: String,
    /// What is declared.
    pub declared: String,
    /// What was found.
    pub found: String,
}
