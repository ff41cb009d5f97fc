//! AWS Signature Version 4, the verifying side.
//!
//! Written from "AWS Signature Version 4 for API requests" in the IAM user guide. It shares no code with the SDKs'
//! signers on purpose: where both agree, both are right.

use std::collections::BTreeMap;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use http::{HeaderMap, Uri};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::principal::{Principal, identify};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How far the caller's clock may be off, for requests that are signed in a header.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How long the STS accepts a presigned request, whatever `X-Amz-Expires` says.
const MAX_PRESIGNED_AGE: SignedDuration = SignedDuration::from_mins(15);

/// Where a signature is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) region: String,
    pub(crate) service: String,
}

/// A signature that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) scope: Scope,
    pub(crate) principal: Principal,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("Missing Authentication Token")]
    Missing,
    #[error("{0}")]
    Incomplete(String),
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    #[error("Signature expired: {signed_at} is too far from the time of the service, {now}")]
    Expired { signed_at: Timestamp, now: Timestamp },
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

/// A request as it was sent.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) method: &'a str,
    /// Still percent-encoded, with any prefix that a router has taken off since.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// For the host when there is no such header (HTTP/2, or in process).
    pub(crate) uri: &'a Uri,
    pub(crate) body: &'a [u8],
}

/// Verifies a request that carries its signature in the `Authorization` header.
pub(crate) fn verify_request(sent: &Sent<'_>, now: Timestamp) -> Result<Verified, Refusal> {
    let authorization = text(sent.headers, "authorization").ok_or(Refusal::Missing)?;
    let fields = authorization.strip_prefix(ALGORITHM).ok_or_else(|| incomplete("algorithm"))?;
    let fields: BTreeMap<&str, &str> =
        fields.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let field = |name: &str| fields.get(name).copied().ok_or_else(|| incomplete(name));
    let token = text(sent.headers, "x-amz-security-token");
    let credential = Credential::parse(field("Credential")?, token.as_deref(), now)?;
    let date = text(sent.headers, "x-amz-date").ok_or_else(|| incomplete("X-Amz-Date"))?;
    let signed_at = credential.signed_at(&date)?;
    if (now.duration_since(signed_at)).abs() > MAX_SKEW {
        return Err(Refusal::Expired { signed_at, now });
    }
    let signed_headers = field("SignedHeaders")?;
    let mut headers = Vec::new();
    for name in signed_headers.split(';') {
        let value = header_value(sent, name).ok_or(Refusal::Mismatch)?;
        headers.push((name, value));
    }
    let session = token.map(|_| "x-amz-security-token");
    for needed in ["host", "x-amz-date"].into_iter().chain(session) {
        if !headers.iter().any(|(name, _)| *name == needed) {
            return Err(Refusal::Incomplete(format!("'{needed}' must be a 'SignedHeader'")));
        }
    }
    let canonical = Canonical {
        method: sent.method,
        path: sent.path,
        query: sent.query.split('&').filter(|pair| !pair.is_empty()).collect(),
        headers,
        signed_headers,
        payload: &hex(&Sha256::digest(sent.body)),
    };
    credential.check(&canonical, &date, field("Signature")?)?;
    Ok(credential.verified())
}

/// A presigned request: one without body whose signature is in its query.
pub(crate) struct Presigned<'a> {
    pub(crate) host: &'a str,
    pub(crate) query: &'a str,
    /// The header that must be signed besides `host`, with the value it must have had.
    pub(crate) header: (&'a str, &'a str),
}

/// Verifies a presigned `GET /`.
pub(crate) fn verify_presigned(
    presigned: &Presigned<'_>,
    now: Timestamp,
) -> Result<Verified, Refusal> {
    let mut fields = BTreeMap::new();
    let mut query = Vec::new();
    for pair in presigned.query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name != "X-Amz-Signature" {
            query.push(pair);
        }
        let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
        if fields.insert(name, value).is_some() {
            return Err(Refusal::Incomplete(format!("'{name}' is given twice")));
        }
    }
    let field = |name: &str| fields.get(name).map(String::as_str).ok_or_else(|| incomplete(name));
    if field("X-Amz-Algorithm")? != ALGORITHM {
        return Err(incomplete("algorithm"));
    }
    let token = fields.get("X-Amz-Security-Token").map(String::as_str);
    let credential = Credential::parse(field("X-Amz-Credential")?, token, now)?;
    let date = field("X-Amz-Date")?;
    let signed_at = credential.signed_at(date)?;
    let age = now.duration_since(signed_at);
    if age > MAX_PRESIGNED_AGE || age < -MAX_SKEW {
        return Err(Refusal::Expired { signed_at, now });
    }
    let (name, value) = presigned.header;
    let signed_headers = format!("host;{name}");
    if field("X-Amz-SignedHeaders")? != signed_headers {
        return Err(Refusal::Incomplete(format!("exactly '{signed_headers}' must be signed")));
    }
    let canonical = Canonical {
        method: "GET",
        path: "/",
        query,
        headers: vec![("host", presigned.host.to_owned()), (name, value.to_owned())],
        signed_headers: &signed_headers,
        payload: &hex(&Sha256::digest(b"")),
    };
    credential.check(&canonical, date, field("X-Amz-Signature")?)?;
    Ok(credential.verified())
}

