//! Manifests, as pure functions: policies become namespace labels and NetworkPolicies, a connection becomes a Secret.
//!
//! Nothing here talks to anybody or knows what is there already; `plan` compares. Start at [`Rules::merge`].

mod connection;
mod policy;
mod registration;

pub use connection::{CONNECTION_TYPE, connection_secret, connection_secret_name};
pub use policy::{LABEL_MANAGED_BY, LABEL_MARK, Rules, SYSTEM_NAMESPACES};
pub use registration::{
    ANNOTATION_WRITTEN, ArgoCdCluster, LABEL_SECRET_TYPE, argocd_namespace, argocd_secret,
    argocd_secret_name, may_be_copied,
};
