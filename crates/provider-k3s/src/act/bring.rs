//! Brings one host towards what is wanted: look, one deed, look again, for a while.

use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_provider::CloudError;
use tokio::time::{Instant, sleep};

use super::{Done, Seen, Work, bug};
use crate::body::{Deed, HostBody, Task, Way};
use crate::cluster::renewal;
use crate::hosts::{
    Action, Answer, Artifact, Cause, Content, Disruption, HostFacts, HostOp, K3sVersion,
    ManagedFile, Materials, Next, Role, Step, next,
};
use crate::reach::Reached;
use crate::secret_files::SecretFiles;
use crate::wanted::{Inputs, Releases, SecretDigests, has_run, release_key};

/// How long one act works on a host; the next look goes on.
const WORK: Duration = Duration::from_secs(40);
/// Between two looks while K3s starts.
const PAUSE: Duration = Duration::from_secs(2);

/// One host being brought on.
struct Bringing<'a> {
    task: &'a Task,
    body: &'a HostBody,
    version: K3sVersion,
    reached: Reached,
    secrets: SecretFiles,
    releases: Releases,
    /// What others join with, once it was needed.
    token: Option<Content>,
    deadline: Instant,
    /// Whether anything was done.
    did: bool,
    /// Its pods have left, or need not.
    emptied: bool,
}

