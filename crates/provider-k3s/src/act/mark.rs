//! Whose hosts are: claimed and let go by their markers.

use fleetwright_names::{Ownership, Uid};
use fleetwright_plan::Resource;
use fleetwright_provider::{CloudError, may_claim};

use super::{Done, Seen, Work, is_bare};
use crate::hosts::{HostOp, Marker, MarkerChange};
use crate::observe::tags_of;

impl Work<'_> {
    /// All servers of a control plane, or one host.
    async fn meant(&self, resource: &Resource) -> Result<Vec<Seen>, CloudError> {
        match resource {
            Resource::Part(key) => match self.reach.site.find(key) {
                Some(host) => Ok(vec![self.see(host).await?]),
                None => Ok(Vec::new()),
            },
            _ => self.see_servers().await.into_iter().collect(),
        }
    }

    /// Makes ours what is nobody's, or that of the predecessor that the step names.
    pub(super) async fn claim(
        &self,
        resource: &Resource,
        from: Option<&Uid>,
    ) -> Result<Done, CloudError> {
        let seen = self.meant(resource).await?;
        let there: Vec<&Seen> = seen.iter().filter(|seen| !is_bare(&seen.facts)).collect();
        let mut claimed = Vec::new();
        for seen in there {
            let tags = tags_of(&seen.facts);
            if self.is_ours(&seen.facts) {
                continue;
            }
            if !may_claim(self.owner(), &tags, from) {
                return Err(self.not_ours(&seen.host.name, &seen.facts));
            }
            claimed.push(seen);
        }
        self.mark(claimed, &Marker::Owned(self.owner().clone())).await
    }

    /// Lets go what is ours.
    pub(super) async fn release(&self, resource: &Resource) -> Result<Done, CloudError> {
        let seen = self.meant(resource).await?;
        let ours: Vec<&Seen> = seen.iter().filter(|seen| self.is_ours(&seen.facts)).collect();
        if ours.is_empty() {
            let strange = seen.iter().find(|seen| {
                let whose = self.owner().reads(&tags_of(&seen.facts));
                matches!(whose, Ownership::Other(_) | Ownership::Predecessor(_))
            });
            if let Some(seen) = strange {
                return Err(self.not_ours(&seen.host.name, &seen.facts));
            }
        }
        self.mark(ours, &Marker::Released(self.owner().uid.clone())).await
    }

    async fn mark(&self, hosts: Vec<&Seen>, now: &Marker) -> Result<Done, CloudError> {
        let mut names = Vec::new();
        for Seen { host, reached, facts } in hosts {
            let change = MarkerChange { was: facts.marker.clone(), now: now.clone() };
            let op = HostOp::ChangeMarker(change);
            reached.does(&op, self.owner()).await?;
            self.note(&op, &host.name);
            names.push(host.name.clone());
        }
        Ok((!names.is_empty()).then(|| names.join(",")))
    }
}
