//! Bearer tokens for an EKS cluster's own API: a presigned `GetCallerIdentity`, made without asking anybody.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetwright_errclass::Class;
use fleetwright_provider::{CloudError, MemberToken, Secret};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::suffix;

const OPERATION: &str = "sts:GetCallerIdentity";
const PREFIX: &str = "k8s-aws-v1.";
/// EKS honours a token for 15 minutes from its date; one minute is left for clocks that differ.
const USABLE: Duration = Duration::from_secs(14 * 60);
/// `X-Amz-Expires`, as aws-iam-authenticator's clients write it. EKS itself goes by the 15 minutes.
const EXPIRES: Duration = Duration::from_secs(60);

/// What SigV4 escapes in a query: all but the unreserved characters of RFC 3986.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A token for `cluster` in `region`, good for 14 minutes or until the credentials end, whichever is first.
///
/// The shape is that of `aws eks get-token`: `k8s-aws-v1.` and, in URL-safe base64 without padding, a presigned URL of the
/// region's STS whose signed headers are `host` and `x-k8s-aws-id`, the latter with the cluster's name.
///
/// # Errors
/// Class `Bug` when the parts cannot be signed.
pub fn eks_token(
    credentials: &Credentials,
    region: &str,
    cluster: &str,
    now: Timestamp,
) -> Result<MemberToken, CloudError> {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(SystemTime::from(now))
        .settings(settings)
        .build()
        .map_err(|source| unsigned(&source))?
        .into();
    let url = format!("https://{}/?Action=GetCallerIdentity&Version=2011-06-15", sts_host(region));
    let headers = [("x-k8s-aws-id", cluster)].into_iter();
    let request = SignableRequest::new("GET", &url, headers, SignableBody::Bytes(&[]))
        .map_err(|source| unsigned(&source))?;
    let (_, query) =
        sign(request, &params).map_err(|source| unsigned(&source))?.into_parts().0.into_parts();
    let signed = query.iter().fold(url.clone(), |url, (key, value)| {
        format!("{url}&{key}={}", utf8_percent_encode(value, &ESCAPED))
    });
    let expires_at = match credentials.expiry().and_then(|end| Timestamp::try_from(end).ok()) {
        Some(end) => end.min(now + USABLE),
        None => now + USABLE,
    };
    let token = Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(signed)));
    Ok(MemberToken { token, expires_at })
}

/// The region's own STS, in the domain of its partition (AWS General Reference, STS endpoints).
fn sts_host(region: &str) -> String {
    format!("sts.{region}.{}", suffix(region))
}

fn unsigned(source: &dyn std::error::Error) -> CloudError {
    let words = format!("the token's URL could not be signed: {source}");
    CloudError::new(Class::Bug, "Unsigned", OPERATION, words)
}
