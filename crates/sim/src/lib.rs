//! The deterministic simulator: API server, controllers and an emulated EKS on one thread, with paused time and one seed.
//!
//! A seed decides what the user does, which calls are lost, throttled or cut, and where the hub crashes: before a call,
//! or after its effect and before its answer. At the end faults stop and the fleet must converge; [`invariants`] says what
//! must hold at every moment and at the end. The same seed gives the same trace, byte for byte. Start at [`run::seed`].
//!
//! What it does not simulate: time skew between machines, two leaders, and a broken disk under the member clusters.

pub mod dice;
pub mod faults;
pub mod invariants;
pub mod run;
pub mod sabotage;
pub mod script;
pub mod wires;
pub mod world;
