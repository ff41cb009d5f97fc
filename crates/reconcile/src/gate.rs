//! Whether anything may be written to clouds and members now.

use std::fmt::Debug;

use fleetwright_plan::Waiting;

/// Asked before the first side effect and before every step. A freeze closes it.
pub trait Gate: Send + Sync + Debug {
    /// Whether this reconcile may write now.
    ///
    /// # Errors
    /// Why not, and who can change that.
    fn writes(&self) -> Result<(), Waiting>;
}

/// A gate that nobody closes.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn writes(&self) -> Result<(), Waiting> {
        Ok(())
    }
}
