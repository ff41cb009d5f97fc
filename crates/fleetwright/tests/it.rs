//! The program itself, run as a user runs it: the built binary, a data folder, files, signals, and kubectl.

#[path = "it/bad.rs"]
mod bad;
#[path = "it/bad_hosts.rs"]
mod bad_hosts;
#[path = "it/fixture.rs"]
mod fixture;
#[path = "it/kubectl.rs"]
mod kubectl;
#[path = "it/plan.rs"]
mod plan;
#[path = "it/run.rs"]
mod run;
#[path = "it/small.rs"]
mod small;
#[path = "it/up.rs"]
mod up;
#[path = "it/verbs.rs"]
mod verbs;
