//! A Kubernetes API server to embed: HTTP, TLS and storage around `fleetwright-apiserver-core`.
//!
//! One [`ApiServer`] holds many logical clusters. Each is reached over the wire ([`Router`],
//! [`serve`]) or in process ([`LogicalCluster::service_as`], which is what `kube::Client::new`
//! takes), by the same code.
//!
//! Guarantees:
//! - a write is shown and acknowledged only after the [`Store`] has committed it;
//! - one revision counter per cluster, +1 per write, never reused, also over a crash;
//! - everything but [`RedbStore`], [`Authority`] and [`serve`] is deterministic on a tokio
//!   current-thread runtime with paused time.
//!
//! Deliberately not here: what the API means (that is `fleetwright-apiserver-core`), admission
//! webhooks, controllers other than the garbage collector and what belongs to namespaces (nobody
//! counts disruption budgets or runs pods), high availability.
//!
//! Start reading at [`ApiServer`], then `writer.rs` for writes and `watch.rs` for reads.

mod accounts;
mod admission;
mod auth;
mod authority;
mod authorize;
mod backup;
mod body;
mod cluster;
mod crds;
mod expiry;
mod file;
mod garbage;
mod listing;
mod operations;
mod router;
mod serve;
mod server;
mod service;
mod store;
mod tables;
mod watch;
mod writer;

pub use fleetwright_apiserver_core::scheme::Scheme;
pub use fleetwright_apiserver_core::status::ApiError;

pub use self::auth::{AuthError, Authenticator, Identity, StaticTokens};
pub use self::authority::{Authority, AuthorityError, ClientCertificate};
pub use self::backup::Export;
pub use self::body::ApiBody;
pub use self::cluster::{LogicalCluster, ResourceRef};
pub use self::file::replace_file;
pub use self::router::{MountedAt, MountedService, Router};
pub use self::serve::{Limits, ServeError, serve, serve_with};
pub use self::server::{ApiServer, ClusterError, ClusterSpec, OpenError};
pub use self::service::ApiService;
pub use self::store::{
    Change, CommitFault, Key, Loaded, MemoryStore, RedbOpenError, RedbStore, Store, StoreError,
};
