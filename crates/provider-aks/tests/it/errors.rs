//! The table of failures, on the way and in Azure's words.

use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_names::PoolName;
use fleetwright_plan::{CloudAction, CloudStep, Credentials, Phase, Resource, Seen};
use fleetwright_provider::{CloudError, HttpOutError, Provider as _};
use http::Response;
use serde_json::{Value, json};

use crate::support::{
    Answer, access, address, answering, azure, desired, ok, owner, refusal, step, told_cluster,
    told_pool, with,
};

fn create() -> CloudStep {
    step(Resource::Cluster, CloudAction::Create { body: desired().body })
}

fn again(answer: &Answer) -> Answer {
    match answer {
        Ok(response) => {
            let mut copy = Response::new(response.body().clone());
            *copy.status_mut() = response.status();
            *copy.headers_mut() = response.headers().clone();
            Ok(copy)
        }
        Err(error) => Err(error.clone()),
    }
}

async fn create_answered(answer: Answer) -> CloudError {
    let (provider, _) = answering(move |_| again(&answer));
    provider.act(&access(), &create()).await.expect_err("a failure")
}

#[tokio::test]
async fn every_refusal_of_azure_has_its_class_and_code() {
    let table = [
        (412, "PreconditionFailed", "taken", Class::Conflict, "AlreadyExists"),
        (404, "ResourceGroupNotFound", "no rg", Class::Refused, "ResourceGroupNotFound"),
        (404, "SubscriptionNotFound", "no sub", Class::Refused, "SubscriptionNotFound"),
        (409, "MissingSubscriptionRegistration", "no", Class::Refused, "ProviderNotRegistered"),
        (404, "ResourceNotFound", "gone", Class::Conflict, "NotFound"),
        (401, "InvalidAuthenticationToken", "bad", Class::Refused, "Unauthorized"),
        (401, "InvalidAuthenticationToken", "has expired", Class::Refused, "Expired"),
        (401, "ExpiredAuthenticationToken", "old", Class::Refused, "Expired"),
        (403, "AuthorizationFailed", "no role", Class::Refused, "Unauthorized"),
        (403, "LinkedAuthorizationFailed", "no role", Class::Refused, "Unauthorized"),
        (403, "RequestDisallowedByPolicy", "policy", Class::Refused, "DisallowedByPolicy"),
        (409, "ScopeLocked", "a lock", Class::Refused, "ScopeLocked"),
        (400, "QuotaExceeded", "too many", Class::Refused, "QuotaExceeded"),
        (400, "ErrCode_InsufficientVCPUQuota", "cores", Class::Refused, "QuotaExceeded"),
        (409, "OperationNotAllowed", "exceeding Quota", Class::Refused, "QuotaExceeded"),
        (409, "OperationNotAllowed", "in progress", Class::Transient, "InUse"),
        (400, "OperationNotAllowed", "stopped", Class::Refused, "OperationNotAllowed"),
        (409, "Conflict", "another operation", Class::Transient, "InUse"),
        (409, "FromTomorrow", "no", Class::Transient, "InUse"),
        (409, "ReadOnlyDisabledSubscription", "no", Class::Refused, "SubscriptionDisabled"),
        (404, "InvalidResourceType", "no such type", Class::Refused, "ApiNotThere"),
        (404, "", "no route", Class::Refused, "ApiNotThere"),
        (400, "ResourceNotFound", "the subnet", Class::Invalid, "InvalidRequest"),
        (400, "InsufficientSubnetSize", "small", Class::Refused, "CapacityUnavailable"),
        (400, "LinkedInvalidPropertyId", "no id", Class::Invalid, "InvalidRequest"),
        (400, "SkuNotAvailable", "no VM", Class::Refused, "CapacityUnavailable"),
        (409, "AllocationFailed", "no VM", Class::Refused, "CapacityUnavailable"),
        (409, "ZonalAllocationFailed", "no VM", Class::Refused, "CapacityUnavailable"),
        (429, "TooManyRequests", "slow down", Class::Transient, "Throttled"),
        (429, "", "slow down", Class::Transient, "Throttled"),
        (400, "PropertyChangeNotAllowed", "immutable", Class::Invalid, "InvalidRequest"),
        (400, "BadRequest", "no", Class::Invalid, "InvalidRequest"),
        (500, "InternalServerError", "sorry", Class::Transient, "ServerError"),
        (503, "ServerTimeout", "sorry", Class::Transient, "ServerError"),
    ];
    for (status, name, words, class, code) in table {
        // Resource Manager wraps its errors, AKS does not.
        let bare = with(status, &[], &json!({"code": name, "message": words, "subcode": ""}));
        for answer in [refusal(status, name, words), bare] {
            let error = create_answered(answer).await;
            assert_eq!((error.class, error.code), (class, code), "{status} {name}: {error:?}");
        }
    }
}

