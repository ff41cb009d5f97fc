//! Managed add-ons, and the small catalogue of those that there are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{EksError, seconds, wire};
use super::shapes::{AddonIdentity, AddonRequest, AddonUpdate, PodIdentityRequest};
use super::updates::Wanted;
use super::{Call, check, page};
use crate::Shared;
use crate::state::{Addon, Change, Cluster, Phase, Target, with_values};

/// An add-on that can be had.
struct Offer {
    name: &'static str,
    kind: &'static str,
    namespace: &'static str,
    needs_role: bool,
    /// Oldest first, without what comes after the patch version. The last is the default.
    versions: [&'static str; 3],
}

const OFFERS: [Offer; 5] = [
    Offer {
        name: "aws-ebs-csi-driver",
        kind: "storage",
        namespace: "kube-system",
        needs_role: true,
        versions: ["v1.44.0", "v1.48.0", "v1.51.1"],
    },
    Offer {
        name: "coredns",
        kind: "networking",
        namespace: "kube-system",
        needs_role: false,
        versions: ["v1.11.4", "v1.12.2", "v1.12.4"],
    },
    Offer {
        name: "eks-pod-identity-agent",
        kind: "security",
        namespace: "kube-system",
        needs_role: false,
        versions: ["v1.3.4", "v1.3.8", "v1.3.9"],
    },
    Offer {
        name: "kube-proxy",
        kind: "networking",
        namespace: "kube-system",
        needs_role: false,
        // Follow the minor version of the cluster.
        versions: ["0", "1", "3"],
    },
    Offer {
        name: "vpc-cni",
        kind: "networking",
        namespace: "kube-system",
        needs_role: true,
        versions: ["v1.19.2", "v1.20.1", "v1.20.4"],
    },
];

impl Offer {
    /// All versions for a version of Kubernetes, newest first.
    fn versions(&self, kubernetes: &str) -> Vec<String> {
        let full = |version: &&str| match self.name {
            "kube-proxy" => format!("v{kubernetes}.{version}-eksbuild.1"),
            _ => format!("{version}-eksbuild.1"),
        };
        self.versions.iter().rev().map(full).collect()
    }

    fn default_version(&self, kubernetes: &str) -> String {
        self.versions(kubernetes).swap_remove(0)
    }

    fn describe(&self, minors: &[String]) -> Value {
        let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for minor in minors {
            let default = self.default_version(minor);
            for version in self.versions(minor) {
                let fits = json!({
                    "clusterVersion": minor, "platformVersions": ["*"],
                    "defaultVersion": version == default,
                });
                all.entry(version).or_default().push(fits);
            }
        }
        let versions = all.into_iter().rev().map(|(version, compatibilities)| {
            json!({
                "addonVersion": version,
                "architecture": ["amd64", "arm64"],
                "computeTypes": ["ec2", "auto"],
                "compatibilities": compatibilities,
                "requiresConfiguration": false,
                "requiresIamPermissions": self.needs_role,
            })
        });
        json!({
            "addonName": self.name,
            "type": self.kind,
            "publisher": "eks",
            "owner": "aws",
            "defaultNamespace": self.namespace,
            "addonVersions": versions.collect::<Vec<_>>(),
        })
    }
}

/// Which versions of which add-ons there are.
pub(super) fn describe_versions(call: &Call<'_>) -> Result<Value, EksError> {
    let first = |name: &str| page::parameters(call.query, name).into_iter().next();
    let minors = match first("kubernetesVersion") {
        Some(version) => {
            check::version(&version)?;
            vec![version]
        }
        None => check::VERSIONS.map(|minor| format!("1.{minor}")).collect(),
    };
    let name = first("addonName");
    let types = page::parameters(call.query, "types");
    let owners = page::parameters(call.query, "owners");
    let publishers = page::parameters(call.query, "publishers");
    let among =
        |wanted: &[String], given: &str| wanted.is_empty() || wanted.iter().any(|w| w == given);
    let offers = OFFERS.iter().filter(|offer| {
        name.as_deref().is_none_or(|name| name == offer.name)
            && among(&types, offer.kind)
            && among(&owners, "aws")
            && among(&publishers, "eks")
    });
    let items: Vec<_> =
        offers.map(|offer| (offer.name.to_owned(), offer.describe(&minors))).collect();
    if let Some(name) = name.filter(|_| items.is_empty()) {
        return Err(EksError::not_found(format!("Addon {name} not found")));
    }
    page::page_of(&page::Asked::by(call.query), "addons", items)
}

impl Shared {
    pub(super) async fn create_addon(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut request: AddonRequest = check::body(call.body)?;
        let name = request.addon_name.clone();
        let mut cluster = self.existing(call).await?;
        if let Some(addon) = cluster.addons.get(&name) {
            let same = request.client_request_token.is_some()
                && request.client_request_token == addon.request.client_request_token;
            if same && !addon.phase.is_deleting() {
                return Ok(describe(&cluster, &name, addon));
            }
            return Err(EksError::in_use("Addon already exists."));
        }
        if cluster.phase != Phase::Active {
            let message = format!("Cluster '{}' is not in ACTIVE status", cluster.key.name);
            return Err(EksError::invalid_request(message));
        }
        let offer = OFFERS.iter().find(|offer| offer.name == name).ok_or_else(|| {
            EksError::invalid_parameter(format!("Addon {name} specified is not supported"))
        })?;
        let version = match request.addon_version.take() {
            Some(version) => check_version(offer, &cluster, version)?,
            None => offer.default_version(&cluster.version),
        };
        request.check()?;
        let now = self.clock.now();
        let addon = Addon {
            uid: self.ids.uid(),
            version,
            created_at: now,
            modified_at: now,
            phase: Phase::Creating { due: self.due_in(self.settings.latencies.addon) },
            tags: request.tags.take().unwrap_or_default(),
            request,
        };
        let arn = addon.arn(&cluster.key);
        let identities = addon.request.pod_identity_associations.clone().unwrap_or_default();
        cluster.addons.insert(name.clone(), addon);
        self.own_identities(&mut cluster, &arn, offer, identities)?;
        self.store(&cluster).await?;
        cluster.addons.get(&name).map_or_else(
            || Err(missing(&cluster.key.name, &name)),
            |addon| Ok(describe(&cluster, &name, addon)),
        )
    }

