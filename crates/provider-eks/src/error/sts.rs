//! What STS answered: asked by ourselves, or by the SDK's own sources of credentials.

use std::error::Error;

use aws_sdk_eks::config::http::HttpResponse;
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::RequestId as _;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use fleetwright_errclass::Class;
use fleetwright_provider::CloudError;

use super::{CREDENTIALS, SERVER, Verdict, asked_wait, by_cause, by_code};

/// Turns a failure of STS into ours. An assumed role that is denied has a code of its own.
pub(crate) fn sts_error<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (Verdict(class, code, hint), words) = by_sts(operation, error);
    CloudError {
        request_id: error.request_id().map(str::to_owned),
        retry_after: error.raw_response().and_then(asked_wait),
        ..CloudError::new(class, code, operation, format!("{words}; {hint}"))
    }
}

fn by_sts<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> (Verdict, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let name = answer.err().code().unwrap_or_default();
            let words = answer.err().message().unwrap_or("no message");
            let verdict = match (name, operation) {
                (
                    "AccessDenied" | "AccessDeniedException",
                    "sts:AssumeRole" | "sts:AssumeRoleWithWebIdentity",
                )
                // The account does not know, or does not trust, who issued the token.
                | ("InvalidIdentityToken" | "IDPRejectedClaim", _) => Verdict(
                    Class::Refused,
                    "AssumeRoleDenied",
                    "let the role trust this identity, with the external id if one is used",
                ),
                ("IDPCommunicationError", _) => SERVER,
                _ => by_code(operation, name, (status, words)),
            };
            (verdict, format!("STS answered {status} {name}: {words}"))
        }
        SdkError::TimeoutError(_) => {
            (Verdict(Class::Transient, "Timeout", "we ask again later"), "no answer in time".into())
        }
        SdkError::ResponseError(answer) if answer.raw().status().as_u16() >= 500 => {
            let status = answer.raw().status().as_u16();
            (SERVER, format!("STS answered {status} with a body we cannot read"))
        }
        unsent => by_cause(unsent),
    }
}

/// The SDK's own sources of credentials hand on what STS answered as it is.
pub(super) fn by_assuming(error: &(dyn Error + 'static)) -> Option<(Verdict, String)> {
    let (verdict, words) = if let Some(told) =
        error.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>()
    {
        by_sts("sts:AssumeRoleWithWebIdentity", told)
    } else {
        let told = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>()?;
        by_sts("sts:AssumeRole", told)
    };
    // What STS cannot read there, or what cannot even be sent, comes from the environment: no edit of an object mends it.
    let verdict = match verdict.0 {
        Class::Invalid | Class::Bug => CREDENTIALS,
        _ => verdict,
    };
    Some((verdict, words))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError;
    use aws_sdk_eks::error::ErrorMetadata;
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::error::no_credentials;

    fn answer(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().expect("a status"), SdkBody::empty())
    }

    #[test]
    fn what_sts_answers_the_sdks_own_sources_is_not_called_missing_credentials() {
        let table = [
            (403, "AccessDenied", Class::Refused, "AssumeRoleDenied"),
            (400, "InvalidIdentityToken", Class::Refused, "AssumeRoleDenied"),
            (400, "ExpiredTokenException", Class::Refused, "Expired"),
            (400, "ValidationError", Class::Refused, "CredentialsMissing"),
            (400, "Throttling", Class::Transient, "Throttled"),
            (503, "ServiceUnavailable", Class::Transient, "ServerError"),
            (500, "", Class::Transient, "ServerError"),
        ];
        for (status, name, class, code) in table {
            let metadata = ErrorMetadata::builder().code(name).message("words").build();
            let web = AssumeRoleWithWebIdentityError::generic(metadata.clone());
            let web = SdkError::service_error(web, answer(status));
            let role = SdkError::service_error(AssumeRoleError::generic(metadata), answer(status));
            let sources =
                [CredentialsError::provider_error(web), CredentialsError::provider_error(role)];
            for source in sources {
                let told = no_credentials("token", &source);
                assert_eq!((told.class, told.code), (class, code), "{status} {name}: {told:?}");
            }
        }
        let unsent = SdkError::<AssumeRoleError, HttpResponse>::construction_failure("no region");
        let told = no_credentials("token", &CredentialsError::provider_error(unsent));
        assert_eq!((told.class, told.code), (Class::Refused, "CredentialsMissing"), "{told:?}");
    }
}
