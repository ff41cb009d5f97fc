//! A way out for reading only: what is no GET leaves if it is known to change nothing.

use bytes::Bytes;
use fleetwright_cloudsim::{AZURE_MOUNT_PATH, MOUNT_PATH};
use fleetwright_provider::{HttpOut, HttpOutError};
use http::{Method, Request};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

/// The same way out for reading only.
pub(crate) fn reading(http: HttpOut) -> HttpOut {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let http = http.clone();
        async move {
            if request.method() == Method::GET || only_asks(&request) {
                return http.oneshot(request).await;
            }
            Err(HttpOutError::Forbidden(format!(
                "{} {}: this command only reads",
                request.method(),
                request.uri()
            )))
        }
    }))
}

/// Whether a POST changes nothing: AWS asks who somebody is, what a parameter says and what stands in the way of an
/// upgrade by POST; Azure gives out tokens and the kubeconfigs of a cluster's users.
fn only_asks(request: &Request<Bytes>) -> bool {
    let header = |name: &str| request.headers().get(name).map(http::HeaderValue::as_bytes);
    let form = header("content-type")
        .is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"));
    let action =
        request.body().split(|byte| *byte == b'&').find_map(|pair| pair.strip_prefix(b"Action="));
    let identity: [&[u8]; 3] = [b"GetCallerIdentity", b"AssumeRole", b"AssumeRoleWithWebIdentity"];
    let who = form && action.is_some_and(|action| identity.contains(&action));
    let path = request.uri().path();
    request.method() == Method::POST
        && (who
            || header("x-amz-target") == Some(b"AmazonSSM.GetParameter")
            || lists_insights(path)
            || form && gives_a_token(path)
            || lists_user_credentials(path))
}

/// A name as clouds write it: nothing that is encoded could be read as another path.
fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.()".contains(&byte);
    !text.is_empty() && text != "." && text != ".." && text.bytes().all(known)
}

/// Whether this is the path of EKS `ListInsights`, to the letter; the simulated cloud has it below its mount.
fn lists_insights(path: &str) -> bool {
    let path = path.strip_prefix(MOUNT_PATH).unwrap_or(path);
    let segments: Vec<&str> = path.split('/').collect();
    matches!(segments.as_slice(), ["", "clusters", name, "insights"] if is_name(name))
}

/// Whether this is the path of Entra ID's token endpoint, to the letter.
fn gives_a_token(path: &str) -> bool {
    let segments: Vec<&str> = below_azures_mount(path).split('/').collect();
    matches!(segments.as_slice(), ["", tenant, "oauth2", "v2.0", "token"] if is_name(tenant))
}

/// Whether this is the path of `ManagedClusters_ListClusterUserCredentials`, to the letter but for case, which Azure does
/// not mind.
fn lists_user_credentials(path: &str) -> bool {
    let path = below_azures_mount(path).to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        [
            "",
            "subscriptions",
            subscription,
            "resourcegroups",
            group,
            "providers",
            "microsoft.containerservice",
            "managedclusters",
            name,
            "listclusterusercredential",
        ] => [subscription, group, name].into_iter().all(|one| is_name(one)),
        _ => false,
    }
}

fn below_azures_mount(path: &str) -> &str {
    path.strip_prefix(AZURE_MOUNT_PATH).unwrap_or(path)
}
