//! From a declaration to the cloud's requests. Pure; reports all problems at once, each at its field.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::{EksSpec, ManagedCluster, NodePool};
use fleetwright_names::{EksClusterName, ObjectKey, PoolName, eks_cluster_name};
use fleetwright_plan::{Address, DesiredCluster, DesiredPool, KubernetesVersion, Problem};
use fleetwright_provider::Asked;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The key of this provider, and the name of its block in `ManagedCluster.spec`.
pub const KEY: &str = "eks";

const RESERVED_PREFIX: &str = "fleetwright.dev/";
/// AWS General Reference, "Tag naming limits and requirements".
const TAG_KEY_LIMIT: usize = 128;
const TAG_VALUE_LIMIT: usize = 256;
const TAGS_LIMIT: usize = 50;

/// `CreateCluster`, as far as we use it; also what is read back from `DescribeCluster`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClusterBody {
    pub(crate) name: String,
    /// `MAJOR.MINOR`.
    pub(crate) version: String,
    pub(crate) role_arn: String,
    /// A set: their order means nothing to EKS.
    pub(crate) subnet_ids: BTreeSet<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// `CreateNodegroup`, as far as we use it; also what is read back from `DescribeNodegroup`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PoolBody {
    pub(crate) name: String,
    pub(crate) min: i32,
    pub(crate) max: i32,
    /// Nodes at birth; never compared, since an autoscaler owns it afterwards.
    pub(crate) desired: i32,
    pub(crate) subnet_ids: BTreeSet<String>,
    pub(crate) subnets_from: SubnetsFrom,
    /// Best first.
    pub(crate) instance_types: Vec<String>,
    pub(crate) ami_type: Option<String>,
    pub(crate) role_arn: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Who chose a pool's subnets: only those that the pool declares are compared later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SubnetsFrom {
    Pool,
    Cluster,
}

/// Where the cluster is: what was observed wins over what is declared.
pub(crate) fn address(cluster: &ManagedCluster) -> Option<Address> {
    let status = cluster.status.as_ref();
    let observed = status
        .filter(|status| status.provider.as_deref().is_none_or(|provider| provider == KEY))
        .and_then(|status| status.observed.as_ref());
    let eks = cluster.spec.eks.as_ref();
    let region = observed
        .and_then(|seen| seen.region.clone())
        .or_else(|| Some(eks?.region.clone()))
        .filter(|region| is_region(region))?;
    let external_name = match observed.and_then(|seen| seen.external_name.clone()) {
        Some(name) => EksClusterName::new(name).ok()?,
        None => declared_name(cluster, eks?).ok()?,
    };
    Some(Address {
        provider: KEY,
        provider_config: observed
            .and_then(|seen| seen.provider_config.clone())
            .unwrap_or_else(|| cluster.spec.provider_config_ref.name.clone()),
        region,
        external_name: external_name.as_str().to_owned(),
    })
}

fn declared_name(cluster: &ManagedCluster, eks: &EksSpec) -> Result<EksClusterName, Problem> {
    let (field, name) = match &eks.external_name {
        Some(name) => ("spec.eks.externalName", EksClusterName::new(name)),
        None => {
            let namespace = cluster.metadata.namespace.clone().unwrap_or_default();
            let name = cluster.metadata.name.clone().unwrap_or_default();
            ("metadata.name", eks_cluster_name(&ObjectKey::namespaced(namespace, name)))
        }
    };
    name.map_err(|error| Problem::new(field, error.to_string()))
}

