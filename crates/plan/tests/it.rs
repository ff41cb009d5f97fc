//! Plan cases and properties: a small case in, the text of the plan out, the expected text written by hand.
//!
//! Start at `it/words.rs`, which says how a case is written.

#![allow(clippy::panic, clippy::unwrap_used, reason = "assertions and fixtures of tests")]

#[path = "it/adopt.rs"]
mod adopt;
#[path = "it/by_hand.rs"]
mod by_hand;
#[path = "it/check.rs"]
mod check;
#[path = "it/create.rs"]
mod create;
#[path = "it/delete.rs"]
mod delete;
#[path = "it/lint.rs"]
mod lint;
#[path = "it/lock.rs"]
mod lock;
#[path = "it/member.rs"]
mod member;
#[path = "it/member_properties.rs"]
mod member_properties;
#[path = "it/modes.rs"]
mod modes;
#[path = "it/parts.rs"]
mod parts;
#[path = "it/properties.rs"]
mod properties;
#[path = "it/replace.rs"]
mod replace;
#[path = "it/rest.rs"]
mod rest;
#[path = "it/settings.rs"]
mod settings;
#[path = "it/toy.rs"]
mod toy;
#[path = "it/toy_diff.rs"]
mod toy_diff;
#[path = "it/upgrade.rs"]
mod upgrade;
#[path = "it/whose.rs"]
mod whose;
#[path = "it/words.rs"]
mod words;
#[path = "it/worlds.rs"]
mod worlds;
