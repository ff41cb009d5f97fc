//! The table of failures, through the real SDK.

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_plan::{CloudAction, CloudStep, Credentials, Resource, Seen};
use fleetwright_provider::{CloudError, HttpOutError, Provider as _};
use fleetwright_provider_eks::EksProvider;
use http::Response;
use serde_json::json;
use tower::util::BoxCloneSyncService;

use crate::support::{
    Answer, access, answering, described_cluster, desired, ok, owner, refusal, settings,
};

fn step(action: CloudAction) -> CloudStep {
    CloudStep::new(desired().address, Resource::Cluster, (owner(), 3), action, "")
}

fn create() -> CloudStep {
    step(CloudAction::Create { body: desired().body })
}

async fn create_answered(answer: Answer) -> CloudError {
    let (provider, _) = answering(move |_| answer_again(&answer));
    provider.act(&access(), &create()).await.expect_err("a failure")
}

fn answer_again(answer: &Answer) -> Answer {
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

#[tokio::test]
async fn every_refusal_of_eks_has_its_class_and_code() {
    let table = [
        (409, "ResourceInUseException", Class::Conflict, "AlreadyExists"),
        (404, "ResourceNotFoundException", Class::Conflict, "NotFound"),
        (400, "InvalidParameterException", Class::Invalid, "InvalidRequest"),
        (400, "ClientException", Class::Refused, "Rejected"),
        (400, "InvalidRequestException", Class::Refused, "InvalidState"),
        (400, "ResourceLimitExceededException", Class::Refused, "QuotaExceeded"),
        (403, "AccessDeniedException", Class::Refused, "Unauthorized"),
        (403, "UnrecognizedClientException", Class::Refused, "Unauthorized"),
        (403, "ExpiredTokenException", Class::Refused, "Expired"),
        (400, "ExpiredToken", Class::Refused, "Expired"),
        (400, "UnsupportedAvailabilityZoneException", Class::Refused, "CapacityUnavailable"),
        (428, "ResourcePropagationDelayException", Class::Transient, "NotYetKnown"),
        (403, "", Class::Refused, "Unauthorized"),
        (400, "ThrottlingException", Class::Transient, "Throttled"),
        (429, "", Class::Transient, "Throttled"),
        (500, "ServerException", Class::Transient, "ServerError"),
        (503, "ServiceUnavailableException", Class::Transient, "ServerError"),
    ];
    for (status, name, class, code) in table {
        let error = create_answered(refusal(status, name, "words")).await;
        assert_eq!((error.class, error.code), (class, code), "{status} {name} gave {error:?}");
    }
}

#[tokio::test]
async fn the_wait_that_aws_asks_for_is_told() {
    for (header, told) in [("7", Some(7)), ("86400", Some(900)), ("soon", None)] {
        let mut answer = refusal(429, "ThrottlingException", "Rate exceeded").expect("an answer");
        answer.headers_mut().insert("retry-after", header.parse().expect("a header"));
        let error = create_answered(Ok(answer)).await;
        assert_eq!(error.retry_after.map(|wait| wait.as_secs()), told, "{header}");
    }
    let error = create_answered(refusal(429, "ThrottlingException", "Rate exceeded")).await;
    assert_eq!(error.retry_after, None);
}

#[tokio::test]
async fn a_wait_that_aws_asks_for_holds_the_next_look_too() {
    let (provider, _) = answering(|line| {
        if line == "GET /clusters/payments-eu-01" {
            return ok(&described_cluster());
        }
        let mut answer = refusal(429, "ThrottlingException", "Rate exceeded")?;
        answer.headers_mut().insert("retry-after", "42".parse().expect("a header"));
        Ok(answer)
    });
    let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
    assert!(matches!(snapshot.cluster, Seen::Unknown { .. }), "{snapshot:?}");
    assert_eq!(snapshot.retry_after.map(|wait| wait.as_secs()), Some(42));
}

#[tokio::test]
async fn every_loss_on_the_way_has_its_class_and_code() {
    let table = [
        (raw(502, "<html>"), Class::Transient, "ServerError"),
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
    let answer =
        refusal(403, "AccessDeniedException", "not authorized to perform: eks:CreateCluster");
    let error = create_answered(answer).await;
    assert_eq!(
        error.to_string(),
        "eks:CreateCluster: cluster payments-eu-01 in eu-west-1: EKS answered 403 AccessDeniedException: not authorized to \
         perform: eks:CreateCluster; check the credentials, the clock and the IAM permissions of the account"
    );
    assert_eq!(error.request_id.as_deref(), Some("7f1c"));
}

#[tokio::test]
async fn a_delete_of_what_is_used_is_not_a_conflict_to_be_retried_at_once() {
    let (provider, _) = answering(|line| match line {
        "DELETE /clusters/payments-eu-01" => {
            refusal(409, "ResourceInUseException", "Cluster has nodegroups attached")
        }
        _ => ok(&described_cluster()),
    });
    let error = provider.act(&access(), &step(CloudAction::Delete)).await.expect_err("in use");
    assert_eq!((error.class, error.code), (Class::Transient, "InUse"));
}

/// STS knew us a moment ago, and that is kept for minutes; what EKS says now counts.
#[tokio::test]
async fn credentials_that_eks_calls_expired_are_told_at_once() {
    let (provider, _) = answering(|line| {
        if line.contains("sts.") {
            ok(&json!({}))
        } else {
            refusal(403, "ExpiredTokenException", "expired")
        }
    });
    let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
    let Credentials::Failed { code, why } = snapshot.credentials else {
        unreachable!("credentials that EKS refuses are not valid: {snapshot:?}")
    };
    assert_eq!(code, "Expired");
    assert!(why.contains("renew the credentials"), "{why}");
}

#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none in the chain")))
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent_and_the_user_is_told() {
    let http = BoxCloneSyncService::new(tower::service_fn(|_| async {
        Err(HttpOutError::Forbidden("nothing may be sent".into()))
    }));
    let provider = EksProvider::new(settings(http, SharedCredentialsProvider::new(NoCredentials)));
    let error = provider.act(&access(), &create()).await.expect_err("no credentials");
    assert_eq!((error.class, error.code), (Class::Refused, "CredentialsMissing"), "{error}");
    let error = provider.token(&access(), &desired().address).await.expect_err("no credentials");
    assert_eq!((error.class, error.code), (Class::Refused, "CredentialsMissing"), "{error}");
    let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
    let Seen::Unknown { why, .. } = snapshot.cluster else {
        unreachable!("a look without credentials sees nothing")
    };
    assert!(why.contains("none in the chain"), "{why}");
    let Credentials::Failed { code, .. } = snapshot.credentials else {
        unreachable!("no credentials")
    };
    assert_eq!(code, "CredentialsMissing");
}

#[tokio::test(start_paused = true)]
async fn an_eks_that_never_answers_is_given_up_after_20_seconds() {
    let http = BoxCloneSyncService::new(tower::service_fn(|_| std::future::pending()));
    let provider = EksProvider::new(settings(http, crate::support::credentials()));
    let before = tokio::time::Instant::now();
    let error = provider.act(&access(), &create()).await.expect_err("no answer");
    assert_eq!((error.class, error.code), (Class::Unknown, "Timeout"), "{error}");
    assert_eq!(before.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn half_a_look_is_no_look() {
    let (provider, _) = answering(|line| match line {
        "GET /clusters/payments-eu-01" => ok(&described_cluster()),
        _ => refusal(429, "ThrottlingException", "slow down"),
    });
    let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
    assert!(matches!(snapshot.cluster, Seen::Unknown { .. }), "{snapshot:?}");

    let (provider, _) = answering(|line| match line {
        "GET /clusters/payments-eu-01" => ok(&described_cluster()),
        "GET /clusters/payments-eu-01/node-groups" => ok(&json!({"nodegroups": ["general"]})),
        _ => refusal(500, "ServerException", "oops"),
    });
    let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
    let pools: Vec<_> = snapshot.pools.values().collect();
    assert!(matches!(pools[..], [Seen::Unknown { .. }]), "{snapshot:?}");
}

/// On the way out as well: a release must find every part that bears our tags.
#[tokio::test]
async fn a_part_is_seen_on_the_way_out_and_a_refused_list_is_not_an_empty_one() {
    for (mode, known) in [("CONFIG_MAP", true), ("API", false), ("API_AND_CONFIG_MAP", false)] {
        let (provider, _) = answering(move |line| match line {
            "GET /clusters/payments-eu-01" => {
                let mut cluster = described_cluster();
                cluster["cluster"]["accessConfig"]["authenticationMode"] = json!(mode);
                ok(&cluster)
            }
            "GET /clusters/payments-eu-01/addons" => ok(&json!({"addons": ["coredns"]})),
            "GET /clusters/payments-eu-01/addons/coredns" => {
                ok(&json!({"addon": {"addonName": "coredns", "status": "ACTIVE"}}))
            }
            "GET /clusters/payments-eu-01/access-entries" => {
                refusal(400, "InvalidRequestException", "the authentication mode")
            }
            _ => ok(&json!({})),
        });
        let snapshot = provider.observe(&access(), &desired().address, None).await;
        let unknown = |seen: &&Seen<_>| matches!(seen, Seen::Unknown { .. });
        let parts = (snapshot.parts.len(), snapshot.parts.values().filter(unknown).count());
        assert_eq!(parts, if known { (1, 0) } else { (2, 1) }, "mode {mode}: {snapshot:?}");
    }
}

#[tokio::test]
async fn a_status_word_that_we_do_not_know_is_not_guessed() {
    let (provider, _) = answering(|_| {
        let mut cluster = described_cluster();
        cluster["cluster"]["status"] = json!("HIBERNATING");
        ok(&cluster)
    });
    let Seen::Unknown { why, .. } =
        provider.observe(&access(), &desired().address, Some(&desired())).await.cluster
    else {
        unreachable!("an unknown status must be Unknown")
    };
    assert!(why.contains("HIBERNATING"), "{why}");
}
