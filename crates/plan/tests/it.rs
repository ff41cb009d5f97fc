//! Plan cases and properties: a small case in, the text of the plan out, the expected text written by hand.
//!
//! Start at `it/check.rs`, which says how a case is written.

#![allow(clippy::panic, clippy::unwrap_used, reason = "assertions and fixtures of tests")]

#[path = "it/check.rs"]
mod check;
#[path = "it/create.rs"]
mod create;
#[path = "it/delete.rs"]
mod delete;
#[path = "it/lint.rs"]
mod lint;
#[path = "it/member.rs"]
mod member;
#[path = "it/member_properties.rs"]
mod member_properties;
#[path = "it/properties.rs"]
mod properties;
#[path = "it/toy.rs"]
mod toy;
#[path = "it/whose.rs"]
mod whose;
