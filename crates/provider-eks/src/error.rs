//! What EKS and the way to it answered, as classes: the one table that decides what the loop does next.

mod sts;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_eks::config::http::HttpResponse;
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eks::operation::RequestId as _;
use fleetwright_errclass::{Class, RETRY_AFTER_LIMIT};
use fleetwright_plan::{Address, Resource};
use fleetwright_provider::{CloudError, HttpOutError};

use sts::by_assuming;
pub(crate) use sts::sts_error;

/// Longest part of the cloud's own words that we repeat, in characters.
const WORDS_LIMIT: usize = 600;

/// What was asked of EKS, and on what: the first half of every error message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) operation: &'static str,
    pub(crate) address: &'a Address,
    /// What of the cluster; [`Resource::Cluster`] is the control plane itself.
    pub(crate) resource: &'a Resource,
}

impl Call<'_> {
    /// Builds an error of this call. `words` say what happened and what to do next.
    pub(crate) fn error(&self, class: Class, code: &'static str, words: &str) -> CloudError {
        let operation = format!("eks:{}", self.operation);
        CloudError::new(class, code, operation, format!("{self}: {words}"))
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { region, external_name, .. } = self.address;
        match self.resource {
            Resource::Cluster => {}
            Resource::Pool(pool) => write!(f, "node group {pool} of ")?,
            Resource::Part(key) => write!(f, "{key} of ")?,
        }
        if external_name.is_empty() {
            return write!(f, "clusters in {region}");
        }
        write!(f, "cluster {external_name} in {region}")
    }
}

/// The class and code of a failure, and what a person can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict(Class, &'static str, &'static str);

const UNREADABLE: Verdict = Verdict(
    Class::Unknown,
    "Unreadable",
    "its effect is unknown, so we look again before anything else",
);
const TIMEOUT: Verdict = Verdict(
    Class::Unknown,
    "Timeout",
    "its effect is unknown, so we look again before anything else",
);
const CREDENTIALS: Verdict = Verdict(
    Class::Refused,
    "CredentialsMissing",
    "give Fleetwright AWS credentials: variables, a profile, a web identity or an instance role",
);
const UNAUTHORIZED: Verdict = Verdict(
    Class::Refused,
    "Unauthorized",
    "check the credentials, the clock and the IAM permissions of the account",
);
const EXPIRED: Verdict = Verdict(
    Class::Refused,
    "Expired",
    "renew the credentials; we go on with the new ones by ourselves",
);
const CAPACITY: Verdict = Verdict(
    Class::Refused,
    "CapacityUnavailable",
    "choose other subnets, zones or instance types, or wait; we ask again later",
);
const THROTTLED: Verdict =
    Verdict(Class::Transient, "Throttled", "we ask again later, and less often");
const SERVER: Verdict = Verdict(Class::Transient, "ServerError", "we ask again later");
const INVALID: Verdict =
    Verdict(Class::Invalid, "InvalidRequest", "correct the object, or what it names in the cloud");

/// Turns an SDK failure into ours.
pub(crate) fn cloud_error<E>(call: &Call<'_>, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (Verdict(class, code, hint), words) = match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let name = answer.err().code().unwrap_or_default();
            let words = answer.err().message().unwrap_or("no message");
            (
                by_code(call.operation, name, (status, words)),
                format!("EKS answered {status} {name}: {words}"),
            )
        }
        SdkError::TimeoutError(_) => (TIMEOUT, "no answer in time".to_owned()),
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            let verdict = if status >= 500 { SERVER } else { UNREADABLE };
            (verdict, format!("EKS answered {status} with a body we cannot read"))
        }
        unsent => by_cause(unsent),
    };
    let words: String = words.chars().take(WORDS_LIMIT).collect();
    // The id of the request stays out of the message: it differs each time, and a status that differs is written anew.
    let request_id = error.request_id().map(str::to_owned);
    let retry_after = error.raw_response().and_then(asked_wait);
    CloudError { request_id, retry_after, ..call.error(class, code, &format!("{words}; {hint}")) }
}

/// The wait that AWS asks for. It tells seconds, never a date.
fn asked_wait(answer: &HttpResponse) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_LIMIT))
}