#[tokio::test]
async fn every_loss_on_the_way_has_its_class_and_code() {
    let table = [
        (raw(502, "<html>"), Class::Transient, "ServerError"),
        (raw(404, "<html>"), Class::Refused, "ApiNotThere"),
        (raw(404, ""), Class::Refused, "ApiNotThere"),
        (raw(200, "<html>"), Class::Unknown, "Unreadable"),
        (Err(HttpOutError::Connect("refused".into())), Class::Transient, "Unreachable"),
        (Err(HttpOutError::Timeout("20 s".into())), Class::Unknown, "Timeout"),
        (Err(HttpOutError::TooLarge { limit_bytes: 9 }), Class::Unknown, "Unreadable"),
        (Err(HttpOutError::Forbidden("simulated".into())), Class::Refused, "Forbidden"),
    ];
    for (answer, class, code) in table {
        let told = format!("{answer:?}");
        let error = create_answered(answer).await;
        assert_eq!((error.class, error.code), (class, code), "{told} gave {error:?}");
    }
}

fn raw(status: u16, body: &'static str) -> Answer {
    Ok(Response::builder().status(status).body(Bytes::from(body)).expect("a response"))
}

#[tokio::test]
async fn a_message_says_what_on_what_and_what_next() {
    let words = "The client does not have authorization to perform action";
    let error = create_answered(refusal(403, "AuthorizationFailed", words)).await;
    assert_eq!(
        error.to_string(),
        "aks:ManagedClusters_CreateOrUpdate: cluster retail-we in resource group rg-retail, westeurope: Azure answered 403 \
         AuthorizationFailed: The client does not have authorization to perform action; check the identity of the \
         ProviderConfig and its role assignments on the resource group"
    );
    assert_eq!(error.request_id.as_deref(), Some("7f1c"));
    let error = create_answered(refusal(404, "ResourceGroupNotFound", "no such group.")).await;
    assert!(error.message.ends_with("it is never created by Fleetwright"), "{error}");
    let error = create_answered(refusal(409, "FromTomorrow", "not before the moon is full")).await;
    assert!(
        error.message.contains("not before the moon is full; see the words of Azure"),
        "{error}"
    );
    let words = "The subscription is disabled and therefore marked as read only.";
    let error = create_answered(refusal(409, "ReadOnlyDisabledSubscription", words)).await;
    assert!(
        error.message.contains("the subscription is disabled, and takes reads only"),
        "{error}"
    );
}

#[tokio::test]
async fn the_patience_that_azure_asks_for_is_handed_on() {
    let body = json!({"error": {"code": "TooManyRequests", "message": "slow down"}});
    let error = create_answered(with(429, &[("retry-after", "17")], &body)).await;
    assert_eq!(error.retry_after, Some(std::time::Duration::from_secs(17)));
    let (provider, _) = answering(move |_| with(429, &[("retry-after", "17")], &body));
    let snapshot = provider.observe(&access(), &address(), None).await;
    assert!(matches!(snapshot.cluster, Seen::Unknown { .. }));
    assert_eq!(snapshot.retry_after, Some(std::time::Duration::from_secs(17)));
    let (provider, _) = answering(|line| {
        if line.contains("listCluster") {
            let body = json!({"error": {"code": "TooManyRequests", "message": "slow down"}});
            return with(429, &[("retry-after", "9")], &body);
        }
        azure(line)
    });
    let snapshot = provider.observe(&access(), &address(), None).await;
    assert!(snapshot.cluster.present().is_some(), "seen all the same");
    assert_eq!(snapshot.retry_after, Some(std::time::Duration::from_secs(9)));
}

