//! One step: on one host for a while, or one small deed on several. Whose a host is, is read again before anything is done there,
//! and by each script once more.

mod bring;
mod drain;
mod mark;

use std::fmt::Display;

use fleetwright_errclass::Class;
use fleetwright_names::{Owner, Ownership};
use fleetwright_plan::{CloudAction, CloudStep, PartKey, Resource};
use fleetwright_provider::{Access, CloudError, Receipt, audit, left_alone};
use futures::future::BoxFuture;

use crate::body::{Deed, Task};
use crate::cluster::{KEPT, may_leave};
use crate::hosts::{ClusterFacts, HostFacts, HostOp, NodeName, Role};
use crate::observe::tags_of;
use crate::provider::K3sProvider;
use crate::reach::{Reach, Reached, owner_of, serves, side_by_side};
use crate::site::{Site, SiteHost};
use crate::wanted::{foreign_data, has_data, has_run};

/// Does the step. What is gone cannot be deleted or let go, and that is success.
pub(crate) async fn act(
    provider: &K3sProvider,
    access: &Access,
    step: &CloudStep,
) -> Result<Receipt, CloudError> {
    let Some(site) = Site::read(&step.address) else {
        return Err(bug("the address of the step carries no hosts"));
    };
    let reach = Reach::new(provider.hosts(), access, site)?;
    let work = Work { provider, access, reach, step };
    let done = match (&step.action, &step.resource) {
        (CloudAction::Create { body }, resource) => {
            work.create(resource, &work.task(body)?).await?
        }
        (CloudAction::Update(update), resource) => work.update(resource, &update.body).await?,
        (CloudAction::Claim { from, .. }, resource) => work.claim(resource, from.as_ref()).await?,
        (CloudAction::Release, resource) => work.release(resource).await?,
        (CloudAction::Delete, Resource::Part(key)) => work.remove(key).await?,
        (CloudAction::Delete, _) => work.remove_all().await?,
    };
    let verb = step.action.verb();
    let calls = done.map(|host| (format!("k3s:{verb} {host}"), None)).into_iter().collect();
    Ok(Receipt { calls })
}

/// The host that was worked on, if anything was done.
type Done = Option<String>;

/// One step and all that it takes.
struct Work<'a> {
    provider: &'a K3sProvider,
    access: &'a Access,
    reach: Reach<'a>,
    step: &'a CloudStep,
}

/// A host that was looked at.
struct Seen {
    host: SiteHost,
    reached: Reached,
    facts: HostFacts,
}

