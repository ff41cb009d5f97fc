//! From what is declared to what is asked of the cloud: pure, and all problems at once.

use std::sync::Arc;

use fleetwright_api_types::{
    CONFIRM_DELETE, DeletionPolicy, FINALIZER_INFRASTRUCTURE, ManagedCluster, ManagementMode,
};
use fleetwright_names::{HubId, Owner, Uid};
use fleetwright_plan::{Address, Goal, Problem, Waiting};
use fleetwright_provider::{Access, Asked, Provider};
use kube::ResourceExt;

use super::status::abandoned;
use super::{
    Declared, Desired, ManagedClusterController, Notes, account_name, asked, is_leaving, key_of,
    member_way, mode, provider_key, proxy_url,
};
use crate::accounts::allows;

/// Whose the resources of the object are.
pub(crate) fn owner_of(cluster: &ManagedCluster, hub: &HubId) -> Result<Owner, Problem> {
    let uid = Uid::new(cluster.uid().unwrap_or_default())
        .map_err(|error| Problem::new("metadata.uid", error.to_string()))?;
    Ok(Owner { hub: hub.clone(), object: key_of(cluster), uid })
}

impl ManagedClusterController {
    fn owner(&self, cluster: &ManagedCluster) -> Result<Owner, Problem> {
        owner_of(cluster, self.accounts.hub())
    }

    fn cloud_of(&self, cluster: &ManagedCluster) -> Result<Arc<dyn Provider>, Problem> {
        let key = provider_key(cluster)
            .ok_or_else(|| Problem::new("spec", "exactly one provider block is needed"))?;
        self.clouds.get(key).cloned().ok_or_else(|| {
            Problem::new("status.provider", format!("this program has no provider {key:?}"))
        })
    }

    pub(super) fn staying(&self, declared: &Declared) -> Result<Desired, Vec<Problem>> {
        let cluster = declared.cluster.as_ref();
        let cloud = self.cloud_of(cluster).map_err(|problem| vec![problem])?;
        let owner = self.owner(cluster).map_err(|problem| vec![problem])?;
        let access = usable(cluster, declared.access.as_ref()).map_err(|problem| vec![problem])?;
        let rules = asked::rules(cluster, access, (&declared.safety, cloud.rules()), declared.now);
        let asked = Asked { cluster, account: &access.account, owner: &owner };
        let (rules, desired) = match (rules, cloud.desire(asked)) {
            (Ok(rules), Ok(desired)) => (rules, desired),
            (rules, desired) => {
                let wrong = [rules.err(), desired.err()];
                return Err(wrong.into_iter().flatten().flatten().collect());
            }
        };
        Ok(Desired {
            goal: Goal::Present,
            hold: None,
            owner,
            generation: desired.generation,
            place: Some((desired.address.clone(), access.clone())),
            made_in: made_in(cluster),
            cluster: Some(desired),
            cloud,
            rules,
            proxy_url: proxy_url(cluster),
            way: member_way(cluster),
            abandoned: abandoned(cluster),
            notes: Notes::default(),
        })
    }

    pub(super) fn leaving(&self, declared: &Declared) -> Result<Desired, Vec<Problem>> {
        let cluster = declared.cluster.as_ref();
        let cloud = self.cloud_of(cluster).map_err(|problem| vec![problem])?;
        let goal = match cluster.spec.deletion_policy.unwrap_or(DeletionPolicy::Retain) {
            DeletionPolicy::Retain => Goal::Released,
            DeletionPolicy::Delete => Goal::Absent,
        };
        // The finalizer is taken just before the first side effect, so without it nothing was ever made.
        let held = cluster.finalizers().iter().any(|held| held == FINALIZER_INFRASTRUCTURE);
        let address = cloud.address(cluster).filter(|_| held);
        let place = match (address, &declared.access) {
            (Some(address), Some(access)) => Some((address, access.clone())),
            // Nothing of it is ours, so nobody need be asked.
            (Some(_), None) if mode(cluster) == ManagementMode::Observe => None,
            (Some(address), None) => return Err(vec![no_way_out(cluster, &address)]),
            (None, _) => None,
        };
        let owner = self.owner(cluster).map_err(|problem| vec![problem])?;
        let rules = asked::rules_on_the_way_out(declared, goal, cloud.rules());
        Ok(Desired {
            goal,
            hold: (!is_leaving(cluster)).then(|| confirmation(cluster)),
            owner,
            generation: cluster.metadata.generation.unwrap_or_default(),
            place,
            made_in: made_in(cluster),
            cluster: None,
            cloud,
            rules,
            proxy_url: proxy_url(cluster),
            way: member_way(cluster),
            abandoned: abandoned(cluster),
            notes: Notes::default(),
        })
    }
}

/// The account in which the cluster was seen last, while it is known to be there.
fn made_in(cluster: &ManagedCluster) -> Option<String> {
    let observed = cluster.status.as_ref()?.observed.as_ref()?;
    observed.external_id.as_ref().and(observed.account.clone())
}

/// The account that the object names, if it may use it.
pub(crate) fn usable<'a>(
    cluster: &ManagedCluster,
    access: Option<&'a Access>,
) -> Result<&'a Access, Problem> {
    let name = account_name(cluster);
    let field = "spec.providerConfigRef.name";
    let access = access.ok_or_else(|| {
        Problem::new(field, format!("there is no providerconfigs.fleetwright.dev {name:?}"))
    })?;
    let namespace = cluster.namespace().unwrap_or_default();
    if allows(&access.account, &namespace) {
        return Ok(access);
    }
    let message = format!(
        "{name:?} does not allow namespace {namespace:?}; its owner can add it to spec.allowedNamespaces.names"
    );
    Err(Problem::new(field, message))
}

fn no_way_out(cluster: &ManagedCluster, address: &Address) -> Problem {
    let name = account_name(cluster);
    let key = key_of(cluster);
    Problem::new(
        "spec.providerConfigRef.name",
        format!(
            "there is no providerconfigs.fleetwright.dev {name:?} any more, and without it {address} can be neither deleted nor released; \
             apply it again, or give the cluster up with `fleetwright forget {key} --reason TEXT`"
        ),
    )
}

fn confirmation(cluster: &ManagedCluster) -> Waiting {
    let uid = cluster.uid().unwrap_or_default();
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    Waiting::new(
        "the deletion to be confirmed",
        format!(
            "a person: kubectl annotate managedclusters.fleetwright.dev -n {namespace} {name} {CONFIRM_DELETE}={uid}"
        ),
    )
}
