//! The steps of an installation, in their order, each found by what the host lacks.

use std::collections::BTreeMap;

use super::super::artifact::Artifact;
use super::super::digest::Digest;
use super::super::facts::{Arriving, Datastore, HostFacts, ServiceState};
use super::super::file::ManagedFile;
use super::super::op::{Action, Role};
use super::super::preflight;
use super::super::script::BINARY;
use super::super::version::K3sVersion;
use super::step::by_itself;
use super::{Cause, Held, Next, Reason, Release, Source, Step, Wanted};

/// Room that a binary takes, as far as anybody needs to know before it is sent.
const BINARY_KIB: u64 = 80 * 1024;
/// Where K3s keeps its data, and where we look for it.
const DATA: &str = "/var/lib/rancher/k3s";
/// Variables of a unit that our own configuration replaces.
const REPLACED: [&str; 2] = ["K3S_TOKEN", "K3S_URL"];

/// What is wrong with the host for what is wanted of it.
pub(super) fn problems(wanted: &Wanted, facts: &HostFacts) -> Vec<Reason> {
    let mut found = binary_problems(wanted, facts);
    found.extend(history_problems(wanted, facts));
    found.extend(foreign_problems(wanted, facts));
    found
}

/// What is wrong with the binary, for this host.
fn binary_problems(wanted: &Wanted, facts: &HostFacts) -> Vec<Reason> {
    let mut found = Vec::new();
    let installed = facts.version.as_deref().unwrap_or("of unknown version").to_owned();
    match &wanted.source {
        Source::Sent(Some(release)) => {
            found.extend(other_machine(release, facts));
            if facts.binary.as_ref() != Some(&release.digest) {
                let needs = match facts.arriving.get(&release.digest) {
                    None => BINARY_KIB,
                    Some(Arriving::Part(bytes)) => BINARY_KIB.saturating_sub(bytes / 1024),
                    Some(Arriving::Whole) => 0,
                };
                found.extend(preflight::space(facts, "/usr/local/bin", needs));
            }
        }
        Source::Sent(None) if !runs_wanted(wanted, facts) => {
            found.push(Reason::NoRelease { wanted: wanted.version });
        }
        Source::Preinstalled if facts.binary.is_none() => {
            found.push(Reason::NoBinary { path: BINARY.to_owned() });
        }
        Source::Preinstalled if !runs_wanted(wanted, facts) => {
            found.push(Reason::OtherVersion { installed, wanted: wanted.version });
        }
        Source::Sent(None) | Source::Preinstalled | Source::Script => {}
    }
    if let Some((_, release)) = &wanted.images {
        found.extend(other_machine(release, facts));
    }
    if !wanted.files.contains_key(&ManagedFile::Config) {
        found.push(Reason::Undeclared { path: ManagedFile::Config.path().to_owned() });
    }
    found
}

fn other_machine(release: &Release, facts: &HostFacts) -> Option<Reason> {
    let host = facts.arch.filter(|host| *host != release.arch)?;
    let (binary, host) = (release.arch.word().to_owned(), host.word().to_owned());
    Some(Reason::OtherMachine { binary, host })
}

fn runs_wanted(wanted: &Wanted, facts: &HostFacts) -> bool {
    facts.version.as_deref() == Some(wanted.version.to_string().as_str())
}

/// What is wrong with how the host came to be as it is.
fn history_problems(wanted: &Wanted, facts: &HostFacts) -> Vec<Reason> {
    let mut found = Vec::new();
    let server = facts.data.contains(&Datastore::Server) || unit_there(facts, Role::Server);
    match wanted.role {
        Role::Agent if server => found.push(Reason::OtherRole { was: "server".to_owned() }),
        Role::Server if unit_there(facts, Role::Agent) => {
            found.push(Reason::OtherRole { was: "agent".to_owned() });
        }
        Role::Agent | Role::Server => {}
    }
    // A binary that never ran may be replaced by any other; one of somebody else's is told above.
    let replaced = !facts.data.is_empty() && wanted.source != Source::Preinstalled;
    if let (Some(text), true) = (&facts.version, replaced) {
        found.extend(step_problem(wanted.role, text, wanted.version));
    }
    found
}

