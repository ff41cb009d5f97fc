//! When a certificate ends. Nothing else of it is read, so no library for X.509 is needed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// One certificate of K3s on a host. K3s renews those it issued itself when it starts in their last months.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Certificate {
    /// Its file below K3s's data: `server/tls/serving-kube-apiserver.crt`.
    pub file: String,
    /// When it ends, in seconds since 1970.
    pub not_after_s: i64,
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which version 1 leaves out.
const EXPLICIT_0: u8 = 0xa0;

/// A line of a look: the file, a blank, the certificate's DER in base64.
pub(super) fn read(line: &str) -> Option<Certificate> {
    let (file, encoded) = line.split_once(' ')?;
    let der = STANDARD.decode(encoded.trim()).ok()?;
    Some(Certificate { file: file.to_owned(), not_after_s: not_after(&der)? })
}

/// RFC 5280, 4.1: Certificate, TBSCertificate, Validity, notAfter.
fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut tbs, _) = take(certificate, SEQUENCE)?;
    if tbs.first() == Some(&EXPLICIT_0) {
        tbs = any(tbs)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        tbs = any(tbs)?.2;
    }
    let (validity, _) = take(tbs, SEQUENCE)?;
    let (tag, text, _) = any(any(validity)?.2)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// `260609101700Z`, or from 2050 on `20500609101700Z`; always in UTC and with seconds (RFC 5280, 4.1.2.5).
fn time(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    let full = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let century = if digits < "50" { "20" } else { "19" };
            format!("{century}{digits}")
        }
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        _ => return None,
    };
    let part = |from: usize, until: usize| full.get(from..until)?.parse::<i8>().ok();
    let year: i16 = full.get(..4)?.parse().ok()?;
    let date = jiff::civil::DateTime::new(
        year,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
        0,
    );
    Some(date.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// The content of a value with this tag, and what follows it.
fn take(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = any(der)?;
    (tag == wanted).then_some((content, rest))
}

/// Tag, content and rest of any value with a definite length.
fn any(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, &byte| (sum << 8) | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any as some, proptest};

    use super::*;

    /// Made by `openssl req -x509 -newkey ed25519`, good until 2036-11-20 03:44:13 UTC.
    const ONE: &str = "MIIBLDCB36ADAgECAhRXMLemAjXmQvvVhitkySXPvhu4CDAFBgMrZXAwDDEKMAgGA1UEAwwBYTAeFw0yNjExMjMwMzQ0MTNaFw0zNjExMjAwMzQ0MTNaMAwxCjAIBgNVBAMMAWEwKjAFBgMrZXADIQCyaWiZ/nDQHS4eTg/hy2FtUE9PhuoclYDVaBCjMonie6NTMFEwHQYDVR0OBBYEFCfJ5U2DMqUf7pBAWCqX9UJ22wLiMB8GA1UdIwQYMBaAFCfJ5U2DMqUf7pBAWCqX9UJ22wLiMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EA2J/OnZvGeB6qwUtuxN6amc0OLATjvbDsGNIsGKM2P9taKUc2s+oSNCn8S5RgXJNE38XKCUo9Rx0/bJE/9CsyAQ==";
    /// Likewise, until 2066-11-13 03:44:13 UTC, which is written with four digits of the year.
    const LATE: &str = "MIIBLjCB4aADAgECAhRHy59nH5GpMDqIjVWuha3DVhBXpDAFBgMrZXAwDDEKMAgGA1UEAwwBYTAgFw0yNjExMjMwMzQ0MTNaGA8yMDY2MTExMzAzNDQxM1owDDEKMAgGA1UEAwwBYTAqMAUGAytlcAMhALksEkZXcF7Lab4Mu2X42FHML8C9w+JsCRet2Ii8vF5to1MwUTAdBgNVHQ4EFgQUXxTjDCCljcwpxocmaKVzU+DA184wHwYDVR0jBBgwFoAUXxTjDCCljcwpxocmaKVzU+DA184wDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQCPztAA5AZC/eMZN7pW1EOoDD2yWAPc3KZ3Ys2b+3Qs08qvFdVvltKQz9gW4lQYLbUIrgMUq+HL3aaqnxp+vNoJ";

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let one = read(&format!("agent/client-kubelet.crt {ONE}"));
        let wanted =
            Certificate { file: "agent/client-kubelet.crt".into(), not_after_s: 2_110_765_453 };
        assert_eq!(one, Some(wanted));
        assert_eq!(read(&format!("x {LATE}")).map(|late| late.not_after_s), Some(3_056_845_453));
    }

    #[test]
    fn what_is_no_certificate_is_passed_over() {
        assert_eq!(read("x"), None);
        assert_eq!(read("x !!"), None);
        assert_eq!(read("x MAA="), None);
        assert_eq!(read(&format!("x {}", &ONE[..64])), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reading(bytes in proptest::collection::vec(some::<u8>(), 0..80)) {
            let _end = not_after(&bytes);
        }
    }
}
