//! Why Entra ID gave no token.

use std::error::Error;

use fleetwright_errclass::Class;
use fleetwright_provider::{CloudError, HttpOutError};
use serde_json::Value;

use super::{
    EXPIRED, SERVER, THROTTLED, UNAUTHORIZED, UNREADABLE, Verdict, WORDS_LIMIT, by_way_out,
};

const MISSING: Verdict = Verdict(
    Class::Refused,
    "CredentialsMissing",
    "give Fleetwright the Azure identity that the ProviderConfig names",
);

/// An error of no call in particular: there is no token to make one with.
pub(crate) fn no_identity(class: Class, code: &'static str, words: &str) -> CloudError {
    CloudError::new(class, code, "entra:GetToken", words)
}

/// What Entra ID answered to the client credentials grant (RFC 6749, section 5.2).
pub(crate) fn grant_error(status: u16, body: &Value) -> CloudError {
    let name = body["error"].as_str().unwrap_or("no error code");
    let words = body["error_description"].as_str().unwrap_or("no description");
    // The rest are trace ids and a time, different at each call.
    let words = words.lines().next().unwrap_or_default();
    let words = words.split(" Trace ID:").next().unwrap_or(words);
    let Verdict(class, code, hint) = by_answer(status, words);
    let words: String = words.chars().take(WORDS_LIMIT).collect();
    no_identity(class, code, &format!("Entra ID answered {status} {name}: {words}; {hint}"))
}

/// What kept a request for a token from getting an answer.
pub(crate) fn grant_lost(error: &HttpOutError) -> CloudError {
    let Verdict(class, code, hint) = by_loss(error);
    no_identity(class, code, &format!("{error}; {hint}"))
}

/// A token that was not given changes nothing, so a timeout is no more than a delay.
fn by_loss(error: &HttpOutError) -> Verdict {
    match by_way_out(error) {
        Verdict(Class::Unknown, code, _) => Verdict(Class::Transient, code, "we ask again later"),
        other => other,
    }
}

/// Entra's codes: "Microsoft Entra authentication and authorization error codes".
fn by_answer(status: u16, words: &str) -> Verdict {
    match status {
        429 => THROTTLED,
        500..=599 => SERVER,
        // An expired secret, certificate or assertion.
        400..=499 if ["AADSTS7000222", "AADSTS700024"].iter().any(|code| words.contains(code)) => {
            EXPIRED
        }
        400..=499 => UNAUTHORIZED,
        _ => UNREADABLE,
    }
}

/// Why one of `azure_identity`'s credentials gave no token: the first known error in the chain of sources decides.
pub(crate) fn credential_error(error: &azure_core1::Error) -> CloudError {
    let mut verdict = MISSING;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(lost) = found.downcast_ref::<HttpOutError>() {
            verdict = by_loss(lost);
            break;
        }
        if let Some(found) = found.downcast_ref::<azure_core1::Error>()
            && let Some(status) = found.http_status()
        {
            verdict = by_answer(u16::from(status), &found.to_string());
        }
        cause = found.source();
    }
    let Verdict(class, code, hint) = verdict;
    let words = error.to_string();
    // What follows is a link to a guide for programmers, and ids that differ each time.
    let words = words.split("\nTo troubleshoot").next().unwrap_or_default();
    let words = words.split(" Trace ID:").next().unwrap_or_default().replace(['\r', '\n'], " ");
    let words: String = words.trim().chars().take(WORDS_LIMIT).collect();
    no_identity(class, code, &format!("{words}; {hint}"))
}