fn step_problem(role: Role, text: &str, wanted: K3sVersion) -> Option<Reason> {
    // A version that is not a release, such as a build of one's own, is not ordered; it may be replaced.
    let installed = K3sVersion::parse(text).ok()?;
    if wanted < installed {
        return Some(Reason::Downgrade { installed: text.to_owned(), wanted });
    }
    let ((major, minor), (to_major, to_minor)) = (installed.minor(), wanted.minor());
    // What servers keep has to be carried along minor by minor; an agent keeps nothing.
    let server = role == Role::Server;
    (server && (to_major != major || to_minor > minor + 1))
        .then_some(Reason::Jump { installed, wanted })
}

/// What somebody else set up, and what we would overrule or lose without knowing it.
fn foreign_problems(wanted: &Wanted, facts: &HostFacts) -> Vec<Reason> {
    let mut found = Vec::new();
    if let Some(path) =
        facts.settings.get("data-dir").filter(|path| path.trim_end_matches('/') != DATA)
    {
        found.push(Reason::DataDir { path: path.clone() });
    }
    let drop_ins = facts.drop_ins.iter().map(|file| Reason::DropIn { file: file.clone() });
    found.extend(drop_ins);
    let ours = [Role::Server, Role::Agent].map(|role| format!("{}.service", role.service()));
    let others = facts.units.iter().filter(|unit| !ours.contains(*unit));
    found.extend(others.map(|unit| Reason::OtherUnit { unit: unit.clone() }));
    // Its own install script may give K3s what it likes; we only add to its unit.
    let lost = facts.flags.iter().map(String::as_str).filter(|flag| !REPLACED.contains(flag));
    let lost: Vec<&str> = lost.collect();
    if !lost.is_empty() && wanted.source != Source::Script {
        found.push(Reason::Flags { flags: lost.join(", ") });
    }
    found
}

fn unit_there(facts: &HostFacts, role: Role) -> bool {
    facts.units.contains(&format!("{}.service", role.service()))
}

/// The first step that is still to be done on a host that is ours.
pub(super) fn next(wanted: &Wanted, facts: &HostFacts) -> Next {
    let files = files(wanted);
    let (mut quiet, loud) = changes(wanted, &files, facts);
    let running = facts.service(wanted.role).is_some_and(|service| {
        matches!(service.state, ServiceState::Running | ServiceState::Moving)
    });
    if !quiet.is_empty() {
        return Next::Do(quiet.remove(0));
    }
    if !running {
        let first = loud.into_iter().next().map(|(_, step)| step);
        return first.map_or_else(|| serving(wanted, facts), Next::Do);
    }
    let mut due: Vec<(Cause, String)> =
        loud.iter().map(|(cause, step)| (*cause, step.to_string())).collect();
    if let (true, Some(cause)) = (due.is_empty(), stale(wanted.role, facts)) {
        due.push((cause, restart(wanted, Action::Restart).to_string()));
    }
    let held = due.iter().filter(|(cause, _)| !wanted.disruption.allows(*cause));
    let Some(cause) = held.map(|(cause, _)| *cause).max() else {
        let first = loud.into_iter().next().map(|(_, step)| step);
        return first.map_or_else(|| serving(wanted, facts), Next::Do);
    };
    // What needs less is done first: files are read by a restart while another version waits.
    let allowed = loud.into_iter().find(|(cause, _)| wanted.disruption.allows(*cause));
    if let Some((_, step)) = allowed {
        return Next::Do(step);
    }
    let stale = stale(wanted.role, facts);
    let moving = facts.service(wanted.role).is_some_and(|it| it.state == ServiceState::Moving);
    match stale {
        // Whose turn it is may only be asked of those who have finished theirs.
        None if moving => Next::Wait,
        Some(cause) if wanted.disruption.allows(cause) => {
            Next::Do(restart(wanted, Action::Restart))
        }
        _ => Next::Held(Held { cause, due: due.into_iter().map(|(_, step)| step).collect() }),
    }
}

/// Every file that is to be there, those that come by themselves too.
fn files(wanted: &Wanted) -> BTreeMap<ManagedFile, Digest> {
    let unit = match wanted.source {
        Source::Sent(_) | Source::Preinstalled => ManagedFile::Unit(wanted.role),
        Source::Script => ManagedFile::UnitNote(wanted.role),
    };
    let keep = (wanted.source == Source::Preinstalled).then_some(ManagedFile::KeepBinary);
    let own = keep.into_iter().chain([unit]);
    let own = own.filter_map(|file| {
        let content = by_itself(file)?;
        Some((file, content.digest().clone()))
    });
    wanted.files.iter().map(|(file, digest)| (*file, digest.clone())).chain(own).collect()
}