#[tokio::test]
async fn what_changed_since_it_was_read_is_looked_at_again() {
    for resource in [Resource::Cluster, Resource::Pool(PoolName::new("web").expect("a name"))] {
        let (provider, _) = answering(|line| {
            if line.starts_with("GET ") {
                return azure(line);
            }
            refusal(412, "PreconditionFailed", "the ETag does not match")
        });
        let error = provider.act(&access(), &step(resource, CloudAction::Delete)).await;
        let error = error.expect_err("changed");
        assert_eq!((error.class, error.code), (Class::Conflict, "Changed"));
    }
}

#[tokio::test]
async fn a_token_that_azure_calls_expired_is_told_at_once() {
    let (provider, _) =
        answering(|_| refusal(401, "ExpiredAuthenticationToken", "The access token has expired."));
    let snapshot = provider.observe(&access(), &address(), None).await;
    let Credentials::Failed { code, .. } = snapshot.credentials else {
        unreachable!("{:?}", snapshot.credentials)
    };
    assert_eq!(code, "Expired");
}

#[tokio::test]
async fn a_state_that_we_do_not_know_is_work_that_goes_on() {
    let at = |state: Value| {
        answering(move |line| {
            if line.contains("listCluster") {
                return azure(line);
            }
            let mut pool = told_pool("web", 4);
            pool["properties"]["provisioningState"] = state.clone();
            if line.contains("agentPools") {
                return ok(&json!({"value": [pool]}));
            }
            let mut cluster = told_cluster();
            cluster["properties"]["provisioningState"] = state.clone();
            ok(&cluster)
        })
        .0
    };
    for state in ["Dreamt", "UpgradingNodeImageVersion", "ReconcilingClusterETCDCertificates"] {
        let snapshot = at(json!(state)).observe(&access(), &address(), None).await;
        assert_eq!(snapshot.cluster.present().map(|it| it.phase), Some(Phase::Updating), "{state}");
        let pool = snapshot.pools[&PoolName::new("web").expect("a name")].present();
        assert_eq!(pool.map(|pool| pool.phase), Some(Phase::Updating), "{state}");
    }
    let snapshot = at(Value::Null).observe(&access(), &address(), None).await;
    let Seen::Unknown { why, .. } = snapshot.cluster else { unreachable!("nothing was said") };
    assert!(why.contains("a cluster without provisioningState"), "{why}");
}

#[tokio::test]
async fn what_failed_works_on_with_its_reason_or_never_came_to_be() {
    let error = json!({"code": "SubnetIsFull", "message": "no address is left"});
    let table = [
        ("Failed", Some("a.b"), "Active", "SubnetIsFull: no address is left"),
        ("Failed", None, "Failed", "SubnetIsFull: no address is left"),
        ("Canceled", Some("a.b"), "Active", "SubnetIsFull: no address is left"),
        ("Deleting", Some("a.b"), "Deleting", "SubnetIsFull: no address is left"),
        ("UpgradingNodeImageVersion", Some("a.b"), "Updating", ""),
        ("Creating", None, "Creating", ""),
    ];
    for (state, fqdn, phase, trouble) in table {
        let error = error.clone();
        let (provider, _) = answering(move |line| {
            if line.contains("agentPools") || line.contains("listCluster") {
                return azure(line);
            }
            let mut cluster = told_cluster();
            let properties = &mut cluster["properties"];
            properties["provisioningState"] = json!(state);
            properties["fqdn"] = json!(fqdn);
            properties["status"] = json!({"provisioningError": error.clone()});
            ok(&cluster)
        });
        let snapshot = provider.observe(&access(), &address(), None).await;
        let cluster = snapshot.cluster.present().expect("there");
        assert_eq!(
            (format!("{:?}", cluster.phase).as_str(), cluster.trouble.as_str()),
            (phase, trouble),
            "{state}"
        );
    }
}

