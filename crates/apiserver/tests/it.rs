//! The server from outside: by kube-rs in process, by kubectl over TLS, and over crashes.

#![allow(clippy::panic, reason = "helpers of tests stop the test")]

#[path = "it/apply.rs"]
mod apply;
#[path = "it/crash.rs"]
mod crash;
#[path = "it/crds.rs"]
mod crds;
#[path = "it/determinism.rs"]
mod determinism;
#[path = "it/eviction.rs"]
mod eviction;
#[path = "it/garbage.rs"]
mod garbage;
#[path = "it/identities.rs"]
mod identities;
#[path = "it/killed.rs"]
mod killed;
#[path = "it/kube_rs.rs"]
mod kube_rs;
#[path = "it/kubectl.rs"]
mod kubectl;
#[path = "it/matrix.rs"]
mod matrix;
#[path = "it/model.rs"]
mod model;
#[path = "it/namespaces.rs"]
mod namespaces;
#[path = "it/policies.rs"]
mod policies;
#[path = "it/raw.rs"]
mod raw;
#[path = "it/redb.rs"]
mod redb;
#[path = "it/support.rs"]
mod support;
#[path = "it/transcripts.rs"]
mod transcripts;
#[path = "it/wire.rs"]
mod wire;