impl Work<'_> {
    pub(super) async fn bring(&self, task: &Task, reached: Reached) -> Result<Done, CloudError> {
        let (Some(body), Ok(version)) = (&task.host, K3sVersion::parse(&task.version)) else {
            return Err(bug("the step names no host to bring on"));
        };
        let secrets = SecretFiles::of(self.access, &task.cluster.secrets);
        if let Some((field, why)) = secrets.missing.iter().next() {
            let words = format!("{field}: {why}");
            return Err(CloudError::new(Class::Refused, "SecretMissing", "k3s:Bring", words));
        }
        let mut bringing = Bringing {
            task,
            body,
            version,
            reached,
            secrets,
            releases: Releases::new(),
            token: None,
            deadline: Instant::now() + WORK,
            did: task.replaces_node,
            emptied: false,
        };
        self.go(&mut bringing).await?;
        Ok(bringing.did.then(|| task.name.clone()))
    }

    async fn go(&self, on: &mut Bringing<'_>) -> Result<(), CloudError> {
        loop {
            let facts = on.reached.facts().await?;
            if has_run(&facts, on.body.role) {
                self.must_be_ours(&on.body.name, &facts)?;
            }
            self.learn(on, &facts).await?;
            let step = match self.judge(on, &facts, false) {
                Next::Do(step) => step,
                Next::Held(held) if held.cause == Cause::Upgrade && !on.emptied => {
                    if on.task.deed != Deed::Turn || !self.emptied(on).await? {
                        return Ok(());
                    }
                    on.emptied = true;
                    continue;
                }
                Next::Held(_) => match self.judge(on, &facts, true) {
                    Next::Do(step) => step,
                    _ => return Ok(()),
                },
                Next::Wait => {
                    if Instant::now() + PAUSE >= on.deadline {
                        return Ok(());
                    }
                    sleep(PAUSE).await;
                    continue;
                }
                Next::Done => return self.came_up(on).await,
                Next::Refused(reasons) => {
                    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                    let words = format!("{}: {}", on.body.name, reasons.join("; "));
                    return Err(CloudError::new(Class::Refused, "HostUnfit", "k3s:Bring", words));
                }
            };
            if Instant::now() >= on.deadline {
                return Ok(());
            }
            self.one(on, &facts, &step).await?;
        }
    }

    fn inputs<'b>(
        &'b self,
        on: &'b Bringing<'_>,
        (facts, secrets): (&'b HostFacts, &'b SecretDigests),
    ) -> Inputs<'b> {
        Inputs {
            owner: self.owner(),
            cluster: &on.task.cluster,
            host: on.body,
            facts,
            version: on.version,
            begins: on.task.begins,
            secrets,
            token: on.token.as_ref().map(Content::digest),
            releases: &on.releases,
            disruption: Disruption::Held,
        }
    }

    /// What is next; `disturbing` as far as the step allows.
    fn judge(&self, on: &Bringing<'_>, facts: &HostFacts, disturbing: bool) -> Next {
        let digests = on.secrets.digests();
        let disruption = match (disturbing, on.task.deed) {
            (true, Deed::Restart) => Disruption::Restart,
            (true, Deed::Turn) => Disruption::Upgrade,
            _ => Disruption::Held,
        };
        let inputs = Inputs { disruption, ..self.inputs(on, (facts, &digests)) };
        let mut wanted = inputs.wanted();
        // What is there and not ours is claimed by steps of its own.
        wanted.adoption = crate::hosts::Adoption::Never;
        next(&wanted, facts, self.provider.now().as_second())
    }

    /// Learns what a judgement needs: published digests and the cluster's token.
    async fn learn(&self, on: &mut Bringing<'_>, facts: &HostFacts) -> Result<(), CloudError> {
        let Some(arch) = facts.arch else { return Ok(()) };
        let key = release_key(&on.task.version, arch);
        let sent = matches!(on.task.cluster.source, Way::Download | Way::Airgap);
        if sent && !on.releases.contains_key(&key) {
            match self.provider.published(&on.task.cluster, on.version, arch).await {
                Ok(sums) => {
                    on.releases.insert(key, sums);
                }
                // A host that runs it already needs nothing of it.
                Err(_) if facts.version.as_ref() == Some(&on.task.version) => {}
                Err(error) => return Err(error),
            }
        }
        let none = SecretDigests::default();
        if on.token.is_none() && self.inputs(on, (facts, &none)).joins() {
            on.token = Some(self.token(on).await?);
        }
        Ok(())
    }

    /// What others join with, from a server that has it.
    async fn token(&self, on: &Bringing<'_>) -> Result<Content, CloudError> {
        let mut last = None;
        for host in self.reach.site.servers().filter(|host| host.name != on.body.name) {
            if self.reach.site.abandoned.contains(&host.name) {
                continue;
            }
            match self.see(host).await {
                Ok(seen) if self.is_ours(&seen.facts) && seen.facts.server_token.is_some() => {
                    let read = seen.reached.does(&HostOp::ReadToken, self.owner()).await?;
                    let Answer::Token(token) = read else {
                        return Err(crate::reach::odd(&host.name, &HostOp::ReadToken));
                    };
                    return Ok(Content::new(format!("{}\n", token.expose())));
                }
                Ok(_) => {}
                Err(error) => last = Some(error),
            }
        }
        // Its own, where it is the only server that has joined itself once.
        let own = on.reached.does(&HostOp::ReadToken, self.owner()).await;
        if let (Role::Server, Ok(Answer::Token(token))) = (on.body.role, own) {
            return Ok(Content::new(format!("{}\n", token.expose())));
        }
        let why = last.map(|error| format!(": {}", error.message)).unwrap_or_default();
        let words = format!("no server tells what {} is to join with{why}", on.body.name);
        Err(CloudError::new(Class::Transient, "NotReady", "k3s:ReadToken", words))
    }

    /// One deed.
    async fn one(
        &self,
        on: &mut Bringing<'_>,
        facts: &HostFacts,
        step: &Step,
    ) -> Result<(), CloudError> {
        let starts = matches!(step, Step::Service { action: Action::Start, .. });
        if starts && on.task.begins && !has_run(facts, Role::Server) {
            self.others_have_not_begun(on.task).await?;
        }
        let materials = self.materials(on, facts, step).await?;
        let op = step.op(&materials).map_err(|error| {
            let words = format!("{}: {error}", on.body.name);
            CloudError::new(Class::Unknown, "Changed", "k3s:Bring", words)
        })?;
        on.reached.does(&op, self.owner()).await?;
        self.note(&op, &on.body.name);
        on.did = true;
        Ok(())
    }

    /// What this step puts in.
    async fn materials(
        &self,
        on: &Bringing<'_>,
        facts: &HostFacts,
        step: &Step,
    ) -> Result<Materials, CloudError> {
        let mut materials = Materials::default();
        let cluster = &on.task.cluster;
        match (step, facts.arch) {
            (Step::Send { artifact, .. }, Some(arch)) => {
                let fetched = self.provider.fetch(cluster, (on.version, arch), *artifact).await?;
                match artifact {
                    Artifact::Binary => materials.binary = Some(fetched),
                    Artifact::Images(_) => materials.images = Some(fetched),
                }
            }
            (Step::RunInstallScript { .. }, _) => {
                materials.script = Some(self.provider.script(cluster, on.version).await?);
            }
            (Step::Write { file, .. }, _) => {
                let text =
                    match file {
                        ManagedFile::Config => {
                            let none = SecretDigests::default();
                            let config = self.inputs(on, (facts, &none)).config().to_owned();
                            Some(Content::new(config))
                        }
                        ManagedFile::Token => on.token.clone(),
                        file => on.secrets.contents.get(file).cloned().or_else(|| {
                            on.body.files.get(file).map(|text| Content::new(text.clone()))
                        }),
                    };
                materials.files.extend(text.map(|content| (*file, content)));
            }
            _ => {}
        }
        Ok(materials)
    }

    /// Nothing is left to do on the host. After a turn its pods may come back, once its node is ready.
    async fn came_up(&self, on: &mut Bringing<'_>) -> Result<(), CloudError> {
        if on.task.deed != Deed::Turn {
            return Ok(());
        }
        loop {
            if self.is_back(&on.task.name).await? {
                on.did |= self.open(&on.task.name).await?.is_some();
                return Ok(());
            }
            if Instant::now() + PAUSE >= on.deadline {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether the pods of a host in its turn have left; asks them to.
    async fn emptied(&self, on: &mut Bringing<'_>) -> Result<bool, CloudError> {
        let (emptied, did) = self.drain_for_turn(on.task, on.deadline).await?;
        on.did |= did;
        Ok(emptied)
    }

    /// Restarts K3s, if a certificate still ends soon.
    pub(super) async fn renew(&self, task: &Task, seen: Seen) -> Result<Done, CloudError> {
        if renewal(&seen.facts, self.provider.now().as_second()).is_none() {
            return Ok(None);
        }
        let op = HostOp::Service { role: seen.host.role, action: Action::Restart };
        seen.reached.does(&op, self.owner()).await?;
        self.note(&op, &task.name);
        Ok(Some(task.name.clone()))
    }
}