#[tokio::test]
async fn a_stopped_cluster_says_so() {
    let (provider, _) = answering(|line| {
        if line.contains("agentPools") || line.contains("listCluster") {
            return azure(line);
        }
        let mut cluster = told_cluster();
        cluster["properties"]["powerState"] = json!({"code": "Stopped"});
        ok(&cluster)
    });
    let snapshot = provider.observe(&access(), &address(), None).await;
    let cluster = snapshot.cluster.present().expect("there");
    assert_eq!(cluster.trouble, "the cluster is stopped: az aks start");
}

#[tokio::test]
async fn what_a_stopped_cluster_refuses_says_how_to_start_it() {
    let words = "managed cluster is in Provisioning State(Succeeded) and Power State(Stopped)";
    let start = "it is stopped: start it (az aks start --resource-group rg-retail --name retail-we";
    let forget = "; or let the object go with `fleetwright forget`, and the cluster stays as it is";
    let web = Resource::Pool(PoolName::new("web").expect("a name"));
    let claim = CloudAction::Claim { tags: owner().tags(), from: None };
    let table = [
        (400, "OperationNotAllowed", Resource::Cluster, CloudAction::Release, ")", forget),
        (409, "Conflict", Resource::Cluster, CloudAction::Delete, ")", forget),
        (
            400,
            "OperationNotAllowed",
            web,
            CloudAction::Release,
            ", or az aks nodepool start for web alone)",
            forget,
        ),
        (409, "OperationNotAllowed", Resource::Cluster, claim, ")", ""),
    ];
    for (status, code, resource, action, of_pool, or) in table {
        let claimed = matches!(action, CloudAction::Claim { .. });
        let (provider, _) = answering(move |line| {
            if !line.starts_with("GET ") {
                return refusal(status, code, words);
            }
            if line.contains("agentPools") {
                return azure(line);
            }
            let mut cluster = told_cluster();
            cluster["properties"]["powerState"] = json!({"code": "Stopped"});
            if claimed {
                cluster["tags"] = json!({});
            }
            ok(&cluster)
        });
        let error = provider.act(&access(), &step(resource, action)).await.expect_err("refused");
        assert_eq!((error.class, error.code), (Class::Refused, "Stopped"), "{error}");
        assert!(error.message.ends_with(&format!("{start}{of_pool}{or}")), "{error}");
    }
}

#[tokio::test]
async fn other_refusals_say_nothing_of_starting() {
    let table = [
        ("Stopped", 409, "OperationNotAllowed", "Another operation is in progress", "InUse"),
        ("Stopped", 403, "AuthorizationFailed", "no role", "Unauthorized"),
        ("Running", 409, "Conflict", "no", "InUse"),
    ];
    for (power, status, name, words, code) in table {
        let (provider, _) = answering(move |line| {
            if !line.starts_with("GET ") {
                return refusal(status, name, words);
            }
            let mut cluster = told_cluster();
            cluster["properties"]["powerState"] = json!({"code": power});
            ok(&cluster)
        });
        let delete = step(Resource::Cluster, CloudAction::Delete);
        let error = provider.act(&access(), &delete).await.expect_err("refused");
        assert_eq!(error.code, code, "{error}");
        assert!(!error.message.contains("az aks start"), "{error}");
    }
}

#[tokio::test]
async fn a_cluster_whose_kubeconfig_is_denied_is_seen_all_the_same() {
    let (provider, _) = answering(|line| {
        if line.contains("listCluster") {
            return refusal(403, "AuthorizationFailed", "no role for listClusterUserCredential");
        }
        azure(line)
    });
    let snapshot = provider.observe(&access(), &address(), None).await;
    let cluster = snapshot.cluster.present().expect("there");
    assert_eq!(cluster.certificate_authority, None);
    assert!(cluster.trouble.contains("no role for listClusterUserCredential"), "{cluster:?}");
    assert_eq!(snapshot.pools.len(), 2);
}
