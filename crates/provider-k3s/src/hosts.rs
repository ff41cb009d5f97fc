//! What is done on a host: a closed set of deeds, each one small script, and what the host says of itself.
//!
//! `facts.rs` is what one look at a host tells. `preflight.rs` and `plan.rs` judge it, pure, and name the next deed.
//! `op.rs` lists the deeds, `script.rs` renders them from `scripts/*.sh`, `answer.rs` reads what came back, and `wire.rs` is the
//! seam: a script goes out, its output comes back. Nothing is remembered between two looks.

mod answer;
mod digest;
mod facts;
mod file;
mod marker;
mod op;
mod plan;
mod preflight;
mod report;
mod script;
mod unit;
mod version;
mod wire;

pub use answer::{Answer, Change, OpError, perform};
pub use digest::{Blob, Content, Digest, DigestError};
pub use facts::{Arch, Datastore, HostFacts, Kernel, Part, SeenFile, Service, ServiceState, Space};
pub use file::ManagedFile;
pub use marker::{Marker, MarkerChange};
pub use op::{Action, HostOp, Role, SnapshotName, SnapshotNameError};
pub use plan::{
    Adoption, Binary, Disruption, Next, Reason, Wanted, next, next_release, next_removal,
};
pub use preflight::Needs;
pub use script::render;
pub use unit::unit_text;
pub use version::{K3sVersion, VersionError};
pub use wire::{Ended, HostWire, Output, Payload, Request, WireError, boot_command};
