//! Server-side apply from outside: recorded cases, random scripts against a model, and arbitrary input.

#![allow(clippy::panic, reason = "helpers of tests stop the test")]

#[path = "it/arbitrary.rs"]
mod arbitrary;
#[path = "it/recorded.rs"]
mod recorded;
#[path = "it/scripts.rs"]
mod scripts;
