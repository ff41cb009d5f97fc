//! The newest release of a node image, as AWS publishes it in public SSM parameters.
//!
//! SSM is asked for one parameter by one signed request of our own; an SDK of its own would be larger than all of EKS's.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_provider::CloudError;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::EksSettings;
use crate::config::suffix;
use crate::error::{answer_error, way_out_error};
use crate::session::{ATTEMPT_TIMEOUT, Session};

const OPERATION: &str = "ssm:GetParameter";
/// AWS releases images every week or two.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// The parameter with the newest release of an AMI type; `None` where AWS publishes none that node groups take.
///
/// Names: EKS user guide, "Retrieve recommended Amazon Linux AMI IDs"; Bottlerocket, "Finding AMIs".
pub(crate) fn parameter(ami_type: &str, version: &str) -> Option<String> {
    let linux = |path: &str| {
        Some(format!("/aws/service/eks/optimized-ami/{version}/{path}/recommended/release_version"))
    };
    let bottlerocket = |flavour: &str, arch: &str| {
        Some(format!(
            "/aws/service/bottlerocket/aws-k8s-{version}{flavour}/{arch}/latest/image_version"
        ))
    };
    match ami_type {
        "AL2023_x86_64_STANDARD" => linux("amazon-linux-2023/x86_64/standard"),
        "AL2023_ARM_64_STANDARD" => linux("amazon-linux-2023/arm64/standard"),
        "AL2023_x86_64_NVIDIA" => linux("amazon-linux-2023/x86_64/nvidia"),
        "AL2023_ARM_64_NVIDIA" => linux("amazon-linux-2023/arm64/nvidia"),
        "AL2023_x86_64_NEURON" => linux("amazon-linux-2023/x86_64/neuron"),
        "AL2_x86_64" => linux("amazon-linux-2"),
        "AL2_x86_64_GPU" => linux("amazon-linux-2-gpu"),
        "AL2_ARM_64" => linux("amazon-linux-2-arm64"),
        "BOTTLEROCKET_x86_64" => bottlerocket("", "x86_64"),
        "BOTTLEROCKET_ARM_64" => bottlerocket("", "arm64"),
        "BOTTLEROCKET_x86_64_NVIDIA" => bottlerocket("-nvidia", "x86_64"),
        "BOTTLEROCKET_ARM_64_NVIDIA" => bottlerocket("-nvidia", "arm64"),
        "BOTTLEROCKET_x86_64_FIPS" => bottlerocket("-fips", "x86_64"),
        "BOTTLEROCKET_ARM_64_FIPS" => bottlerocket("-fips", "arm64"),
        _ => None,
    }
}

/// What was found, by region and parameter.
#[derive(Debug, Default)]
pub(crate) struct Releases(Mutex<BTreeMap<(String, String), (Timestamp, String)>>);

impl Releases {
    /// The value of `parameter`, at most an hour old.
    ///
    /// # Errors
    /// When SSM does not give it.
    pub(crate) async fn latest(
        &self,
        session: &Session,
        settings: &EksSettings,
        parameter: &str,
    ) -> Result<String, CloudError> {
        let now = settings.clock.now();
        let key = (session.region.clone(), parameter.to_owned());
        {
            let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, release)) = found.get(&key)
                && now.duration_since(*at) < KEPT
            {
                return Ok(release.clone());
            }
        }
        let release = ask(session, settings, parameter).await?;
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is too old to be used is of versions that nobody runs any more.
        found.retain(|_, (at, _)| now.duration_since(*at) < KEPT);
        found.insert(key, (now, release.clone()));
        Ok(release)
    }
}

async fn ask(
    session: &Session,
    settings: &EksSettings,
    parameter: &str,
) -> Result<String, CloudError> {
    let region = &session.region;
    let url = match &settings.endpoint {
        Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
        None => format!("https://ssm.{region}.{}/", suffix(region)),
    };
    let body = Bytes::from(json!({"Name": parameter}).to_string());
    let credentials = session.credentials(OPERATION).await?;
    let request = signed(&credentials, (region, &url), settings.clock.now(), &body)?;
    let sent = tokio::time::timeout(ATTEMPT_TIMEOUT, settings.http.clone().oneshot(request)).await;
    let answer = match sent {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(way_out_error(OPERATION, &error)),
        Err(_elapsed) => return Err(answer_error(OPERATION, "", (503, "no answer in time"))),
    };
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
    if status != 200 {
        let name = body["__type"].as_str().unwrap_or_default();
        let name = name.rsplit('#').next().unwrap_or(name);
        let words = body["message"].as_str().or(body["Message"].as_str()).unwrap_or("no message");
        return Err(answer_error(OPERATION, name, (status, words)));
    }
    match body["Parameter"]["Value"].as_str() {
        Some(value) => Ok(value.to_owned()),
        None => Err(answer_error(OPERATION, "", (503, "no value in the answer"))),
    }
}

fn signed(
    credentials: &aws_credential_types::Credentials,
    (region, url): (&str, &str),
    now: Timestamp,
    body: &Bytes,
) -> Result<::http::Request<Bytes>, CloudError> {
    let unsigned = |source: &dyn std::error::Error| {
        let words = format!("the request could not be signed: {source}");
        CloudError::new(Class::Bug, "Unsigned", OPERATION, words)
    };
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("ssm")
        .time(SystemTime::from(now))
        .settings(SigningSettings::default())
        .build()
        .map_err(|source| unsigned(&source))?
        .into();
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "AmazonSSM.GetParameter"),
    ];
    let signable =
        SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body))
            .map_err(|source| unsigned(&source))?;
    let (instructions, _) =
        sign(signable, &params).map_err(|source| unsigned(&source))?.into_parts();
    let mut request = ::http::Request::post(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(body.clone()).map_err(|source| unsigned(&source))?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_named_by_type_and_version() {
        assert_eq!(
            parameter("AL2023_ARM_64_STANDARD", "1.34").as_deref(),
            Some(
                "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/arm64/standard/recommended/release_version"
            )
        );
        assert_eq!(
            parameter("BOTTLEROCKET_x86_64_NVIDIA", "1.33").as_deref(),
            Some("/aws/service/bottlerocket/aws-k8s-1.33-nvidia/x86_64/latest/image_version")
        );
        assert_eq!(parameter("CUSTOM", "1.34"), None);
    }
}
