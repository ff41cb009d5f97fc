//! The deterministic simulator: API server, controllers and emulated clouds (EKS, AKS) and hosts (K3s) on one thread, with paused time and
//! one seed.
//!
//! A seed decides what the user does, which calls are lost, throttled or cut, and where the hub crashes: before a call,
//! or after its effect and before its answer. At the end faults stop and the fleet must converge; [`invariants`] says what
//! must hold at every moment and at the end. The same seed gives the same trace, byte for byte. Start at [`run::seed`].
//!
//! Some seeds have a second leader for a while, or lose the hub and restore it from Git; strangers change the cloud, and the
//! cloud itself gives up updates or answers stale.
//!
//! Hosts are switched off and on, lose their connections in the middle of a deed, and are changed by strangers; what they
//! print, and the scripts that they are sent, are searched for secrets.
//!
//! What it does not simulate: time skew between machines, and a broken disk under the member clusters.

pub mod declared;
pub mod dice;
pub mod faults;
pub mod host_wires;
pub mod invariants;
pub mod play;
pub mod run;
pub mod sabotage;
pub mod script;
pub mod wires;
pub mod world;
