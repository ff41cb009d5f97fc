//! What Azure and the way to it answered, as classes: the one table that decides what the loop does next.

mod entra;

use std::fmt;
use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_plan::{Address, Resource};
use fleetwright_provider::{CloudError, HttpOutError};
use serde_json::Value;

use crate::place::Place;

pub(crate) use entra::{credential_error, grant_error, grant_lost, no_identity};

/// Longest part of the cloud's own words that we repeat, in characters.
const WORDS_LIMIT: usize = 600;

/// What was asked of Azure, and on what: the first half of every error message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// As Azure's reference names it, for example `ManagedClusters_Get`.
    pub(crate) operation: &'static str,
    pub(crate) address: &'a Address,
    /// What of the cluster; [`Resource::Cluster`] is the control plane itself.
    pub(crate) resource: &'a Resource,
}

impl Call<'_> {
    /// Builds an error of this call. `words` say what happened and what to do next.
    pub(crate) fn error(&self, class: Class, code: &'static str, words: &str) -> CloudError {
        let operation = format!("aks:{}", self.operation);
        CloudError::new(class, code, operation, format!("{self}: {words}"))
    }

    /// Whether its success makes something that was not there.
    fn creates(&self, conditional: bool) -> bool {
        conditional && self.operation.ends_with("CreateOrUpdate")
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { region, external_name, .. } = self.address;
        match self.resource {
            Resource::Cluster => {}
            Resource::Pool(pool) => write!(f, "agent pool {pool} of ")?,
            Resource::Part(key) => write!(f, "{key} of ")?,
        }
        match Place::parse(external_name) {
            Ok(Place { group, name, .. }) => {
                write!(f, "cluster {name} in resource group {group}, {region}")
            }
            Err(_) => write!(f, "clusters of subscription {external_name} in {region}"),
        }
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
const UNAUTHORIZED: Verdict = Verdict(
    Class::Refused,
    "Unauthorized",
    "check the identity of the ProviderConfig and its role assignments on the resource group",
);
const EXPIRED: Verdict = Verdict(
    Class::Refused,
    "Expired",
    "renew the credentials; we go on with the new ones by ourselves",
);
const CAPACITY: Verdict = Verdict(
    Class::Refused,
    "CapacityUnavailable",
    "choose another VM size, other zones or another region, or wait; we ask again later",
);
const QUOTA: Verdict = Verdict(
    Class::Refused,
    "QuotaExceeded",
    "raise the quota of the subscription or remove something",
);
const THROTTLED: Verdict =
    Verdict(Class::Transient, "Throttled", "we ask again later, and less often");
const SERVER: Verdict = Verdict(Class::Transient, "ServerError", "we ask again later");
const INVALID: Verdict =
    Verdict(Class::Invalid, "InvalidRequest", "correct the object, or what it names in Azure");
const BUSY: Verdict =
    Verdict(Class::Transient, "InUse", "other work on it must end first; we ask again then");
const CONFLICT: Verdict = Verdict(
    Class::Transient,
    "InUse",
    "see the words of Azure; something else must end or change first, and we ask again then",
);
const NOT_THERE: Verdict = Verdict(
    Class::Refused,
    "ApiNotThere",
    "nobody there speaks for AKS, so this says nothing about what is there; check the endpoint and the cloud of the ProviderConfig, and any proxy on the way",
);
const CHANGED: Verdict =
    Verdict(Class::Conflict, "Changed", "somebody changed it meanwhile; we look again");
const TAKEN: Verdict =
    Verdict(Class::Conflict, "AlreadyExists", "something bears this name; we look whose it is");
const NO_GROUP: Verdict = Verdict(
    Class::Refused,
    "ResourceGroupNotFound",
    "create the resource group; it is never created by Fleetwright",
);
const NO_SUBSCRIPTION: Verdict = Verdict(
    Class::Refused,
    "SubscriptionNotFound",
    "check subscriptionId, and that the identity's tenant holds it",
);
const DISABLED: Verdict = Verdict(
    Class::Refused,
    "SubscriptionDisabled",
    "the subscription is disabled, and takes reads only; enable it in Azure, we ask again later",
);

/// An answer that is not a success.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a Value,
    pub(crate) request_id: Option<&'a str>,
    /// How long Azure wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the request was to succeed only if there was nothing there.
    pub(crate) if_absent: bool,
}