    /// Lets the associations of an add-on be these.
    fn own_identities(
        &self,
        cluster: &mut Cluster,
        arn: &str,
        offer: &Offer,
        wanted: Vec<AddonIdentity>,
    ) -> Result<(), EksError> {
        cluster.identities.retain(|_, one| one.owner_arn.as_deref() != Some(arn));
        for AddonIdentity { service_account, role_arn } in wanted {
            let request = PodIdentityRequest {
                namespace: offer.namespace.to_owned(),
                service_account,
                role_arn,
                client_request_token: None,
                tags: None,
                disable_session_tags: None,
                target_role_arn: None,
                policy: None,
            };
            let identity = self.new_identity(cluster, request, Some(arn.to_owned()))?;
            cluster.identities.insert(identity.id.clone(), identity);
        }
        Ok(())
    }

    pub(super) async fn describe_addon(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let name = call.name(1);
        let addon = cluster.addons.get(name).ok_or_else(|| missing(&cluster.key.name, name))?;
        Ok(describe(&cluster, name, addon))
    }

    pub(super) async fn list_addons(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        page::page(call.query, "addons", cluster.addons.into_keys().collect())
    }

    pub(super) async fn update_addon(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let update: AddonUpdate = check::body(call.body)?;
        let mut cluster = self.existing(call).await?;
        let name = call.name(1).to_owned();
        let addon = cluster.addons.get(&name).ok_or_else(|| missing(&cluster.key.name, &name))?;
        let target = Target::Addon(name.clone());
        let token = update.client_request_token.clone();
        if let Some(known) = cluster.repeated(&target, token.as_deref()) {
            return Ok(known.describe());
        }
        let offer = OFFERS.iter().find(|offer| offer.name == name);
        let offer = offer.ok_or_else(|| missing(&cluster.key.name, &name))?;
        let mut params = Vec::new();
        let mut values = Vec::new();
        let version = match update.addon_version {
            Some(version) => {
                params.push(("AddonVersion", version.clone()));
                Some(check_version(offer, &cluster, version)?)
            }
            None => None,
        };
        let fields = [
            ("ServiceAccountRoleArn", "serviceAccountRoleArn", update.service_account_role_arn),
            ("ConfigurationValues", "configurationValues", update.configuration_values),
        ];
        for (param, field, value) in fields {
            if let Some(value) = value {
                params.push((param, value.clone()));
                // An empty value takes the old one away.
                let value = if value.is_empty() { Value::Null } else { json!(value) };
                values.push((field.to_owned(), value));
            }
        }
        if let Some(conflicts) = update.resolve_conflicts {
            let word = wire(&conflicts);
            params.push(("ResolveConflicts", word.as_str().unwrap_or_default().to_owned()));
            values.push(("resolveConflicts".to_owned(), word));
        }
        if let Some(identities) = &update.pod_identity_associations {
            params.push(("PodIdentityAssociations", wire(identities).to_string()));
            values.push(("podIdentityAssociations".to_owned(), wire(identities)));
        }
        let changed = with_values(&addon.request, &values).map_err(EksError::invalid_parameter)?;
        changed.check()?;
        let arn = addon.arn(&cluster.key);
        if cluster.addon_status(&name) == "ACTIVE"
            && let Some(identities) = update.pod_identity_associations
        {
            self.own_identities(&mut cluster, &arn, offer, identities)?;
        }
        let wanted = Wanted {
            kind: "AddonUpdate",
            target,
            params,
            change: Change { values, version, release: None },
            latency: self.settings.latencies.addon,
            token,
        };
        self.begin_update(call, cluster, wanted).await
    }