impl Work<'_> {
    fn owner(&self) -> &Owner {
        &self.step.owner
    }

    fn task(&self, body: &serde_json::Value) -> Result<Task, CloudError> {
        Task::read(body).ok_or_else(|| bug("the step's body is not one of ours"))
    }

    fn host(&self, name: &str) -> Result<&SiteHost, CloudError> {
        let mut hosts = self.reach.site.hosts.iter();
        hosts.find(|host| host.name == name).ok_or_else(|| {
            let words = format!("host {name} is not among those of {}", self.step.address);
            CloudError::new(Class::Unknown, "WentAway", "k3s:Reach", words)
        })
    }

    async fn see(&self, host: &SiteHost) -> Result<Seen, CloudError> {
        let (reached, facts) = self.reach.look(host).await?;
        Ok(Seen { host: host.clone(), reached, facts })
    }

    /// Agents that carry this cluster's data as servers: what is declared may have changed. One that does not answer tells nothing.
    async fn agents_with_data(&self) -> Vec<Seen> {
        let mut looks: Vec<BoxFuture<'_, Result<Seen, CloudError>>> = Vec::new();
        for host in self.reach.site.hosts.iter().filter(|host| host.role == Role::Agent) {
            if !self.reach.site.abandoned.contains(&host.name) {
                looks.push(Box::pin(self.see(host)));
            }
        }
        let seen = side_by_side(looks).await.into_iter().flatten();
        seen.filter(|seen| has_data(&seen.facts) && self.is_of_object(&seen.facts)).collect()
    }

    /// Ours, in this life of the object or an earlier one.
    fn is_of_object(&self, facts: &HostFacts) -> bool {
        let ours = self.owner();
        owner_of(facts).is_some_and(|owner| owner.hub == ours.hub && owner.object == ours.object)
    }

    /// All servers that were not given up; every one of them must answer.
    async fn see_servers(&self) -> Vec<Result<Seen, CloudError>> {
        let mut looks: Vec<BoxFuture<'_, Result<Seen, CloudError>>> = Vec::new();
        for host in self.reach.site.servers() {
            if !self.reach.site.abandoned.contains(&host.name) {
                looks.push(Box::pin(self.see(host)));
            }
        }
        side_by_side(looks).await
    }

    /// Notes one deed.
    fn note(&self, op: &dyn Display, host: &str) {
        audit(self.step, "k3s:Deed", &format!("{host}: {op}"), None);
    }

    fn is_ours(&self, facts: &HostFacts) -> bool {
        owner_of(facts) == Some(self.owner())
    }

    /// Refuses what is not ours.
    fn must_be_ours(&self, name: &str, facts: &HostFacts) -> Result<(), CloudError> {
        if self.is_ours(facts) { Ok(()) } else { Err(self.not_ours(name, facts)) }
    }

    fn not_ours(&self, name: &str, facts: &HostFacts) -> CloudError {
        let words = format!("{name}: {}", left_alone(self.owner(), &tags_of(facts)));
        let operation = format!("k3s:{}", self.step.action.verb());
        CloudError::new(Class::Refused, "NotOurs", operation, words)
    }

    fn taken(&self, name: &str) -> CloudError {
        let words = format!("{name} has become ours, or somebody's, meanwhile; we look again");
        CloudError::new(Class::Conflict, "AlreadyExists", "k3s:Create", words)
    }

    /// A host that is not ours yet: it is brought into the cluster, or begins it.
    async fn create(&self, resource: &Resource, task: &Task) -> Result<Done, CloudError> {
        if *resource == Resource::Cluster || task.begins {
            self.nobody_has_begun(task).await?;
        }
        let seen = self.see(self.host(&task.name)?).await?;
        let free = match self.owner().reads(&tags_of(&seen.facts)) {
            Ownership::Untagged | Ownership::Released => seen.facts.units.is_empty(),
            Ownership::Ours | Ownership::Predecessor(_) | Ownership::Other(_) => false,
        };
        if !free {
            return Err(self.taken(&task.name));
        }
        if task.replaces_node {
            self.delete_node(&task.name).await?;
        }
        self.bring(task, seen.reached).await
    }

    /// A cluster begins once: no server may have data, and each must be seen.
    async fn nobody_has_begun(&self, task: &Task) -> Result<(), CloudError> {
        for seen in self.see_servers().await {
            let seen = seen.map_err(|error| CloudError {
                message: format!(
                    "no cluster is begun while a server cannot be seen: {}",
                    error.message
                ),
                ..error
            })?;
            let other = seen.host.name != task.name;
            if has_run(&seen.facts, Role::Server) || (!other && self.is_ours(&seen.facts)) {
                return Err(self.taken(&seen.host.name));
            }
        }
        self.no_agent_has_begun().await
    }

    async fn no_agent_has_begun(&self) -> Result<(), CloudError> {
        let found = self.agents_with_data().await;
        found.first().map_or(Ok(()), |seen| Err(self.taken(&seen.host.name)))
    }

    async fn update(
        &self,
        resource: &Resource,
        body: &serde_json::Value,
    ) -> Result<Done, CloudError> {
        let task = Task::read(body);
        // What is not ours is refused, whatever the body says.
        let name = match (&task, resource) {
            (Some(task), _) => Some(task.name.clone()),
            (None, Resource::Part(key)) => Some(key.name.clone()),
            (None, _) => self.reach.site.servers().next().map(|host| host.name.clone()),
        };
        let seen = self.see(self.host(&name.unwrap_or_default())?).await?;
        self.must_be_ours(&seen.host.name, &seen.facts)?;
        let task = task.ok_or_else(|| bug("the step's body is not one of ours"))?;
        match task.deed {
            Deed::Bring | Deed::Restart | Deed::Turn => {
                if task.begins && !has_run(&seen.facts, Role::Server) {
                    self.others_have_not_begun(&task).await?;
                }
                self.bring(&task, seen.reached).await
            }
            Deed::Renew => self.renew(&task, seen).await,
            Deed::Empty => self.empty(&task, &seen.host.name).await,
            Deed::Open => self.open(&task.name).await,
        }
    }

    async fn others_have_not_begun(&self, task: &Task) -> Result<(), CloudError> {
        for seen in self.see_servers().await {
            let seen = seen?;
            if seen.host.name != task.name && has_run(&seen.facts, Role::Server) {
                return Err(self.taken(&seen.host.name));
            }
        }
        self.no_agent_has_begun().await
    }

    /// A server that is ready, and what it says; the first that answers.
    async fn any_server(&self) -> Result<(Reached, ClusterFacts), CloudError> {
        self.any_server_but("").await
    }

    async fn any_server_but(&self, not: &str) -> Result<(Reached, ClusterFacts), CloudError> {
        let mut last = None;
        for host in self.reach.site.servers().filter(|host| host.name != not) {
            if self.reach.site.abandoned.contains(&host.name) {
                continue;
            }
            let seen = match self.see(host).await {
                Ok(seen) if self.is_ours(&seen.facts) && serves(&seen.facts) => seen,
                Ok(_) => continue,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            match seen.reached.cluster(self.owner()).await {
                Ok(Some(view)) => return Ok((seen.reached, view)),
                Ok(None) => {}
                Err(error) => last = Some(error),
            }
        }
        let why = last.map(|error| format!(": {}", error.message)).unwrap_or_default();
        let words = format!("no server of {} is ready{why}", self.step.address);
        Err(CloudError::new(Class::Transient, "NotReady", "k3s:ReadCluster", words))
    }

    /// Takes a node out of the cluster, if it is there.
    async fn delete_node(&self, name: &str) -> Result<bool, CloudError> {
        let (server, view) = self.any_server().await?;
        if !view.nodes.iter().any(|node| node.name == name) {
            return Ok(false);
        }
        if let Some(why) = may_leave(&view, name) {
            let words = format!("server {name} stays: {why}");
            return Err(CloudError::new(Class::Refused, "QuorumLost", "k3s:DeleteNode", words));
        }
        let op = HostOp::DeleteNode { node: node_name(name)? };
        server.does(&op, self.owner()).await?;
        self.note(&op, &server.name);
        Ok(true)
    }

    /// One host leaves: its node first, then K3s.
    async fn remove(&self, key: &PartKey) -> Result<Done, CloudError> {
        let Some(host) = self.reach.site.find(key).cloned() else { return Ok(None) };
        if self.reach.site.abandoned.contains(&host.name) {
            let gone = self.delete_node(&host.name).await?;
            return Ok(gone.then_some(host.name));
        }
        let seen = self.see(&host).await?;
        if !self.is_ours(&seen.facts) {
            return if is_bare(&seen.facts) {
                Ok(None)
            } else {
                Err(self.not_ours(&host.name, &seen.facts))
            };
        }
        if host.role == Role::Agent && has_data(&seen.facts) {
            return Err(kept(
                &host.name,
                "it was a server, and the cluster's data may lie there only",
            ));
        }
        if host.role == Role::Server && has_data(&seen.facts) {
            self.must_not_end_another(&seen).await?;
        }
        if has_run(&seen.facts, host.role) {
            match self.delete_node(&host.name).await {
                Ok(_) => {}
                // An agent may go though nobody answers: so does its cluster.
                Err(error) if host.role == Role::Agent && error.code == "NotReady" => {
                    tracing::debug!(%error, "a node is not taken out of a cluster that does not answer");
                }
                Err(error) => return Err(error),
            }
        }
        self.uninstall(&seen).await?;
        Ok(Some(host.name))
    }

    /// Refuses to remove the data of a cluster that is not the one that answers: uninstalling would end it.
    async fn must_not_end_another(&self, seen: &Seen) -> Result<(), CloudError> {
        let name = seen.host.name.as_str();
        let (server, view) = self.any_server_but(name).await?;
        if view.nodes.iter().any(|node| node.name == name) {
            return Ok(());
        }
        if let Some(why) = foreign_data(&seen.facts, view.token.as_ref()) {
            return Err(kept(name, why));
        }
        // With the same token: a cluster that was begun twice, as from a copy of its data.
        if serves(&seen.facts)
            && let Ok(Some(own)) = seen.reached.cluster(self.owner()).await
            && own.nodes.iter().any(|node| node.name == name && node.ready)
        {
            let why =
                format!("a cluster of its own answers there, which {} is not in", server.name);
            return Err(kept(name, &why));
        }
        Ok(())
    }

    async fn uninstall(&self, seen: &Seen) -> Result<(), CloudError> {
        seen.reached.does(&HostOp::Uninstall, self.owner()).await?;
        self.note(&HostOp::Uninstall, &seen.host.name);
        Ok(())
    }

    /// All servers go together.
    async fn remove_all(&self) -> Result<Done, CloudError> {
        let servers = self.see_servers().await;
        let mut unseen = None;
        let (mut ours, mut strange) = (Vec::new(), None);
        for seen in servers {
            match seen {
                Ok(seen) if self.is_ours(&seen.facts) => ours.push(seen),
                Ok(seen) if is_bare(&seen.facts) => {}
                Ok(seen) => strange = Some(self.not_ours(&seen.host.name, &seen.facts)),
                Err(error) => unseen = Some(error),
            }
        }
        if ours.is_empty() {
            let error = strange.or(unseen);
            return error.map_or(Ok(None), Err);
        }
        let mut deeds: Vec<BoxFuture<'_, Result<(), CloudError>>> = Vec::new();
        for seen in &ours {
            deeds.push(Box::pin(self.uninstall(seen)));
        }
        let done = side_by_side(deeds).await;
        let names: Vec<&str> = ours.iter().map(|seen| seen.host.name.as_str()).collect();
        let first_error = done.into_iter().find_map(Result::err).or(unseen);
        first_error.map_or_else(|| Ok(Some(names.join(","))), Err)
    }
}

/// Nothing of K3s, and nobody's.
fn is_bare(facts: &HostFacts) -> bool {
    let installed = !facts.units.is_empty() || !facts.data.is_empty();
    !installed && owner_of(facts).is_none()
}

/// Data that stays until a person says otherwise.
fn kept(name: &str, why: &str) -> CloudError {
    let words = format!("{name} stays: {why}; {KEPT}");
    CloudError::new(Class::Refused, "DataKept", "k3s:Uninstall", words)
}

fn node_name(name: &str) -> Result<NodeName, CloudError> {
    NodeName::new(name).map_err(|error| bug(&error.to_string()))
}

fn bug(words: &str) -> CloudError {
    CloudError::new(Class::Bug, "UnreadableBody", "k3s:Act", format!("{words}; report it"))
}
