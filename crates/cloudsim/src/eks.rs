//! The way of a request to EKS: signature, route, one operation, answer.

mod answer;
mod check;
mod cluster;
mod nodegroup;
mod page;
mod route;
mod tags;

use std::sync::PoisonError;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;

pub(crate) use self::cluster::ClusterRequest;
pub(crate) use self::nodegroup::NodegroupRequest;

use self::answer::EksError;
use self::route::Operation;
use crate::sigv4::{Sent, verify_request};
use crate::state::{Cluster, ClusterKey};
use crate::{MOUNT_PATH, Shared};
use fleetwright_apiserver::MountedAt;

/// What an operation is called with, besides what its path says.
struct Call<'a> {
    /// Of the signature: the endpoint of a region is chosen by name, and all our names lead here.
    region: String,
    query: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    fn key(&self, name: &str) -> ClusterKey {
        ClusterKey { region: self.region.clone(), name: name.to_owned() }
    }
}

impl Shared {
    /// Answers any request; what goes wrong is an answer, too.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let request_id = self.ids.uid();
        let result = self.perform(&request).await;
        if let Err(error) = &result
            && error.status.is_server_error()
        {
            tracing::warn!(
                request_id,
                code = error.code,
                message = error.message,
                "the simulated cloud failed"
            );
        }
        answer::render(result, &request_id)
    }

    async fn perform(&self, request: &Request<Bytes>) -> Result<Value, EksError> {
        let path = request.uri().path();
        let (signed_path, path) = match request.extensions().get::<MountedAt>() {
            Some(MountedAt(prefix)) => (format!("{prefix}{path}"), path),
            None => (path.to_owned(), path.strip_prefix(MOUNT_PATH).unwrap_or(path)),
        };
        let sent = Sent {
            method: request.method().as_str(),
            path: &signed_path,
            query: request.uri().query().unwrap_or_default(),
            headers: request.headers(),
            uri: request.uri(),
            body: request.body(),
        };
        let scope = verify_request(&sent, self.clock.now()).map_err(EksError::refused)?;
        check::scope(&scope)?;
        let operation = route::route(sent.method, path)?;
        self.count(operation.name());
        let call = Call { region: scope.region, query: sent.query, body: sent.body };
        let _turn = self.turn.lock().await;
        self.run(operation, &call).await
    }

    fn count(&self, operation: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(operation.to_owned()).or_default() += 1;
    }

    async fn run(&self, operation: Operation, call: &Call<'_>) -> Result<Value, EksError> {
        match operation {
            Operation::CreateCluster => self.create_cluster(call).await,
            Operation::DescribeCluster { name } => self.describe_cluster(call, &name).await,
            Operation::ListClusters => self.list_clusters(call).await,
            Operation::DeleteCluster { name } => self.delete_cluster(call, &name).await,
            Operation::CreateNodegroup { cluster } => self.create_nodegroup(call, &cluster).await,
            Operation::DescribeNodegroup { cluster, name } => {
                self.describe_nodegroup(call, &cluster, &name).await
            }
            Operation::ListNodegroups { cluster } => self.list_nodegroups(call, &cluster).await,
            Operation::DeleteNodegroup { cluster, name } => {
                self.delete_nodegroup(call, &cluster, &name).await
            }
            Operation::TagResource { arn } => self.tag_resource(call, &arn).await,
            Operation::UntagResource { arn } => self.untag_resource(call, &arn).await,
            Operation::ListTagsForResource { arn } => self.list_tags(call, &arn).await,
            Operation::Unsupported { name } => Err(EksError::unsupported(name)),
        }
    }

    /// A cluster as it is now.
    async fn current(&self, key: &ClusterKey) -> Result<Option<Cluster>, EksError> {
        match self.ledger.one(key).await.map_err(EksError::server)? {
            Some(cluster) => self.settle_cluster(cluster).await.map_err(EksError::server),
            None => Ok(None),
        }
    }

    async fn existing(&self, key: &ClusterKey) -> Result<Cluster, EksError> {
        self.current(key).await?.ok_or_else(|| EksError::no_cluster(&key.name))
    }

    async fn store(&self, cluster: &Cluster) -> Result<(), EksError> {
        self.ledger.save(cluster).await.map_err(EksError::server)
    }
}
