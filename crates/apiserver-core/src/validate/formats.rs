//! The string formats that are checked (go-openapi's `strfmt`, as upstream registers it); others
//! are comments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) fn fits_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        // Line breaks count for nothing, as in Go's decoder.
        "byte" => STANDARD.decode(text.replace(['\r', '\n'], "")).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "mac" => is_mac(text),
        "uuid" => is_uuid(text, None),
        "uuid3" => is_uuid(text, Some('3')),
        "uuid4" => is_uuid(text, Some('4')),
        "uuid5" => is_uuid(text, Some('5')),
        "hostname" => is_hostname(text),
        "email" => is_email(text),
        "uri" => is_uri(text),
        "duration" => is_duration(text),
        "hexcolor" => is_hex_color(text),
        _ => true,
    }
}

fn is_cidr(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        let most = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}

fn is_mac(text: &str) -> bool {
    let pairs = |separator: char| {
        let parts: Vec<&str> = text.split(separator).collect();
        let pair = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        [6, 8, 20].contains(&parts.len()) && parts.iter().all(pair)
    };
    pairs(':') || pairs('-')
}

/// With dashes in their places or without any.
fn is_uuid(text: &str, version: Option<char>) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let dashes = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    let plain: String = groups.concat();
    let shaped = (dashes || groups.len() == 1) && plain.len() == 32;
    shaped
        && plain.bytes().all(|byte| byte.is_ascii_hexdigit())
        && version.is_none_or(|version| plain.chars().nth(12) == Some(version))
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 255 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && !user.contains(char::is_whitespace) && is_hostname(host)
    })
}

/// An absolute URI or an absolute path.
fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let named = scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    (named || text.starts_with('/'))
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Go's durations (`1h30m`, `-1.5s`, `0`), and the days and weeks that strfmt adds.
fn is_duration(text: &str) -> bool {
    let mut rest = text.trim().trim_start_matches(['-', '+']);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let units = [
            "ns", "us", "\u{b5}s", "\u{3bc}s", "ms", "s", "m", "h", "d", "w", "day", "days",
            "week", "weeks", "hour", "hours", "minute", "minutes", "second", "seconds",
        ];
        if number.parse::<f64>().is_err() || !units.contains(&unit.trim()) {
            return false;
        }
        rest = next;
    }
    true
}

fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    [3, 6].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_take_what_go_takes() {
        for (format, good, bad) in [
            ("date-time", "2026-01-02T03:04:05Z", "noon"),
            ("date", "2026-01-02", "2026-13-01"),
            ("byte", "aGk=", "a"),
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:11:22:aa:bb:cc", "00:11:22:aa:bb"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
            (
                "uuid4",
                "123e4567-e89b-42d3-a456-426614174000",
                "123e4567-e89b-12d3-a456-426614174000",
            ),
            ("hostname", "a-b.example.com", "-a.example.com"),
            ("email", "a@example.com", "a@"),
            ("uri", "https://example.com/a?b", "example com"),
            ("duration", "1h30m", "1x"),
            ("duration", "-1.5s", ""),
            ("hexcolor", "#aaBB00", "#aaBB0"),
            ("nosuch", "anything", ""),
        ] {
            assert!(fits_format(format, good), "{format} {good}");
            assert!(format == "nosuch" || !fits_format(format, bad), "{format} {bad}");
        }
    }
}
