//! The published contract of this project, served by this server.

#[cfg(test)]
#[path = "it/contract.rs"]
mod contract;
