//! The way of a request: signature, service, faults, one operation, answer.

mod access;
mod addon;
mod answer;
mod check;
mod cluster;
mod cluster_update;
mod fargate;
mod identity;
mod insights;
mod machines;
mod nodegroup;
mod nodegroup_update;
mod page;
mod releases;
mod route;
mod shapes;
mod tags;
mod updates;
mod versions;

use bytes::Bytes;
use fleetwright_apiserver::MountedAt;
use fleetwright_names::TAG_POOL;
use http::{Request, Response};
use serde_json::Value;

pub(crate) use self::answer::{Dialect, EksError, escaped, seconds};
pub(crate) use self::machines::NODEGROUP_LABEL;
pub(crate) use self::releases::parameter as release_parameter;
pub(crate) use self::shapes::{
    AccessScope, AddonRequest, ClusterRequest, FargateRequest, NodegroupRequest, PodIdentityRequest,
};

use self::route::{Op, Route};
use crate::faults::{Nature, Subject, Verdict};
use crate::principal::Principal;
use crate::sigv4::{Refusal, Sent, verify_request};
use crate::state::{Cluster, ClusterKey};
use crate::{MOUNT_PATH, Shared, control};

/// What an operation is called with.
struct Call<'a> {
    /// Of the signature: the endpoint of a region is chosen by name, and all our names lead here.
    region: String,
    principal: Principal,
    route: Route,
    query: &'a str,
    body: &'a [u8],
    /// The update that this begins will fail.
    doomed: bool,
}

impl Call<'_> {
    fn key(&self, name: &str) -> ClusterKey {
        ClusterKey { region: self.region.clone(), name: name.to_owned() }
    }

    /// A name that the path says, by its place.
    fn name(&self, place: usize) -> &str {
        self.route.names.get(place).map_or("", String::as_str)
    }
}