    pub(super) async fn delete_addon(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut cluster = self.existing(call).await?;
        let name = call.name(1).to_owned();
        let due = self.due_in(self.settings.latencies.addon);
        let now = self.clock.now();
        let status = cluster.addon_status(&name);
        let addon = cluster.addons.get_mut(&name);
        let addon = addon.ok_or_else(|| missing(call.name(0), &name))?;
        if addon.phase.is_moving() || status == "UPDATING" {
            let message = format!("Addon {name} cannot be deleted while it is {status}.");
            return Err(EksError::in_use(message));
        }
        // What it brought into the cluster is not simulated, so `preserve` makes no difference.
        addon.phase = Phase::Deleting { due };
        addon.modified_at = now;
        self.store(&cluster).await?;
        let addon = cluster.addons.get(&name).ok_or_else(|| missing(call.name(0), &name))?;
        Ok(describe(&cluster, &name, addon))
    }
}

impl AddonRequest {
    fn check(&self) -> Result<(), EksError> {
        if let Some(role) = &self.service_account_role_arn {
            check::role(role)?;
        }
        for identity in self.pod_identity_associations.iter().flatten() {
            check::role(&identity.role_arn)?;
        }
        let values = self.configuration_values.as_deref().unwrap_or_default().trim_start();
        if values.starts_with('{')
            && let Err(error) = serde_json::from_str::<Value>(values)
        {
            return Err(EksError::invalid_parameter(format!(
                "ConfigurationValue is not in valid JSON or YAML format: {error}"
            )));
        }
        let nothing = BTreeMap::new();
        check::tags(self.tags.as_ref().unwrap_or(&nothing)).map_err(EksError::invalid_parameter)
    }
}

fn check_version(offer: &Offer, cluster: &Cluster, version: String) -> Result<String, EksError> {
    // Built for the minor version before, it runs on for a while.
    let minor = check::version(&cluster.version)?;
    let fits = [minor, minor.saturating_sub(1), minor.saturating_sub(2)]
        .iter()
        .any(|minor| offer.versions(&format!("1.{minor}")).contains(&version));
    if fits {
        Ok(version)
    } else {
        Err(EksError::invalid_parameter("Addon version specified is not supported"))
    }
}

pub(super) fn missing(cluster: &str, addon: &str) -> EksError {
    EksError::not_found(format!("No addon: {addon} found in cluster: {cluster}"))
}

/// An add-on as `DescribeAddon` gives it.
fn describe(cluster: &Cluster, name: &str, addon: &Addon) -> Value {
    let Addon { uid: _, request, version, created_at, modified_at, phase: _, tags } = addon;
    let arn = addon.arn(&cluster.key);
    let own = cluster.identities.values().filter(|one| one.owner_arn.as_ref() == Some(&arn));
    let mut described = json!({
        "addonName": name,
        "clusterName": cluster.key.name,
        "status": cluster.addon_status(name),
        "addonVersion": version,
        "health": { "issues": [] },
        "addonArn": arn,
        "createdAt": seconds(*created_at),
        "modifiedAt": seconds(*modified_at),
        "tags": tags,
        "publisher": "eks",
        "owner": "aws",
        "podIdentityAssociations": own.map(|one| one.arn(&cluster.key)).collect::<Vec<_>>(),
    });
    let said = wire(request);
    for field in ["serviceAccountRoleArn", "configurationValues", "namespaceConfig"] {
        if let Some(value) = said.get(field) {
            described[field] = value.clone();
        }
    }
    json!({ "addon": described })
}
