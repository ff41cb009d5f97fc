//! SSM, as far as EKS needs it: the public parameters that name the latest node images.

use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::eks::{EksError, release_parameter, seconds};
use crate::faults::Subject;
use crate::principal::Principal;

/// The body of `GetParameter`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetParameter {
    name: String,
    // Nothing public is encrypted.
    #[serde(rename = "WithDecryption")]
    _with_decryption: Option<bool>,
}

impl Shared {
    pub(crate) async fn ssm(
        &self,
        request: &Request<Bytes>,
        region: &str,
        caller: &Principal,
    ) -> Result<Value, EksError> {
        let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
        let operation = target.and_then(|target| target.strip_prefix("AmazonSSM."));
        if operation != Some("GetParameter") {
            let message = format!("{} is not simulated", target.unwrap_or_default());
            return Err(EksError::new(
                "UnknownOperationException",
                StatusCode::BAD_REQUEST,
                message,
            ));
        }
        let subject = Subject::eks("GetParameter");
        let verdict = self.meet(&subject, caller).await?;
        let asked: GetParameter = serde_json::from_slice(request.body()).map_err(|error| {
            EksError::new("ValidationException", StatusCode::BAD_REQUEST, error.to_string())
        })?;
        let simulation = self.ledger.simulation().await.map_err(EksError::server)?;
        let value = release_parameter(&asked.name, simulation.releases);
        let value = value.ok_or_else(|| {
            EksError::new("ParameterNotFound", StatusCode::BAD_REQUEST, asked.name.clone())
        })?;
        if verdict.lost {
            return Err(EksError::lost());
        }
        Ok(json!({ "Parameter": {
            "Name": asked.name,
            "Type": "String",
            "Value": value,
            "Version": simulation.releases + 1,
            "LastModifiedDate": seconds(self.clock.now()),
            "ARN": format!("arn:aws:ssm:{region}::parameter{}", asked.name),
            "DataType": "text",
        } }))
    }
}
