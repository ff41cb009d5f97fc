//! The simulated cloud from outside: raw HTTP, signed by AWS's own signer.

#[path = "it/fixture.rs"]
mod fixture;
#[path = "it/lifecycle.rs"]
mod lifecycle;
#[path = "it/members.rs"]
mod members;
#[path = "it/refusals.rs"]
mod refusals;
