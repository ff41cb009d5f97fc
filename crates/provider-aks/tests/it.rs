//! AKS from outside: what is declared, what differs, what goes over the wire, and the suite that every provider passes.

#![allow(clippy::panic, reason = "helpers of tests stop the test")]

#[path = "it/accounts.rs"]
mod accounts;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/credentials.rs"]
mod credentials;
#[path = "it/declare.rs"]
mod declare;
#[path = "it/differ.rs"]
mod differ;
#[path = "it/errors.rs"]
mod errors;
#[path = "it/judge.rs"]
mod judge;
#[path = "it/leave.rs"]
mod leave;
#[path = "it/looks.rs"]
mod looks;
#[path = "it/plans.rs"]
mod plans;
#[path = "it/properties.rs"]
mod properties;
#[path = "it/refuse.rs"]
mod refuse;
#[path = "it/role.rs"]
mod role;
#[path = "it/scenario.rs"]
mod scenario;
#[path = "it/support.rs"]
mod support;
#[path = "it/wire.rs"]
mod wire;
#[path = "it/world.rs"]
mod world;
