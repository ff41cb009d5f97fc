//! The semantics of the Kubernetes API, as pure functions over JSON.
//!
//! What a server must decide when a request comes in, and nothing else: how the path reads, what
//! the body must look like, what a create, update, patch or delete makes of an object, which
//! error is answered, how a list is shown as a table, what discovery and OpenAPI say. Objects are
//! `serde_json::Value`; what sets kinds apart is data (schemas, columns, names), not code.
//!
//! Not here: sockets, storage, resourceVersion counters, watch rings, clocks and randomness
//! (time, uids and name suffixes are parameters). Those are in `fleetwright-apiserver`.
//!
//! Start reading at [`crud`] (what a write does), then [`scheme`] (which kinds there are) and
//! [`validate`] (what an object must look like). Texts and codes follow kube-apiserver 1.36.
//!
//! Who owns which field is told by `fleetwright-apiserver-apply`.
//!
//! What built-in kinds look like, their defaults, strategic merge patch and protobuf bodies are in
//! `fleetwright-apiserver-kinds`.
//!
//! Left out on purpose: admission webhooks, conversion webhooks.
//! [`admission`] evaluates Pod Security and ValidatingAdmissionPolicies that do not ask who asks,
//! and refuses others. [`crd`] holds what CustomResourceDefinitions must look like and become.

pub mod admission;
pub mod crd;
pub mod crud;
pub mod discovery;
pub mod document;
pub mod eviction;
pub mod jsonpath;
pub mod names;
pub mod negotiate;
pub mod openapi;
pub mod patch;
pub mod rbac;
pub mod request;
pub mod scheme;
pub mod selector;
pub mod status;
pub mod table;
#[cfg(test)]
mod testing;
pub mod validate;
mod way;
pub mod yaml;
