//! K3s on given hosts, over SSH, as a provider: declarations become what each host shall be, and looks at hosts become what the
//! planner understands.
//!
//! Three layers, each usable alone. [`ssh`] connects to a host through any number of jump hosts and trusts only host keys that
//! were pinned or certified. [`hosts`] holds the closed set of deeds ([`hosts::HostOp`]), what one look at a host tells, and,
//! pure, what is next on one host. On top, [`K3sProvider`] makes a cluster of hosts: `config.rs` and `cluster.rs` are pure (who
//! begins, who joins, whose turn it is, who may go), `observe.rs` reads, `act.rs` works on one host for a while. Nothing is
//! remembered between two looks but releases that were fetched, so a cut anywhere is normal. A host's marker says whose it is.
//! Which step is taken, and when, `plan` decides. Start at [`K3sProvider`].

mod act;
mod body;
mod cluster;
mod config;
pub mod hosts;
mod limits;
mod observe;
mod provider;
mod reach;
pub mod release;
mod secret_files;
mod seen;
mod sign_in;
mod site;
pub mod ssh;
mod wanted;
mod way;

pub use config::KEY;
pub use provider::{DEFAULT_LIMITS, K3sProvider, K3sSettings};
pub use site::{AGENT, SERVER};
