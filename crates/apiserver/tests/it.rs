//! The server from outside: by kube-rs in process, by kubectl over TLS, and over crashes.

#![allow(clippy::panic, reason = "helpers of tests stop the test")]

#[path = "it/crash.rs"]
mod crash;
#[path = "it/determinism.rs"]
mod determinism;
#[path = "it/eviction.rs"]
mod eviction;
#[path = "it/kube_rs.rs"]
mod kube_rs;
#[path = "it/kubectl.rs"]
mod kubectl;
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
