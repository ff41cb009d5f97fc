//! The steps of an installation, in their order, each found by what the host lacks.

use super::super::digest::Digest;
use super::super::facts::{Datastore, HostFacts, Service, ServiceState};
use super::super::file::ManagedFile;
use super::super::op::{Action, HostOp, Role};
use super::super::preflight;
use super::super::script::BINARY;
use super::super::version::K3sVersion;
use super::{Binary, Disruption, Next, Reason, Wanted};

/// What is wrong with the binary, for this host.
pub(super) fn binary_problems(wanted: &Wanted, facts: &HostFacts) -> Vec<Reason> {
    let Binary { arch, digest, blob } = &wanted.binary;
    let mut found = Vec::new();
    if let Some(host) = facts.arch.filter(|host| host != arch) {
        let (binary, host) = (arch.word().to_owned(), host.word().to_owned());
        found.push(Reason::OtherMachine { binary, host });
    }
    if facts.binary.as_ref() != Some(digest) {
        let kib = (blob.len() as u64).div_ceil(1024);
        let arrived = facts.part.as_ref().map_or(0, |part| part.bytes / 1024);
        found.extend(preflight::space(facts, "/usr/local/bin", kib.saturating_sub(arrived)));
    }
    for file in [ManagedFile::Config, ManagedFile::Unit(wanted.role)] {
        if !wanted.files.contains_key(&file) {
            found.push(Reason::Undeclared { path: file.path().to_owned() });
        }
    }
    found
}

/// What is wrong with how the host came to be as it is.
pub(super) fn history_problems(wanted: &Wanted, facts: &HostFacts) -> Vec<Reason> {
    let mut found = Vec::new();
    let server = facts.data.contains(&Datastore::Server) || unit_there(facts, Role::Server);
    match wanted.role {
        Role::Agent if server => found.push(Reason::OtherRole { was: "server".to_owned() }),
        Role::Server if unit_there(facts, Role::Agent) => {
            found.push(Reason::OtherRole { was: "agent".to_owned() });
        }
        Role::Agent | Role::Server => {}
    }
    // A binary that never ran may be replaced by any other.
    if let (Some(text), false) = (&facts.version, facts.data.is_empty()) {
        found.extend(step_problem(text, wanted.version));
    }
    found
}

fn step_problem(text: &str, wanted: K3sVersion) -> Option<Reason> {
    // A version that is not a release, such as a build of one's own, is not ordered; it may be replaced.
    let installed = K3sVersion::parse(text).ok()?;
    if wanted < installed {
        return Some(Reason::Downgrade { installed: text.to_owned(), wanted });
    }
    let ((major, minor), (to_major, to_minor)) = (installed.minor(), wanted.minor());
    (to_major != major || to_minor > minor + 1).then_some(Reason::Jump { installed, wanted })
}

fn unit_there(facts: &HostFacts, role: Role) -> bool {
    facts.units.contains(&format!("{}.service", role.service()))
}

/// The first step that is still to be done on a host that is ours.
pub(super) fn next(wanted: &Wanted, facts: &HostFacts) -> Next {
    if let Some(op) = sending(&wanted.binary, facts, wanted.part_bytes) {
        return Next::Op(op);
    }
    let mut writes = writing(wanted, facts);
    let running = service(wanted, facts).is_some_and(|service| {
        matches!(service.state, ServiceState::Running | ServiceState::Moving)
    });
    if wanted.disruption == Disruption::Held && running {
        let mut due: Vec<String> = writes.iter().map(ToString::to_string).collect();
        if due.is_empty() && stale(wanted, facts) {
            due.push(restart(wanted, Action::Restart).to_string());
        }
        if !due.is_empty() {
            return Next::Held(due);
        }
    }
    if writes.is_empty() { serving(wanted, facts) } else { Next::Op(writes.remove(0)) }
}

