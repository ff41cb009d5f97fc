//! Certificates as far as anybody looks at them: DER that says until when.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A self-made certificate, valid between two moments; its key and its signature are zeros.
pub(super) fn der(from: Timestamp, until: Timestamp) -> Vec<u8> {
    // ECDSA with SHA-256.
    let algorithm = sequence(&[&tagged(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])]);
    let organisation =
        sequence(&[&tagged(0x06, &[0x55, 0x04, 0x03]), &tagged(0x0c, b"k3s-simulated")]);
    let name = sequence(&[&tagged(0x31, &organisation)]);
    let validity = sequence(&[&time(from), &time(until)]);
    let curve = sequence(&[
        &tagged(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]),
        &tagged(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]),
    ]);
    let key = sequence(&[&curve, &tagged(0x03, &[0; 66])]);
    let version = tagged(0xa0, &tagged(0x02, &[2]));
    let serial = tagged(0x02, &[1]);
    let body = sequence(&[&version, &serial, &algorithm, &name, &validity, &name, &key]);
    sequence(&[&body, &algorithm, &tagged(0x03, &[0; 65])])
}

fn time(at: Timestamp) -> Vec<u8> {
    let at = at.to_zoned(TimeZone::UTC);
    // RFC 5280: two digits of the year until 2049.
    if at.year() < 2050 {
        tagged(0x17, at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
    } else {
        tagged(0x18, at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
    }
}

fn sequence(items: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, &items.concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    match (high, low) {
        (0, low) if low < 128 => out.push(low),
        (0, low) => out.extend([0x81, low]),
        (high, low) => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_two_or_three_bytes_and_times_two_forms() {
        assert_eq!(tagged(0x04, &[7; 3]), [4, 3, 7, 7, 7]);
        assert_eq!(tagged(0x04, &[0; 200])[..3], [4, 0x81, 200]);
        assert_eq!(tagged(0x04, &[0; 300])[..4], [4, 0x82, 1, 44]);
        let at = |text: &str| text.parse().expect("a timestamp");
        assert_eq!(time(at("2026-11-23T04:05:06Z"))[2..], *b"261123040506Z");
        assert_eq!(time(at("2050-01-01T00:00:00Z"))[2..], *b"20500101000000Z");
    }
}