impl Shared {
    /// Answers any request; what goes wrong is an answer, too.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let own = path.strip_prefix(MOUNT_PATH).unwrap_or(path);
        if let Some(rest) = own.strip_prefix(control::PREFIX) {
            return self.control(rest, &request).await;
        }
        let request_id = self.ids.uid();
        let dialect = dialect(&request);
        let result = self.perform(&request, dialect).await;
        if let Err(error) = &result
            && error.code == "ServerException"
        {
            tracing::warn!(
                request_id,
                code = error.code,
                message = error.message,
                "the simulated cloud failed"
            );
        }
        answer::render(result, dialect, &request_id)
    }

    async fn perform(&self, request: &Request<Bytes>, dialect: Dialect) -> Result<Value, EksError> {
        let path = request.uri().path();
        let (signed_path, path) = match request.extensions().get::<MountedAt>() {
            Some(MountedAt(prefix)) => (format!("{prefix}{path}"), path),
            None => (path.to_owned(), path.strip_prefix(MOUNT_PATH).unwrap_or(path)),
        };
        if dialect == Dialect::Query && crate::sts::is_unsigned(request.body()) {
            return self.sts(request.body(), None).await;
        }
        let sent = Sent {
            method: request.method().as_str(),
            path: &signed_path,
            query: request.uri().query().unwrap_or_default(),
            headers: request.headers(),
            uri: request.uri(),
            body: request.body(),
        };
        let now = self.clock.now();
        let verified = verify_request(&sent, now).or_else(|refusal| match refusal {
            // The root of a mount: whether a `/` stood after it is not to be seen any more.
            Refusal::Mismatch if path == "/" => {
                let path = signed_path.trim_end_matches('/');
                verify_request(&Sent { path, ..sent }, now)
            }
            refusal => Err(refusal),
        });
        let verified = verified.map_err(EksError::refused)?;
        check::scope(&verified.scope, dialect.service())?;
        match dialect {
            Dialect::Query => return self.sts(request.body(), Some(&verified.principal)).await,
            Dialect::Json => {
                return self.ssm(request, &verified.scope.region, &verified.principal).await;
            }
            Dialect::RestJson => {}
        }
        let route = route::route(sent.method, path)?;
        let mut call = Call {
            region: verified.scope.region,
            principal: verified.principal,
            route,
            query: sent.query,
            body: sent.body,
            doomed: false,
        };
        let fields: Value = serde_json::from_slice(call.body).unwrap_or_default();
        let text = |field: &str| fields[field].as_str().map(str::to_owned);
        let cluster = call.route.cluster().map(str::to_owned).or_else(|| match call.route.op {
            Op::CreateCluster => text("name"),
            _ => None,
        });
        let pool = call.route.inner("node-groups").map(str::to_owned);
        let pool = pool.or_else(|| text("nodegroupName"));
        let key = cluster.as_deref().map(|name| call.key(name));
        let declared = self.declared_pool(key, pool.as_deref(), &fields).await?;
        let subject = Subject {
            cluster: cluster.as_deref(),
            pool: pool.as_deref(),
            declared_pool: declared.as_deref(),
            ..Subject::eks(call.route.op.name())
        };
        let result = self.under_faults(&subject, &mut call).await;
        result.map_err(|error| {
            let error = error.about("clusterName", subject.cluster);
            let error = error.about("nodegroupName", subject.pool);
            error.about("addonName", call.route.inner("addons"))
        })
    }

    async fn under_faults(
        &self,
        subject: &Subject<'_>,
        call: &mut Call<'_>,
    ) -> Result<Value, EksError> {
        let verdict = self.meet(subject, &call.principal).await?;
        call.doomed = verdict.doomed;
        let _turn = self.turn.lock().await;
        let before = match subject.cluster {
            Some(name) if verdict.stale_seconds > 0 => {
                let key = call.key(name);
                let cluster = self.current(&key).await.map_err(EksError::server)?;
                Some((key, cluster))
            }
            _ => None,
        };
        let answer = self.run(call).await?;
        if let Some((key, before)) = before {
            let cast = self.cast_shadow(key, before, verdict.stale_seconds).await;
            cast.map_err(EksError::server)?;
        }
        if verdict.lost { Err(EksError::lost()) } else { Ok(answer) }
    }

    /// Counts a call and lets it meet the faults that wait for it.
    pub(crate) async fn meet(
        &self,
        subject: &Subject<'_>,
        principal: &Principal,
    ) -> Result<Verdict, EksError> {
        let verdict = self.judged(subject).await.map_err(EksError::server)?;
        match verdict.refused {
            Some(kind) => Err(EksError::faulty(kind, subject.operation, &principal.session_arn())),
            None => Ok(verdict),
        }
    }

    async fn run(&self, call: &Call<'_>) -> Result<Value, EksError> {
        match call.route.op {
            Op::CreateCluster => self.create_cluster(call).await,
            Op::DescribeCluster => self.describe_cluster(call).await,
            Op::ListClusters => self.list_clusters(call).await,
            Op::DeleteCluster => self.delete_cluster(call).await,
            Op::UpdateClusterConfig => self.update_cluster_config(call).await,
            Op::UpdateClusterVersion => self.update_cluster_version(call).await,
            Op::AssociateEncryptionConfig => self.associate_encryption(call).await,
            Op::ListUpdates => self.list_updates(call).await,
            Op::DescribeUpdate => self.describe_update(call).await,
            Op::CancelUpdate => self.cancel_update(call).await,
            Op::CreateNodegroup => self.create_nodegroup(call).await,
            Op::DescribeNodegroup => self.describe_nodegroup(call).await,
            Op::ListNodegroups => self.list_nodegroups(call).await,
            Op::DeleteNodegroup => self.delete_nodegroup(call).await,
            Op::UpdateNodegroupConfig => self.update_nodegroup_config(call).await,
            Op::UpdateNodegroupVersion => self.update_nodegroup_version(call).await,
            Op::TagResource => self.tag_resource(call).await,
            Op::UntagResource => self.untag_resource(call).await,
            Op::ListTagsForResource => self.list_tags(call).await,
            Op::ListInsights => self.list_insights(call).await,
            Op::DescribeInsight => self.describe_insight(call).await,
            Op::DescribeClusterVersions => self.describe_cluster_versions(call),
            Op::DescribeAddonVersions => addon::describe_versions(call),
            Op::ListAccessPolicies => access::list_policies(call),
            _ => self.run_part(call).await,
        }
    }

    /// Operations of the parts of a cluster.
    async fn run_part(&self, call: &Call<'_>) -> Result<Value, EksError> {
        match call.route.op {
            Op::CreateAddon => self.create_addon(call).await,
            Op::DescribeAddon => self.describe_addon(call).await,
            Op::ListAddons => self.list_addons(call).await,
            Op::UpdateAddon => self.update_addon(call).await,
            Op::DeleteAddon => self.delete_addon(call).await,
            Op::CreateAccessEntry => self.create_entry(call).await,
            Op::DescribeAccessEntry => self.describe_entry(call).await,
            Op::ListAccessEntries => self.list_entries(call).await,
            Op::UpdateAccessEntry => self.update_entry(call).await,
            Op::DeleteAccessEntry => self.delete_entry(call).await,
            Op::AssociateAccessPolicy => self.associate_policy(call).await,
            Op::DisassociateAccessPolicy => self.disassociate_policy(call).await,
            Op::ListAssociatedAccessPolicies => self.list_associated(call).await,
            Op::CreatePodIdentityAssociation => self.create_identity(call).await,
            Op::DescribePodIdentityAssociation => self.describe_identity(call).await,
            Op::ListPodIdentityAssociations => self.list_identities(call).await,
            Op::UpdatePodIdentityAssociation => self.update_identity(call).await,
            Op::DeletePodIdentityAssociation => self.delete_identity(call).await,
            Op::CreateFargateProfile => self.create_profile(call).await,
            Op::DescribeFargateProfile => self.describe_profile(call).await,
            Op::ListFargateProfiles => self.list_profiles(call).await,
            Op::DeleteFargateProfile => self.delete_profile(call).await,
            op => Err(EksError::unsupported(op.name())),
        }
    }

    /// The cluster that the path names: as it is for operations that change something, as far as word has got around
    /// for those that look.
    async fn existing(&self, call: &Call<'_>) -> Result<Cluster, EksError> {
        let name = call.name(0);
        let key = call.key(name);
        let mut found = self.current(&key).await.map_err(EksError::server)?;
        if Nature::of_eks(call.route.op.name()) == Nature::Reads
            && let Some(shadow) = self.shadow_of(&key).await.map_err(EksError::server)?
        {
            found = shadow;
        }
        found.ok_or_else(|| EksError::no_cluster(name))
    }

    async fn store(&self, cluster: &Cluster) -> Result<(), EksError> {
        self.ledger.save(&cluster.key, cluster).await.map_err(EksError::server)
    }

    /// What the declaration calls the node group that a call is about.
    async fn declared_pool(
        &self,
        key: Option<ClusterKey>,
        pool: Option<&str>,
        fields: &Value,
    ) -> Result<Option<String>, EksError> {
        let (Some(key), Some(pool)) = (key, pool) else {
            return Ok(None);
        };
        if !self.faults_name_pools().await.map_err(EksError::server)? {
            return Ok(None);
        }
        if let Some(said) = fields["tags"][TAG_POOL].as_str() {
            return Ok(Some(said.to_owned()));
        }
        let cluster = self.ledger.one(&key).await.map_err(EksError::server)?;
        let group = cluster.and_then(|mut cluster| cluster.nodegroups.remove(pool));
        Ok(group.and_then(|mut group| group.tags.remove(TAG_POOL)))
    }
}

/// Which service is asked, by the form of the request; the signature must then be for it.
fn dialect(request: &Request<Bytes>) -> Dialect {
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    if !header("x-amz-target").is_empty() {
        Dialect::Json
    } else if header("content-type").starts_with("application/x-www-form-urlencoded") {
        Dialect::Query
    } else {
        Dialect::RestJson
    }
}
