//! What is done on a host: a closed set of deeds, each one small script, and what the host says of itself.
//!
//! `facts.rs` is what one look at a host tells, `cluster.rs` what a server tells of its cluster. `preflight.rs` and `plan.rs` judge
//! a host, pure and by digests only, and name the next step; `plan/step.rs` makes a deed of it. `op.rs` lists the deeds, `script.rs` renders them from `scripts/*.sh`, `answer.rs` reads what came back, and `wire.rs` is the
//! seam: a script goes out, its output comes back. Nothing is remembered between two looks.

mod answer;
mod artifact;
mod certificate;
mod cluster;
mod digest;
mod facts;
mod file;
mod marker;
mod op;
mod plan;
mod preflight;
mod report;
mod script;
mod stored;
mod unit;
mod version;
mod wire;

pub use answer::{Answer, Change, Drained, OpError, perform};
pub use artifact::{Artifact, Packing};
pub use certificate::Certificate;
pub use cluster::{ClusterFacts, Encryption, Member, Node};
pub use digest::{Blob, Content, Digest, DigestError};
pub use facts::{
    Arch, Arriving, Datastore, HostFacts, Kernel, SeenFile, Service, ServiceState, Space,
};
pub use file::ManagedFile;
pub use marker::{Marker, MarkerChange};
pub use op::{Action, HostOp, NodeName, NodeNameError, Role, Stubborn};
pub use plan::{
    Adoption, Cause, Disruption, Held, Materials, MaterialsError, Next, PART_BYTES, Reason,
    Release, Source, Step, Wanted, next,
};
pub use preflight::Needs;
pub use script::render;
pub use stored::{Fetched, Stored};
pub use unit::{unit_note_text, unit_text};
pub use version::{K3sVersion, VersionError};
pub use wire::{Ended, HostWire, Output, Payload, Request, WireError, boot_command};

#[cfg(test)]
pub(crate) use facts::tests::bare as bare_facts;
