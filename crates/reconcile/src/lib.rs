//! The one reconcile loop: watches, queue, finalizer, backoff, status patch and events, for every kind.
//!
//! A kind supplies six functions ([`Controller`]) and nothing else; the loop knows no cloud and decides nothing about
//! clusters. It writes three things only: the finalizer, the status, and events. Start at [`once`], which is one
//! reconcile from object to status patch; [`run`] is the loop around it, [`Queue`] says what is due, [`Cache`] is what the
//! watches have seen.

mod cache;
mod controller;
mod events;
mod failure;
mod finalizer;
mod gate;
mod lane;
mod lease;
mod metrics;
mod once;
mod queue;
mod run;
mod status;

pub use cache::{Cache, watch};
pub use controller::{Controller, Progress};
pub use failure::Failure;
pub use gate::{Gate, OpenGate};
pub use lane::Pace;
pub use lease::{LeaseSettings, lead};
pub use metrics::Metrics;
pub use once::{Context, Verdict, once, preview};
pub use queue::{Figures, Queue};
pub use run::run;
pub use status::{Conditions, clip, difference};