/// Parses the whole declaration.
pub(crate) fn desire(asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
    let mut check = Check(Vec::new());
    let spec = &asked.cluster.spec;
    let Some(eks) = &spec.eks else {
        return Err(vec![Problem::new("spec.eks", "is missing; this cluster's provider needs it")]);
    };
    check.account(&asked);
    let version = check.version(&spec.version);
    let name = check.keep(declared_name(asked.cluster, eks));
    check.that(is_region(&eks.region), "spec.eks.region", || {
        format!("{:?} is not an AWS region; write it like eu-west-1", eks.region)
    });
    check.role("spec.eks.roleArn", &eks.role_arn);
    let subnet_ids: BTreeSet<String> = eks.network.subnet_ids.iter().cloned().collect();
    check.that(subnet_ids.len() >= 2, "spec.eks.network.subnetIds", || {
        format!("holds {} different subnets; EKS needs two in different zones", subnet_ids.len())
    });
    check.that(!subnet_ids.contains(""), "spec.eks.network.subnetIds", || {
        "holds an empty id".into()
    });
    let tags = check.tags(&asked);
    let pools = check.pools(&spec.node_pools, &subnet_ids, &tags);
    let (Some(version), Some(name), true) = (version, name, check.0.is_empty()) else {
        return Err(check.0);
    };
    let address = Address {
        provider: KEY,
        provider_config: spec.provider_config_ref.name.clone(),
        region: eks.region.clone(),
        external_name: name.as_str().to_owned(),
    };
    let body = ClusterBody {
        name: address.external_name.clone(),
        version: version.to_string(),
        role_arn: eks.role_arn.clone(),
        subnet_ids,
        tags,
    };
    Ok(DesiredCluster {
        owner: asked.owner.clone(),
        generation: asked.cluster.metadata.generation.unwrap_or_default(),
        address,
        version,
        body: json(&body),
        pools,
    })
}

/// Bodies hold strings, numbers and maps with string keys, so they always have a JSON form.
pub(crate) fn json<T: Serialize>(body: &T) -> Value {
    serde_json::to_value(body).unwrap_or(Value::Null)
}

/// Also keeps the region fit for a host name: it becomes part of EKS's and STS's.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let [area, middle @ .., number] = parts.as_slice() else {
        return false;
    };
    text.len() <= 32
        && area.len() == 2
        && letters(area)
        && !middle.is_empty()
        && middle.iter().all(letters)
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
}

fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts.as_slice() else {
        return false;
    };
    *arn == "arn"
        && (*partition == "aws" || partition.starts_with("aws-"))
        && *service == "iam"
        && region.is_empty()
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

/// Collects problems while values are parsed.
struct Check(Vec<Problem>);

