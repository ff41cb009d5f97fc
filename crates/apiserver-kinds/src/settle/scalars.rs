//! Scalars that are text on the wire and something else in Go: bytes and times.

use jiff::Timestamp;

/// Base64 may come wrapped in lines; it is kept without them.
pub(super) fn base64(text: &mut String) -> Result<(), String> {
    text.retain(|c| !matches!(c, '\r' | '\n'));
    match base64_error(text.as_bytes()) {
        None => Ok(()),
        Some(at) => Err(format!("illegal base64 data at input byte {at}")),
    }
}

/// Where standard base64 with padding breaks its rules.
fn base64_error(bytes: &[u8]) -> Option<usize> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let plain = bytes.iter().position(|byte| !fits(byte)).unwrap_or(bytes.len());
    let padding = &bytes[plain..];
    let wanted = match plain % 4 {
        0 => 0,
        2 => 2,
        3 => 1,
        _ => return Some(if padding.is_empty() { bytes.len() / 4 * 4 } else { plain }),
    };
    if let Some(bad) = padding.iter().take(wanted).position(|byte| *byte != b'=') {
        return Some(plain + bad);
    }
    match padding.len() {
        found if found < wanted && padding.is_empty() => Some(bytes.len() / 4 * 4),
        found if found < wanted => Some(bytes.len()),
        found if found > wanted => Some(plain + wanted),
        _ => None,
    }
}

/// RFC 3339, kept in whole seconds of UTC.
pub(super) fn time(text: &mut String) -> Result<(), String> {
    const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
    let parsed = parse(text, LAYOUT)?;
    // The canonical form, which most times have already.
    if text.len() != 20 || !text.ends_with('Z') {
        *text = parsed.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    }
    Ok(())
}

/// RFC 3339 with exactly six digits of a second.
pub(super) fn micro_time(text: &mut String) -> Result<(), String> {
    const LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";
    let parsed = parse(text, LAYOUT)?;
    let rest = text.get(19..).unwrap_or_default();
    let digits = rest.strip_prefix('.').map(|rest| rest.bytes().take_while(u8::is_ascii_digit));
    match digits.map(Iterator::count) {
        None => Err(refused(text, LAYOUT, rest, ".000000")),
        Some(6) => {
            *text = parsed.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
            Ok(())
        }
        Some(n) if n < 6 => Err(refused(text, LAYOUT, rest, ".000000")),
        Some(_) => Err(refused(text, LAYOUT, &rest[7..], "Z07:00")),
    }
}

fn parse(text: &str, layout: &str) -> Result<Timestamp, String> {
    const PARTS: [(usize, usize, &str); 11] = [
        (0, 4, "2006"),
        (4, 5, "-"),
        (5, 7, "01"),
        (7, 8, "-"),
        (8, 10, "02"),
        (10, 11, "T"),
        (11, 13, "15"),
        (13, 14, ":"),
        (14, 16, "04"),
        (16, 17, ":"),
        (17, 19, "05"),
    ];
    for (from, to, layout_part) in PARTS {
        let part = text.get(from..to).unwrap_or_default();
        let fits = match layout_part.as_bytes()[0] {
            b'0'..=b'9' => part.len() == to - from && part.bytes().all(|b| b.is_ascii_digit()),
            _ => part == layout_part,
        };
        if !fits {
            return Err(refused(text, layout, text.get(from..).unwrap_or_default(), layout_part));
        }
    }
    text.parse().map_err(|_why| refused(text, layout, text.get(19..).unwrap_or_default(), "Z07:00"))
}

fn refused(text: &str, layout: &str, rest: &str, wanted: &str) -> String {
    format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{rest}\" as \"{wanted}\"")
}
