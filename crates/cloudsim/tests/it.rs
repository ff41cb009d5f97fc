//! The simulated clouds from outside: raw HTTP, signed by AWS's own signer, boto3, and Azure's own client.

#[path = "it/azure.rs"]
mod azure;
#[path = "it/boto3.rs"]
mod boto3;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/fixture.rs"]
mod fixture;
#[path = "it/hosts.rs"]
mod hosts;
#[path = "it/lifecycle.rs"]
mod lifecycle;
#[path = "it/members.rs"]
mod members;
#[path = "it/outside.rs"]
mod outside;
#[path = "it/python.rs"]
mod python;
#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/sessions.rs"]
mod sessions;
#[path = "it/updates.rs"]
mod updates;