/// Azure's code and words in `{"error": {"code", "message"}}`, with or without the envelope.
pub(crate) fn told(body: &Value) -> (&str, &str) {
    let error = if body["error"].is_object() { &body["error"] } else { body };
    (error["code"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or("no message"))
}

/// Turns an answer into ours.
pub(crate) fn answer_error(call: &Call<'_>, refusal: Refusal<'_>) -> CloudError {
    let (name, words) = told(refusal.body);
    let status = refusal.status;
    let Verdict(class, code, hint) =
        by_code(name, (status, words), call.creates(refusal.if_absent));
    let words: String = words.chars().take(WORDS_LIMIT).collect();
    // The id of the request stays out of the message: it differs each time, and a status that differs is written anew.
    let message = format!("Azure answered {status} {name}: {words}; {hint}");
    CloudError {
        request_id: refusal.request_id.map(str::to_owned),
        retry_after: refusal.retry_after,
        ..call.error(class, code, &message)
    }
}

/// The codes of Azure Resource Manager ("Troubleshoot common Azure deployment errors") and of AKS ("Troubleshoot … errors").
fn by_code(name: &str, (status, words): (u16, &str), creates: bool) -> Verdict {
    let says = |text: &str| words.to_ascii_lowercase().contains(text);
    match name {
        "PreconditionFailed" | "EtagMismatch" | "ConditionNotMet" if creates => TAKEN,
        "PreconditionFailed" | "EtagMismatch" | "ConditionNotMet" => CHANGED,
        "ResourceGroupNotFound" if status == 404 => NO_GROUP,
        "ReadOnlyDisabledSubscription" => DISABLED,
        "SubscriptionNotFound" | "InvalidSubscriptionId" => NO_SUBSCRIPTION,
        "MissingSubscriptionRegistration" | "SubscriptionNotRegistered" => Verdict(
            Class::Refused,
            "ProviderNotRegistered",
            "register the resource provider that Azure names with the subscription",
        ),
        // No other 404 says that a thing is gone: see [`NOT_THERE`].
        "ResourceNotFound" | "NotFound" | "ParentResourceNotFound" | "AgentPoolNotFound"
            if status == 404 =>
        {
            Verdict(Class::Conflict, "NotFound", "it went away meanwhile; we look again")
        }
        "InvalidAuthenticationToken" if says("expired") => EXPIRED,
        "ExpiredAuthenticationToken" => EXPIRED,
        "InvalidAuthenticationToken"
        | "InvalidAuthenticationTokenTenant"
        | "AuthenticationFailed"
        | "AuthenticationFailedMissingToken"
        | "AuthorizationFailed"
        | "LinkedAuthorizationFailed"
        | "Forbidden" => UNAUTHORIZED,
        "RequestDisallowedByPolicy" => Verdict(
            Class::Refused,
            "DisallowedByPolicy",
            "see the Azure Policy that Azure names; an exemption or another declaration is needed",
        ),
        "ScopeLocked" => Verdict(
            Class::Refused,
            "ScopeLocked",
            "remove the lock from the resource or its resource group",
        ),
        "QuotaExceeded"
        | "ErrCode_InsufficientVCPUQuota"
        | "InsufficientVCPUQuota"
        | "PublicIPCountLimitReached" => QUOTA,
        "InsufficientSubnetSize" | "SubnetIsFull" => Verdict(
            Class::Refused,
            "CapacityUnavailable",
            "name a larger subnet or free addresses in it; we ask again later",
        ),
        "SkuNotAvailable"
        | "AllocationFailed"
        | "ZonalAllocationFailed"
        | "OverconstrainedAllocationRequest"
        | "OverconstrainedZonalAllocationRequest"
        | "AvailabilityZoneNotSupported"
        | "VMSizeNotSupported"
        | "AKSCapacityError"
        | "AKSCapacityHeavyUsage" => CAPACITY,
        "TooManyRequests"
        | "OperationThrottled"
        | "SubscriptionRequestsThrottled"
        | "ResourceCollectionRequestsThrottled" => THROTTLED,
        // One code, three meanings: other work is under way, a quota of the compute provider, or never.
        "OperationNotAllowed" if says("quota") => QUOTA,
        "OperationNotAllowed"
        | "AnotherOperationInProgress"
        | "ConflictingOperationInProgress"
        | "OperationPreempted"
        | "ResourceGroupBeingDeleted"
            if status == 409 =>
        {
            BUSY
        }
        "OperationNotAllowed" => Verdict(
            Class::Refused,
            "OperationNotAllowed",
            "see the words of Azure; the state of the cluster does not allow it, and we ask again later",
        ),
        _ => by_status(status, creates),
    }
}

fn by_status(status: u16, creates: bool) -> Verdict {
    match status {
        401 | 403 => UNAUTHORIZED,
        404 => NOT_THERE,
        408 => TIMEOUT,
        409 => CONFLICT,
        412 if creates => TAKEN,
        412 => CHANGED,
        429 => THROTTLED,
        400..=499 => INVALID,
        500..=599 => SERVER,
        _ => UNREADABLE,
    }
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

/// Turns a loss on the way into ours.
pub(crate) fn way_out_error(call: &Call<'_>, error: &HttpOutError) -> CloudError {
    let Verdict(class, code, hint) = by_way_out(error);
    call.error(class, code, &format!("{error}; {hint}"))
}

/// No answer in the time that one call has.
pub(crate) fn timeout(call: &Call<'_>) -> CloudError {
    let Verdict(class, code, hint) = TIMEOUT;
    call.error(class, code, &format!("no answer in time; {hint}"))
}

/// An answer that says nothing we can use.
pub(crate) fn unreadable(call: &Call<'_>, what: &str) -> CloudError {
    call.error(Class::Unknown, "Unreadable", &format!("Azure gave {what}; we look again"))
}

/// An error as text for a person: code first, its details after it.
pub(crate) fn in_words(error: &Value) -> String {
    let mut told = Vec::new();
    collect(error, &mut told);
    let text = told.join("; ");
    text.chars().take(WORDS_LIMIT).collect()
}

fn collect(error: &Value, told: &mut Vec<String>) {
    let text = match (error["code"].as_str(), error["message"].as_str()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    };
    // Azure often wraps an error in one with the same words.
    if !text.is_empty() && !told.contains(&text) {
        told.push(text);
    }
    for detail in error["details"].as_array().into_iter().flatten() {
        collect(detail, told);
    }
}