impl Check {
    fn that(&mut self, holds: bool, field: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Problem::new(field, message()));
        }
    }

    fn keep<T>(&mut self, parsed: Result<T, Problem>) -> Option<T> {
        parsed.map_err(|problem| self.0.push(problem)).ok()
    }

    fn role(&mut self, field: &str, arn: &str) {
        self.that(is_role(arn), field, || {
            format!("{arn:?} is not a role; write it like arn:aws:iam::111122223333:role/name")
        });
    }

    fn account(&mut self, asked: &Asked<'_>) {
        let name = &asked.cluster.spec.provider_config_ref.name;
        self.that(asked.account.spec.aws.is_some(), "spec.providerConfigRef", || {
            format!("ProviderConfig {name} has no aws block, which an EKS cluster needs")
        });
    }

    fn version(&mut self, text: &str) -> Option<KubernetesVersion> {
        let field = "spec.version";
        let version = self.keep(KubernetesVersion::parse(field, text))?;
        // EKS takes a minor and chooses the patch itself.
        self.that(version.major == 1 && version.to_string() == text, field, || {
            format!("{text:?} is not MAJOR.MINOR; write it like 1.34, EKS chooses the patch")
        });
        Some(version)
    }

    /// All tags together; a cluster's own win over its account's, and ownership over both.
    fn tags(&mut self, asked: &Asked<'_>) -> BTreeMap<String, String> {
        let account = &asked.cluster.spec.provider_config_ref.name;
        for (key, value) in &asked.account.spec.default_tags {
            let what = format!("ProviderConfig {account}, defaultTags[{key}]: ");
            self.tag("spec.providerConfigRef", &what, key, value);
        }
        for (key, value) in &asked.cluster.spec.tags {
            self.tag(&format!("spec.tags[{key}]"), "", key, value);
        }
        let mut tags = asked.account.spec.default_tags.clone();
        tags.extend(asked.cluster.spec.tags.clone());
        tags.extend(asked.owner.tags());
        self.that(tags.len() <= TAGS_LIMIT, "spec.tags", || {
            format!(
                "{} tags with those of the account and ours; AWS allows {TAGS_LIMIT}",
                tags.len()
            )
        });
        let object = asked.owner.object.to_string();
        self.that(object.chars().count() <= TAG_VALUE_LIMIT, "metadata.name", || {
            format!("namespace/name is longer than {TAG_VALUE_LIMIT} characters, too long for an AWS tag")
        });
        tags
    }

    fn tag(&mut self, field: &str, what: &str, key: &str, value: &str) {
        for prefix in [RESERVED_PREFIX, "aws:"] {
            self.that(!key.starts_with(prefix), field, || {
                format!("{what}keys under {prefix} are reserved")
            });
        }
        self.that((1..=TAG_KEY_LIMIT).contains(&key.chars().count()), field, || {
            format!("{what}a tag's key has 1 to {TAG_KEY_LIMIT} characters")
        });
        self.that(value.chars().count() <= TAG_VALUE_LIMIT, field, || {
            format!("{what}a tag's value has at most {TAG_VALUE_LIMIT} characters")
        });
    }

    fn pools(
        &mut self,
        declared: &[NodePool],
        subnets: &BTreeSet<String>,
        tags: &BTreeMap<String, String>,
    ) -> Vec<DesiredPool> {
        let mut pools = BTreeMap::new();
        for pool in declared {
            let field = format!("spec.nodePools[{}]", pool.name);
            let name = PoolName::new(&pool.name)
                .map_err(|error| Problem::new(format!("{field}.name"), error.to_string()));
            let name = self.keep(name);
            let body = self.pool(&field, pool, (subnets, tags));
            let (Some(name), Some(body)) = (name, body) else {
                continue;
            };
            let taken =
                pools.insert(name.clone(), DesiredPool { name, body: json(&body) }).is_some();
            self.that(!taken, &field, || "another pool has the same name".into());
        }
        pools.into_values().collect()
    }

    fn pool(
        &mut self,
        field: &str,
        pool: &NodePool,
        (subnets, tags): (&BTreeSet<String>, &BTreeMap<String, String>),
    ) -> Option<PoolBody> {
        let (min, max) = (pool.size.min, pool.size.max);
        let size = format!("{field}.size");
        self.that(min >= 0 && max >= 1, &size, || {
            format!("min {min} and max {max}: min is 0 or more, max 1 or more")
        });
        self.that(min <= max, &size, || format!("min {min} is above max {max}"));
        if let Some(initial) = pool.size.initial.filter(|_| min <= max) {
            self.that((min..=max).contains(&initial), &format!("{size}.initial"), || {
                format!("{initial} does not lie between min {min} and max {max}")
            });
        }
        let Some(eks) = &pool.eks else {
            self.0.push(Problem::new(
                format!("{field}.eks"),
                "is missing; a pool of an EKS cluster needs it",
            ));
            return None;
        };
        self.role(&format!("{field}.eks.roleArn"), &eks.role_arn);
        let own: BTreeSet<String> = eks.subnet_ids.iter().cloned().collect();
        let (subnet_ids, subnets_from) = if own.is_empty() {
            (subnets.clone(), SubnetsFrom::Cluster)
        } else {
            (own, SubnetsFrom::Pool)
        };
        Some(PoolBody {
            name: pool.name.clone(),
            min,
            max,
            desired: pool.size.initial.unwrap_or(min),
            subnet_ids,
            subnets_from,
            instance_types: eks.instance_types.clone(),
            ami_type: eks.ami_type.clone(),
            role_arn: eks.role_arn.clone(),
            labels: pool.labels.clone(),
            tags: tags.clone(),
        })
    }
}
