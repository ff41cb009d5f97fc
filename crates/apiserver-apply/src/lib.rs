//! Server-side apply: who owns which field of an object, and what an applied configuration makes of it.
//!
//! The idea is that of Kubernetes' structured merge: values are seen through a [`Schema`], which says what is one
//! value (atomic) and what has parts of its own; ownership is a [`FieldSet`]; every write compares the object before
//! and after, and takes what it changed away from the others.
//!
//! Start reading at [`apply`] (one manager's configuration) and [`update`] (every other write). Both work on
//! `serde_json::Value` objects that carry their `metadata.managedFields`. Pure: the time comes from the caller.
//!
//! Left to the caller: decoding, defaults, validation, the protocol (which manager, which subresource). Not here:
//! converting field sets between versions of a kind (versions are taken to have the same fields), and following a
//! schema that turns a field atomic or granular.

mod apply;
mod compare;
mod element;
mod last_applied;
mod managed;
mod merge;
mod owned;
mod remove;
mod schema;
mod set;
mod update;

pub use apply::{Applied, ApplyError, Configuration, Conflict, apply, settle_times};
pub use managed::{Operation, manager_of_user_agent};
pub use schema::{Origin, Schema};
pub use set::FieldSet;
pub use update::{Change, Given, Writer, take_owners, update};

/// Fields that nobody owns, in `metadata`: the server sets them, or they name the object.
pub(crate) const UNOWNED_METADATA: [&str; 9] = [
    "clusterName",
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];
