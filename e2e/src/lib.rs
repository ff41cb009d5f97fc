//! One cluster's life from end to end, as a user lives it: `kubectl` and `fleetwright`, nothing
//! of ours linked in. The same steps run against the API server inside `fleetwright up` and
//! against any other, where `fleetwright run` brings the controllers. The cloud is always the
//! simulated one.
//!
//! Deliberately not here: many clusters, faults, races. Those are the simulator's (`crates/sim`).
//!
//! Start reading at [`scenario::run`].
#![allow(clippy::print_stdout, reason = "the scenario tells its progress")]

mod clusters;
pub mod kubectl;
pub mod program;
pub mod scenario;
pub mod target;
pub mod wait;