/// The exceptions of the EKS API reference, and the common errors of AWS.
fn by_code(operation: &str, name: &str, (status, words): (u16, &str)) -> Verdict {
    match name {
        "ResourceInUseException" if operation.starts_with("Create") => Verdict(
            Class::Conflict,
            "AlreadyExists",
            "something bears this name; we look whose it is",
        ),
        // Not a conflict: on anything but a create it means that other work must end first.
        "ResourceInUseException" => {
            Verdict(Class::Transient, "InUse", "we ask again when what uses it is gone")
        }
        "ResourceNotFoundException" | "NotFoundException" => {
            Verdict(Class::Conflict, "NotFound", "it went away meanwhile; we look again")
        }
        "ResourceLimitExceededException" => Verdict(
            Class::Refused,
            "QuotaExceeded",
            "raise the quota of the account or remove something",
        ),
        // EKS already has what we ask for, and did not show it yet.
        "InvalidRequestException" | "InvalidParameterException"
            if operation.starts_with("Update") && words.contains("No changes needed") =>
        {
            Verdict(Class::Transient, "NoChange", "EKS has it already; we look again")
        }
        // The request is well formed but does not fit the state of the cluster, which changes without an edit.
        "InvalidRequestException" | "InvalidStateException" => Verdict(
            Class::Refused,
            "InvalidState",
            "see what state the cluster is in; we ask again later",
        ),
        // "These errors are usually caused by a client action", such as a missing permission: EKS API reference.
        "ClientException" | "BadRequestException" => Verdict(
            Class::Refused,
            "Rejected",
            "see the words of EKS; a permission may be missing, and we ask again later",
        ),
        "UnsupportedAvailabilityZoneException" | "InsufficientCapacityException" => CAPACITY,
        // Newly made roles and groups are not known everywhere at once.
        "ResourcePropagationDelayException" => {
            Verdict(Class::Transient, "NotYetKnown", "AWS still spreads the news; we ask again")
        }
        "InvalidParameterException" | "ValidationException" => INVALID,
        "ExpiredToken" | "ExpiredTokenException" => EXPIRED,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "OptInRequired" => UNAUTHORIZED,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded" => THROTTLED,
        "ServerException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "InternalFailure"
        | "InternalServerException" => SERVER,
        _ => by_status(status),
    }
}

fn by_status(status: u16) -> Verdict {
    match status {
        401 | 403 => UNAUTHORIZED,
        408 => TIMEOUT,
        429 => THROTTLED,
        400..=499 => INVALID,
        500..=599 => SERVER,
        _ => UNREADABLE,
    }
}

/// For what never got an answer: the first known error in the chain of sources decides.
fn by_cause(error: &(dyn Error + 'static)) -> (Verdict, String) {
    let mut cause = Some(error);
    let mut last = error.to_string();
    while let Some(found) = cause {
        if let Some(sent) = found.downcast_ref::<HttpOutError>() {
            return (by_way_out(sent), sent.to_string());
        }
        if let Some(told) = found.downcast_ref::<CloudError>() {
            return (Verdict(told.class, told.code, "see the account"), told.to_string());
        }
        if found.downcast_ref::<CredentialsError>().is_some() {
            return by_credentials(found);
        }
        last = found.to_string();
        cause = found.source();
    }
    (Verdict(Class::Bug, "NotSent", "report this; the request was never sent"), last)
}

const fn by_way_out(error: &HttpOutError) -> Verdict {
    match error {
        HttpOutError::Connect(_) => {
            Verdict(Class::Transient, "Unreachable", "check the network; we ask again later")
        }
        HttpOutError::Timeout(_) => TIMEOUT,
        HttpOutError::TooLarge { .. } => UNREADABLE,
        HttpOutError::Forbidden(_) => {
            Verdict(Class::Refused, "Forbidden", "this Fleetwright may not send there")
        }
    }
}

/// Why there are no credentials: one of our own sources says so by code, others only in words.
fn by_credentials(error: &(dyn Error + 'static)) -> (Verdict, String) {
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(told) = found.downcast_ref::<CloudError>() {
            return (
                Verdict(told.class, told.code, "see the account's identity"),
                told.to_string(),
            );
        }
        if let Some(sent) = found.downcast_ref::<HttpOutError>() {
            return (by_way_out(sent), chain(error));
        }
        if let Some(told) = by_assuming(found) {
            return told;
        }
        cause = found.source();
    }
    (CREDENTIALS, chain(error))
}

/// An error and its sources in one line; the SDK's own messages leave the reason to the source.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        text = format!("{text}: {found}");
        cause = found.source();
    }
    text
}

/// No credentials could be had for signing something ourselves.
pub(crate) fn no_credentials(operation: &str, source: &CredentialsError) -> CloudError {
    let (Verdict(class, code, hint), words) = by_credentials(source);
    CloudError::new(class, code, operation, format!("{words}; {hint}"))
}

/// Turns an answer that we asked for without the SDK into ours.
pub(crate) fn answer_error(
    operation: &str,
    name: &str,
    (status, words): (u16, &str),
) -> CloudError {
    let Verdict(class, code, hint) = by_code(operation, name, (status, words));
    CloudError::new(class, code, operation, format!("answered {status} {name}: {words}; {hint}"))
}

/// Turns a loss on the way into ours.
pub(crate) fn way_out_error(operation: &str, error: &HttpOutError) -> CloudError {
    let Verdict(class, code, hint) = by_way_out(error);
    CloudError::new(class, code, operation, format!("{error}; {hint}"))
}
