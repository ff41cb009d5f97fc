//! EKS from outside: what is declared, what differs, what goes over the wire, and the suite that every provider passes.

#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/declare.rs"]
mod declare;
#[path = "it/differ.rs"]
mod differ;
#[path = "it/errors.rs"]
mod errors;
#[path = "it/moto.rs"]
mod moto;
#[path = "it/scenario.rs"]
mod scenario;
#[path = "it/support.rs"]
mod support;
#[path = "it/token.rs"]
mod token;
#[path = "it/wire.rs"]
mod wire;
