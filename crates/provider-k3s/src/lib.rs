//! K3s on hosts over SSH: so far the way to hosts, what is done there, and what to do next on one of them.
//!
//! Three layers, each usable alone. [`ssh`] connects to a host through any number of jump hosts and trusts only host keys that
//! were pinned or certified. [`hosts`] holds the closed set of deeds ([`hosts::HostOp`]), each one small POSIX script that may be
//! repeated, and what one look at a host tells ([`hosts::HostFacts`]). [`hosts::next`] is pure: from what is wanted of a host and
//! one look at it, the next deed, or every reason against. Nothing is remembered between two looks, so a cut anywhere is normal.
//!
//! Not here yet, and so not registered anywhere: the `Provider` itself, which makes a cluster of hosts (joining, quorum, draining,
//! upgrades server by server, parallel hosts), the fetching of binaries, the API through SSH, K3s's configuration from a
//! declaration, and hosts in the emulated cloud. Start at [`hosts::HostOp`].

pub mod hosts;
pub mod ssh;
