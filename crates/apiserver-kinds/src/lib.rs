//! The kinds that every Kubernetes API server has built in, as data and pure functions.
//!
//! Names, verbs and subresources as Kubernetes 1.36 serves them ([`kinds`]), what their objects look like
//! ([`schemas`]), the form in which they are kept ([`settle`]), what is filled in where nothing
//! is said ([`defaults`]), and how a table shows them ([`columns`]). Objects are `serde_json::Value`.
//!
//! Not here: requests, custom kinds, storage. Start reading at [`kinds`].

pub mod columns;
pub mod convert;
pub mod defaults;
pub mod kinds;
pub mod protobuf;
pub mod quantity;
pub mod schemas;
pub mod settle;
pub mod strategic;
mod types;