/// Everything that is to be put in place or taken away, in order: what does not disturb a running K3s, and what does.
fn changes(
    wanted: &Wanted,
    files: &BTreeMap<ManagedFile, Digest>,
    facts: &HostFacts,
) -> (Vec<Step>, Vec<(Cause, Step)>) {
    let (mut quiet, mut loud) = (Vec::new(), Vec::new());
    if let Source::Sent(Some(Release { digest, .. })) = &wanted.source
        && facts.binary.as_ref() != Some(digest)
    {
        let step = arriving(Artifact::Binary, digest, facts);
        match step {
            Step::Place { .. } => loud.push((Cause::Upgrade, step)),
            _ => quiet.push(step),
        }
    }
    if wanted.source == Source::Script && !runs_wanted(wanted, facts) {
        let (role, version) = (wanted.role, wanted.version);
        loud.push((Cause::Upgrade, Step::RunInstallScript { role, version }));
    }
    if let Some((artifact, Release { digest, .. })) = &wanted.images
        && facts.images.get(artifact) != Some(digest)
    {
        quiet.push(arriving(*artifact, digest, facts));
    }
    for (&file, digest) in files {
        if fits(file, digest, facts) {
            continue;
        }
        let step = Step::Write { file, digest: digest.clone() };
        if file.read_at_start(wanted.role) {
            loud.push((Cause::Restart, step));
        } else {
            quiet.push(step);
        }
    }
    for &file in facts.files.keys() {
        // Kernel settings may be somebody else's as well; the other role's unit was refused before, and one beside our note is
        // that of K3s's own install script.
        let kept = matches!(file, ManagedFile::Sysctls | ManagedFile::Unit(_));
        if !kept && !files.contains_key(&file) {
            let step = Step::Remove { file };
            if file.read_at_start(wanted.role) {
                loud.push((Cause::Restart, step));
            } else {
                quiet.push(step);
            }
        }
    }
    let applied = |(name, value): (&String, &String)| {
        facts.sysctls.get(name).is_none_or(|current| current == value)
    };
    if facts.files.contains_key(&ManagedFile::Sysctls) && !wanted.sysctls.iter().all(applied) {
        quiet.push(Step::ApplySysctls);
    }
    (quiet, loud)
}

/// Whether a file is as it is to be.
fn fits(file: ManagedFile, digest: &Digest, facts: &HostFacts) -> bool {
    let Some(seen) = facts.files.get(&file) else { return false };
    seen.digest == *digest && seen.mode == file.mode() && seen.owner == "0:0"
}

/// What brings a large file further.
fn arriving(artifact: Artifact, digest: &Digest, facts: &HostFacts) -> Step {
    let digest = digest.clone();
    match facts.arriving.get(&digest) {
        None => Step::Send { artifact, digest, arrived: 0 },
        Some(Arriving::Part(arrived)) => Step::Send { artifact, digest, arrived: *arrived },
        Some(Arriving::Whole) => Step::Place { artifact, digest },
    }
}

/// Starting, restarting, waiting.
fn serving(wanted: &Wanted, facts: &HostFacts) -> Next {
    let act = |action| Next::Do(restart(wanted, action));
    let Some(service) = facts.service(wanted.role) else { return act(Action::Enable) };
    if !service.enabled {
        return act(Action::Enable);
    }
    let stale = stale(wanted.role, facts).is_some();
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

fn restart(wanted: &Wanted, action: Action) -> Step {
    Step::Service { role: wanted.role, action }
}

/// What it means that K3s started with anything else than what lies there now; `None`: it did not.
fn stale(role: Role, facts: &HostFacts) -> Option<Cause> {
    let mut lying: Vec<(&str, &Digest)> = facts
        .files
        .iter()
        .filter(|(file, _)| file.read_at_start(role))
        .map(|(file, seen)| (file.path(), &seen.digest))
        .chain(facts.binary.as_ref().map(|digest| (BINARY, digest)))
        .collect();
    lying.sort();
    let loaded: Vec<(&str, &Digest)> =
        facts.loaded.iter().map(|(path, digest)| (path.as_str(), digest)).collect();
    if lying == loaded {
        return None;
    }
    let another =
        facts.loaded.get(BINARY).is_some_and(|loaded| facts.binary.as_ref() != Some(loaded));
    Some(if another { Cause::Upgrade } else { Cause::Restart })
}
