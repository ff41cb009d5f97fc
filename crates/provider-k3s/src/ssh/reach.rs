//! The seam for the world: how a host is reached, and a stream beyond it. SSH in the real world, state machines in the simulated one.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_provider::MemberStream;

use super::error::SshError;
use super::identity::Identity;
use super::route::Route;
use super::trust::HostKeys;
use crate::hosts::HostWire;

/// Everything that is needed to reach one host.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where it is, and through which others.
    pub route: Route,
    /// Whom we trust on the way.
    pub keys: HostKeys,
    /// Who we are.
    pub identity: Identity,
}

/// All hosts there are. Implementations keep connections, bounded in number, and give a new one for each that is gone.
#[async_trait]
pub trait Hosts: Send + Sync + Debug {
    /// A host that is connected.
    ///
    /// # Errors
    /// [`SshError`] with the server on the way that it happened at.
    async fn reach(&self, way: &Way) -> Result<Arc<dyn HostWire>, SshError>;

    /// A stream to `host` at TCP `port`, as the target of `way` sees them: `127.0.0.1` is that target itself.
    ///
    /// # Errors
    /// [`SshError`]; [`SshError::JumpRefused`] when the target is reached and does not lead there.
    async fn dial(
        &self,
        way: &Way,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn MemberStream>, SshError>;
}
