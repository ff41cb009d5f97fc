//! One reconcile against a scripted hub: which writes it makes, in which order, and what a crash leaves behind.
//!
//! Start at `it/world.rs`: the hub, the controller under it, and the log that both write.
#![allow(clippy::panic, reason = "fixtures of tests stop the test")]

#[path = "it/brakes.rs"]
mod brakes;
#[path = "it/crash.rs"]
mod crash;
#[path = "it/lease.rs"]
mod lease;
#[path = "it/order.rs"]
mod order;
#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/together.rs"]
mod together;
#[path = "it/world.rs"]
mod world;