fn incomplete(what: &str) -> Refusal {
    Refusal::Incomplete(format!("The signature requires '{what}' parameter."))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// All values of a header as the canonical request wants them: trimmed, inner spaces collapsed, joined by commas.
fn header_value(sent: &Sent<'_>, name: &str) -> Option<String> {
    let mut values = Vec::new();
    for value in sent.headers.get_all(name) {
        values.push(value.to_str().ok()?.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    }
    if !values.is_empty() {
        return Some(values.join(","));
    }
    let authority = sent.uri.authority().filter(|_| name == "host")?.as_str();
    // A client leaves the usual port out of the host that it signs.
    let usual = if sent.uri.scheme_str() == Some("http") { ":80" } else { ":443" };
    Some(authority.strip_suffix(usual).unwrap_or(authority).to_owned())
}

/// What a signature says about itself.
struct Credential {
    day: String,
    scope: Scope,
    principal: Principal,
    secret: String,
}

impl Credential {
    /// `<access key>/<yyyymmdd>/<region>/<service>/aws4_request`.
    fn parse(credential: &str, token: Option<&str>, now: Timestamp) -> Result<Self, Refusal> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [key, day, region, service, "aws4_request"] = parts.as_slice() else {
            return Err(Refusal::Incomplete(format!(
                "Credential '{credential}' has not five parts."
            )));
        };
        let (principal, secret) = identify(key, token, now)?;
        let scope = Scope { region: (*region).to_owned(), service: (*service).to_owned() };
        Ok(Self { day: (*day).to_owned(), scope, principal, secret })
    }

    fn verified(self) -> Verified {
        Verified { scope: self.scope, principal: self.principal }
    }

    fn signed_at(&self, date: &str) -> Result<Timestamp, Refusal> {
        let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)
            .and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC))
            .map_err(|error| {
                Refusal::Incomplete(format!("Date '{date}' is not ISO-8601: {error}"))
            })?;
        if !date.starts_with(&self.day) {
            return Err(Refusal::Incomplete(
                "Date in Credential scope does not match the date.".into(),
            ));
        }
        Ok(parsed.timestamp())
    }

    fn check(&self, canonical: &Canonical<'_>, date: &str, signature: &str) -> Result<(), Refusal> {
        let Scope { region, service } = &self.scope;
        let digest = hex(&Sha256::digest(canonical.render()));
        let scope = format!("{}/{region}/{service}/aws4_request", self.day);
        let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{digest}");
        let key = mac(format!("AWS4{}", self.secret).as_bytes(), &self.day);
        let key = mac(&mac(&mac(&key, region), service), "aws4_request");
        let shown = unhex(signature).ok_or(Refusal::Mismatch)?;
        // Comparing in constant time is what `verify_slice` is for.
        keyed(&key).chain_update(to_sign).verify_slice(&shown).map_err(|_differs| Refusal::Mismatch)
    }
}

struct Canonical<'a> {
    method: &'a str,
    path: &'a str,
    /// Encoded `name=value` pairs, in any order.
    query: Vec<&'a str>,
    /// In the order of `signed_headers`.
    headers: Vec<(&'a str, String)>,
    signed_headers: &'a str,
    payload: &'a str,
}

impl Canonical<'_> {
    fn render(&self) -> String {
        let Self { method, path, query, headers, signed_headers, payload } = self;
        // Encoded once more than sent: all services but S3 want it so.
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| utf8_percent_encode(segment, RESERVED).to_string())
            .collect();
        let path = segments.join("/");
        let mut pairs: Vec<(String, String)> = query
            .iter()
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (recode(name), recode(value)))
            .collect();
        pairs.sort();
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = pairs.join("&");
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        format!("{method}\n{path}\n{query}\n{headers}\n{signed_headers}\n{payload}")
    }
}

/// One way to write what can be written in several.
fn recode(encoded: &str) -> String {
    let raw: Vec<u8> = percent_decode_str(encoded).collect();
    percent_encoding::percent_encode(&raw, RESERVED).to_string()
}

/// HMAC pads short keys with zeros, so doing it here changes nothing; every key of SigV4 is short.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0_u8; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new(&block.into())
}

fn mac(key: &[u8], message: &str) -> [u8; 32] {
    keyed(key).chain_update(message).finalize().into_bytes().into()
}

/// A mark that only who holds `secret` can put on `message`: 64 hexadecimal digits.
pub(crate) fn seal(secret: &str, message: &str) -> String {
    hex(&mac(secret.as_bytes(), message))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        // Test case 2.
        let expect = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&mac(b"Jefe", "what do ya want for nothing?")), expect);
    }

    #[test]
    fn a_canonical_request_is_that_of_the_iam_user_guide() {
        // The example of "Create a signed AWS API request": ListUsers.
        let canonical = Canonical {
            method: "GET",
            path: "/",
            query: vec!["Version=2010-05-08", "Action=ListUsers"],
            headers: vec![
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
                ("host", "iam.amazonaws.com".to_owned()),
                ("x-amz-date", "20150830T123600Z".to_owned()),
            ],
            signed_headers: "content-type;host;x-amz-date",
            payload: &hex(&Sha256::digest(b"")),
        };
        assert_eq!(
            hex(&Sha256::digest(canonical.render())),
            "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
        );
    }

    #[test]
    fn paths_are_encoded_once_more_and_queries_are_sorted() {
        let canonical = Canonical {
            method: "DELETE",
            path: "/tags/arn%3Aaws",
            query: vec!["tagKeys=b/c", "tagKeys=a", "empty"],
            headers: vec![("host", "x".to_owned())],
            signed_headers: "host",
            payload: "-",
        };
        let expect = "DELETE\n/tags/arn%253Aaws\nempty=&tagKeys=a&tagKeys=b%2Fc\nhost:x\n\nhost\n-";
        assert_eq!(canonical.render(), expect);
    }

    #[test]
    fn signatures_that_are_no_hexadecimal_are_refused() {
        assert_eq!(unhex("0aFf"), Some(vec![10, 255]));
        assert_eq!(unhex("0aF"), None);
        assert_eq!(unhex("zz"), None);
        assert_eq!(unhex("+1"), None);
    }
}
