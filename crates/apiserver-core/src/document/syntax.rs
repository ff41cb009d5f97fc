//! What is wrong with a body that is no object, in the words of upstream's decoder, on which some
//! clients and many search engines rely.

use serde_json::Value;

/// Bytes of a body that an error shows.
const SHOWN_BYTES: usize = 30;

/// Why a body is no object that names its kind; None where nothing is wrong with it as JSON.
/// `wanted` is the kind the path stands for, none for `DeleteOptions`.
#[must_use]
pub fn unrecognised(wanted: Option<&str>, body: &[u8]) -> Option<String> {
    let why = match serde_json::from_slice::<Value>(body) {
        Ok(value) => wrong_shape(&value)?,
        Err(_) => Scanner { body, at: 0 }.document().err()?,
    };
    let why = format!("couldn't get version/kind; json parse error: {why}");
    Some(match wanted {
        None => why,
        Some(kind) => format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({})",
            shown(body)
        ),
    })
}

fn wrong_shape(value: &Value) -> Option<String> {
    let name = |value: &Value| match value {
        Value::Null => None,
        Value::Bool(_) => Some("bool"),
        Value::Number(_) => Some("number"),
        Value::String(_) => Some("string"),
        Value::Array(_) => Some("array"),
        Value::Object(_) => Some("object"),
    };
    let Value::Object(fields) = value else {
        let found = name(value)?;
        return Some(format!(
            "json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string \
             \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
        ));
    };
    let wrong = |key: &str| {
        let value = fields.get(key).filter(|value| !value.is_string())?;
        let found = name(value)?;
        Some(format!("json: cannot unmarshal {found} into Go struct field .{key} of type string"))
    };
    wrong("apiVersion").or_else(|| wrong("kind"))
}

fn shown(body: &[u8]) -> String {
    let more = if body.len() > SHOWN_BYTES { " ..." } else { "" };
    let head = &body[..body.len().min(SHOWN_BYTES)];
    match head.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => {
            let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{more}")
        }
    }
}

/// Finds the first byte that Go's scanner stumbles over.
struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
}

/// What is open around the place that is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Object,
    Array,
}

impl Scanner<'_> {
    fn document(mut self) -> Result<(), String> {
        let mut open: Vec<Open> = Vec::new();
        // Each turn reads one value, or what stands between two.
        loop {
            match self.blank() {
                Some(b'{') => {
                    self.at += 1;
                    if self.blank() == Some(b'}') {
                        self.at += 1;
                    } else {
                        self.key()?;
                        open.push(Open::Object);
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if self.blank() == Some(b']') {
                        self.at += 1;
                    } else {
                        open.push(Open::Array);
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            if self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// What follows a value. True behind the last one.
    fn close(&mut self, open: &mut Vec<Open>) -> Result<bool, String> {
        loop {
            let found = self.blank();
            match (open.last(), found) {
                (None, None) => return Ok(true),
                (None, Some(_)) => return self.stumble("after top-level value"),
                (Some(Open::Object), Some(b',')) => {
                    self.at += 1;
                    self.blank();
                    self.key()?;
                    return Ok(false);
                }
                (Some(Open::Array), Some(b',')) => {
                    self.at += 1;
                    return Ok(false);
                }
                (Some(Open::Object), Some(b'}')) | (Some(Open::Array), Some(b']')) => {
                    self.at += 1;
                    open.pop();
                }
                (Some(Open::Object), _) => return self.stumble("after object key:value pair"),
                (Some(Open::Array), _) => return self.stumble("after array element"),
            }
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<(), String> {
        if self.blank() != Some(b'"') {
            return self.stumble("looking for beginning of object key string");
        }
        self.string()?;
        if self.blank() != Some(b':') {
            return self.stumble("after object key");
        }
        self.at += 1;
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.stumble("looking for beginning of value"),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        for wanted in word.bytes() {
            if self.peek() != Some(wanted) {
                let wanted = char::from(wanted);
                return self.stumble(&format!("in literal {word} (expecting '{wanted}')"));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => {}
                        Some(b'u') => {
                            for _ in 0..4 {
                                self.at += 1;
                                if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                                    return self.stumble("in \\u hexadecimal character escape");
                                }
                            }
                        }
                        _ => return self.stumble("in string escape code"),
                    }
                }
                Some(0..=0x1f) | None => return self.stumble("in string literal"),
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<(), String> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.stumble("in numeric literal"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn some_digits(&mut self, place: &str) -> Result<(), String> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.stumble(place);
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    /// The next byte that is no blank.
    fn blank(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }

    fn stumble<T>(&self, place: &str) -> Result<T, String> {
        let Some(byte) = self.peek() else {
            return Err("unexpected end of JSON input".to_owned());
        };
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            b'\n' => r"'\n'".to_owned(),
            b'\r' => r"'\r'".to_owned(),
            b'\t' => r"'\t'".to_owned(),
            0..=0x1f | 0x7f => format!(r"'\x{byte:02x}'"),
            // Go takes each byte for a character of its own.
            _ => format!("'{}'", char::from(byte)),
        };
        Err(format!("invalid character {shown} {place}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_body_is_told_as_upstream_tells_it() {
        for (body, wanted) in [
            ("{", "unexpected end of JSON input"),
            ("", "unexpected end of JSON input"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("{x", "invalid character 'x' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 2}", "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{\"a\":nul1}", "invalid character '1' in literal null (expecting 'l')"),
            ("{\"a\":\"\\q\"}", "invalid character 'q' in string escape code"),
            ("{\"a\":1.}", "invalid character '}' after decimal point in numeric literal"),
            ("[[[[{\"a\":[}", "invalid character '}' looking for beginning of value"),
            ("kind: X", "invalid character 'k' looking for beginning of value"),
        ] {
            let wanted = format!("couldn't get version/kind; json parse error: {wanted}");
            assert_eq!(unrecognised(None, body.as_bytes()), Some(wanted), "{body}");
        }
    }

    #[test]
    fn other_values_than_objects_are_told_too_and_shown_as_upstream_shows_them() {
        let told = unrecognised(Some("X"), b"[]").unwrap_or_default();
        assert!(told.contains("cannot unmarshal array into Go value"), "{told}");
        assert!(told.ends_with(" (5b5d)"), "{told}");
        let told = unrecognised(Some("X"), br#"{"kind":5}"#).unwrap_or_default();
        assert!(told.ends_with(r#"field .kind of type string ({"kind":5})"#), "{told}");
        assert_eq!(unrecognised(Some("X"), br#"{"kind":"X"}"#), None);
        assert_eq!(unrecognised(Some("X"), b"null"), None);
        let deep = "[".repeat(200_000);
        assert!(unrecognised(None, deep.as_bytes()).is_some());
    }
}
