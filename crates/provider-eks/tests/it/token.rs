//! Bearer tokens, against what botocore 1.43.11 (`SigV4QueryAuth`) makes of the same parts.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetwright_clock::Clock as _;
use fleetwright_provider_eks::eks_token;

use crate::support::Fixed;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn url(credentials: &Credentials, region: &str) -> String {
    let token = eks_token(credentials, region, "payments-eu-01", Fixed.now()).expect("a token");
    let encoded = token.token.expose().strip_prefix("k8s-aws-v1.").expect("the prefix").to_owned();
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).expect("base64")).expect("text")
}

/// The order of a query's parts means nothing to STS.
fn parts(url: &str) -> (&str, BTreeSet<&str>) {
    let (base, query) = url.split_once('?').expect("a query");
    (base, query.split('&').collect())
}

#[test]
fn a_token_is_the_url_that_botocore_signs() {
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test");
    assert_eq!(
        parts(&url(&credentials, "eu-west-1")),
        parts(
            "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15\
             &X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIDEXAMPLE%2F20261122%2Feu-west-1%2Fsts%2Faws4_request\
             &X-Amz-Date=20261122T180000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id\
             &X-Amz-Signature=573a58859563db367ca27b10aca6c40c7a0585ec26fb577c95d5cc6f1382d8a6"
        )
    );
}

#[test]
fn a_session_token_is_signed_and_china_has_its_own_host() {
    let session = Some("session/token+==".to_owned());
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, session, None, "test");
    assert_eq!(
        parts(&url(&credentials, "cn-north-1")),
        parts(
            "https://sts.cn-north-1.amazonaws.com.cn/?Action=GetCallerIdentity&Version=2011-06-15\
             &X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIDEXAMPLE%2F20261122%2Fcn-north-1%2Fsts%2Faws4_request\
             &X-Amz-Date=20261122T180000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id\
             &X-Amz-Security-Token=session%2Ftoken%2B%3D%3D\
             &X-Amz-Signature=e06516a7e8a906ab3b9a3831623a357b505e295d601bae10b99a74b21eb7d41b"
        )
    );
}

#[test]
fn a_token_ends_after_14_minutes_or_with_its_credentials() {
    let now = Fixed.now();
    let until = |minutes: u64| {
        let end = SystemTime::from(now) + Duration::from_secs(minutes * 60);
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET, None, Some(end), "test");
        let token = eks_token(&credentials, "eu-west-1", "x", now).expect("a token");
        token.expires_at.duration_since(now).as_secs()
    };
    assert_eq!(until(60), 14 * 60);
    assert_eq!(until(5), 5 * 60);
}