/// The next part of the binary, when it is neither in place nor wholly there.
fn sending(binary: &Binary, facts: &HostFacts, part_bytes: usize) -> Option<HostOp> {
    let Binary { digest, blob, .. } = binary;
    if facts.binary.as_ref() == Some(digest) {
        return None;
    }
    let have = facts.part.as_ref().filter(|part| part.digest == *digest).map(|part| part.bytes);
    // What is longer than the whole cannot be right: begin again.
    let from = usize::try_from(have.unwrap_or(0)).ok().filter(|&from| from <= blob.len());
    let from = from.unwrap_or(0);
    let bytes = blob.part(from, part_bytes.max(1));
    let (digest, offset) = (digest.clone(), from as u64);
    (!bytes.is_empty()).then_some(HostOp::PutBinaryPart { digest, offset, bytes })
}

/// Everything that is to be put in place or taken away, in order.
fn writing(wanted: &Wanted, facts: &HostFacts) -> Vec<HostOp> {
    let mut ops = Vec::new();
    let digest = &wanted.binary.digest;
    if facts.binary.as_ref() != Some(digest) {
        ops.push(HostOp::PlaceBinary { digest: digest.clone() });
    }
    for (&file, content) in &wanted.files {
        let fits = facts.files.get(&file).is_some_and(|seen| {
            seen.digest == *content.digest() && seen.mode == file.mode() && seen.owner == "0:0"
        });
        if !fits {
            ops.push(HostOp::WriteFile { file, content: content.clone() });
        }
    }
    for &file in facts.files.keys() {
        // Kernel settings may be somebody else's as well; the other role's unit was refused before.
        let kept = matches!(file, ManagedFile::Sysctls | ManagedFile::Unit(_));
        if !kept && !wanted.files.contains_key(&file) {
            ops.push(HostOp::RemoveFile { file });
        }
    }
    if let Some(content) = wanted.files.get(&ManagedFile::Sysctls)
        && !applied(content.text().expose(), facts)
    {
        ops.push(HostOp::ApplySysctls);
    }
    ops
}

/// Whether the kernel uses the settings of this file, as far as the look tells.
fn applied(text: &str, facts: &HostFacts) -> bool {
    let settings = text.lines().filter_map(|line| line.split_once('='));
    settings
        .map(|(name, value)| (name.trim(), value.trim()))
        .all(|(name, value)| facts.sysctls.get(name).is_none_or(|current| current == value))
}

/// Starting, restarting, waiting.
fn serving(wanted: &Wanted, facts: &HostFacts) -> Next {
    let act = |action| Next::Op(restart(wanted, action));
    let Some(service) = service(wanted, facts) else { return act(Action::Enable) };
    if !service.enabled {
        return act(Action::Enable);
    }
    let stale = stale(wanted, facts);
    match service.state {
        // It is starting with what it read before the last change: it would have to start again anyway.
        ServiceState::Moving if stale && !facts.loaded.is_empty() => act(Action::Restart),
        ServiceState::Moving => Next::Wait,
        ServiceState::Crashing | ServiceState::Running if stale => act(Action::Restart),
        ServiceState::Crashing => Next::Refused(vec![Reason::Crashing {
            result: service.result.clone(),
            service: wanted.role.service().to_owned(),
        }]),
        ServiceState::Running => Next::Done,
        ServiceState::Absent | ServiceState::Stopped | ServiceState::Failed => act(Action::Start),
    }
}

fn restart(wanted: &Wanted, action: Action) -> HostOp {
    HostOp::Service { role: wanted.role, action }
}

fn service<'a>(wanted: &Wanted, facts: &'a HostFacts) -> Option<&'a Service> {
    facts.services.get(&wanted.role)
}

/// Whether K3s started with anything else than what lies there now.
fn stale(wanted: &Wanted, facts: &HostFacts) -> bool {
    let mut lying: Vec<(&str, &Digest)> = facts
        .files
        .iter()
        .filter(|(file, _)| file.read_at_start(wanted.role))
        .map(|(file, seen)| (file.path(), &seen.digest))
        .chain(facts.binary.as_ref().map(|digest| (BINARY, digest)))
        .collect();
    lying.sort();
    let loaded: Vec<(&str, &Digest)> =
        facts.loaded.iter().map(|(path, digest)| (path.as_str(), digest)).collect();
    lying != loaded
}
