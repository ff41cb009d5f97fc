//! Decisions, and nothing but decisions: what is declared against what was seen, and the steps between.
//!
//! No I/O, no clock, no randomness: the same input gives the same bytes, so `fleetwright plan`, the controllers and the
//! simulator share it. It never looks inside a cloud's request body; providers build those. Start at [`plan_cluster`];
//! [`lint`] is the second, independent reader of every plan.

mod change;
mod cluster;
mod desired;
mod lint;
mod part;
mod policy;
mod problem;
mod rules;
mod snapshot;
mod step;
mod text;
mod window;

pub use change::{Change, ChangeKind, Difference, Replacement, Update, Upgrade};
pub use cluster::{Goal, plan_cluster};
pub use desired::{Address, DesiredCluster, DesiredPart, DesiredPool, KubernetesVersion};
pub use lint::{LintError, lint};
pub use part::{PartKey, PartKind};
pub use policy::{
    DesiredMember, DesiredNetworkPolicy, LABEL_ENFORCE, MemberSnapshot, SeenNamespace, plan_member,
    violations,
};
pub use problem::Problem;
pub use rules::{CloudRules, Pace, PoolWay, Rules, Situation};
pub use snapshot::{
    Credentials, Drain, MemberView, ObjectRef, Outside, Phase, Seen, SeenCluster, SeenPart,
    SeenPool, SeenUpdate, Snapshot, UpdateState,
};
pub use step::{CloudAction, CloudStep, Held, HubStep, MemberStep, Plan, Resource, Step, Waiting};
pub use window::{WindowState, Windows};
