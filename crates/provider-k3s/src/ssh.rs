//! The way to a host: an SSH connection that trusts nobody it was not told to trust.
//!
//! `trust.rs` decides about host keys and is pure, `known_hosts.rs` reads them, `identity.rs` reads our own key from memory,
//! `connect.rs` walks over the jump hosts, `watcher.rs` judges each by `trust.rs`, `session.rs` runs one script a channel.
//! `reach.rs` is the seam for the rest of the program, and `pool.rs` keeps connections behind it. Keys are Ed25519 and ECDSA; RSA is left out with its crate, whose timing leaks (RUSTSEC-2023-0071).

mod connect;
mod error;
mod identity;
mod known_hosts;
mod pool;
mod reach;
mod route;
mod session;
mod trust;
mod watcher;

pub use connect::{SshLimits, connect};
pub use error::{HostKeyProblem, SshError};
pub use identity::Identity;
pub use known_hosts::KnownHostsError;
pub use pool::{PoolLimits, SshHosts};
pub use reach::{Hosts, Way};
pub use route::{Hop, Route, RouteError};
pub use session::SshHost;
pub use trust::HostKeys;
