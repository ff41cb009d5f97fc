//! The syntax of names, labels and keys (`k8s.io/apimachinery/pkg/util/validation`).
//!
//! Each check answers None if the text is fine, else what is wrong, in upstream's words.

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
    characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
    '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or \
    '-', start with an alphabetic character, and end with an alphanumeric character (e.g. \
    'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
    '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' \
    or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
    '[-._a-zA-Z0-9]+')";

fn is_label(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| inside(*byte) || *byte == b'-')
        && [bytes.first(), bytes.last()].iter().all(|end| end.is_some_and(|byte| inside(*byte)))
}

/// `[A-Za-z0-9]` at both ends, `-_.` also between.
fn is_qualified(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && [bytes.first(), bytes.last()]
            .iter()
            .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
}

fn at_most(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

/// RFC 1123 subdomain: names of most objects.
#[must_use]
pub fn subdomain(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some("must be no more than 253 characters".to_owned());
    }
    (!text.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned())
}

/// A segment of a URL's path: names of roles, their bindings and certificate requests
/// (`ValidatePathSegmentName`). Stricter than upstream: no control characters, since the store
/// parts its keys by one.
#[must_use]
pub fn path_segment(text: &str) -> Option<String> {
    if text == "." || text == ".." {
        return Some(format!("may not be '{text}'"));
    }
    let refused: Vec<String> = ["/", "%"]
        .iter()
        .filter(|part| text.contains(**part))
        .map(|part| format!("may not contain '{part}'"))
        .collect();
    if !refused.is_empty() {
        return Some(refused.join(", "));
    }
    text.chars().any(char::is_control).then(|| "may not contain control characters".to_owned())
}

/// RFC 1035 label: names of kinds and versions, and of Services.
#[must_use]
pub fn label_1035(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(at_most(63));
    }
    let begins = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    (!is_label(text) || !begins).then(|| LABEL_1035.to_owned())
}

/// RFC 1123 label: names of namespaces.
#[must_use]
pub fn label(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(at_most(63));
    }
    (!is_label(text)).then(|| LABEL.to_owned())
}

/// `[prefix/]name`: keys of labels and annotations, finalizers.
#[must_use]
pub fn qualified_name(text: &str) -> Option<String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix == Some("") {
        return Some("prefix part must be non-empty".to_owned());
    }
    if let Some(why) = prefix.and_then(subdomain) {
        return Some(format!("prefix part {why}"));
    }
    match name {
        "" => Some("name part must be non-empty".to_owned()),
        long if long.len() > 63 => Some(format!("name part {}", at_most(63))),
        name => (!is_qualified(name)).then(|| NAME_PART.to_owned()),
    }
}

/// The name of a port (an IANA service name): all that is wrong with it.
#[must_use]
pub fn port_name(text: &str) -> Vec<String> {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let rules = [
        (text.len() > 15, "must be no more than 15 bytes"),
        (
            !text.bytes().all(inside),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (
            !text.bytes().any(|byte| byte.is_ascii_lowercase()),
            "must contain at least one letter (a-z)",
        ),
        (text.contains("--"), "must not contain consecutive hyphens"),
        (text.starts_with('-') || text.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    let broken = rules.into_iter().filter(|(broken, _)| *broken);
    broken.map(|(_, why)| why.to_owned()).collect()
}

/// The value of a label.
#[must_use]
pub fn label_value(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(at_most(63));
    }
    (!text.is_empty() && !is_qualified(text)).then(|| LABEL_VALUE.to_owned())
}

/// A key in a ConfigMap or Secret.
#[must_use]
pub fn config_key(text: &str) -> Option<String> {
    match text {
        long if long.len() > 253 => Some(at_most(253)),
        "." => Some("must not be '.'".to_owned()),
        dots if dots.starts_with("..") => Some("must not start with '..'".to_owned()),
        key => {
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (key.is_empty() || !key.bytes().all(fine)).then(|| CONFIG_KEY.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rfc_1123() {
        for good in ["a", "a-b", "a.b-c.9", &"n".repeat(253)] {
            assert_eq!(subdomain(good), None, "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a/b", &"n".repeat(254)] {
            assert!(subdomain(bad).is_some(), "{bad}");
        }
        assert_eq!(label("kube-system"), None);
        assert!(label("a.b").is_some());
        assert!(label(&"n".repeat(64)).is_some());
    }

    #[test]
    fn names_of_roles_only_have_to_fit_into_a_path() {
        for good in ["system:metrics-server", "Read_All", "a b", "jörg", "..."] {
            assert_eq!(path_segment(good), None, "{good}");
        }
        for (bad, why) in [
            (".", "may not be '.'"),
            ("..", "may not be '..'"),
            ("a/%", "may not contain '/', may not contain '%'"),
            ("a\0b", "may not contain control characters"),
        ] {
            assert_eq!(path_segment(bad).as_deref(), Some(why));
        }
    }

    #[test]
    fn keys_of_labels_may_have_a_domain_in_front() {
        for good in ["app", "example.com/App_1", "a.b/c.d"] {
            assert_eq!(qualified_name(good), None, "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "A.b/c", "-a", "a b"] {
            assert!(qualified_name(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn label_values_may_be_empty_but_not_long() {
        assert_eq!(label_value(""), None);
        assert_eq!(label_value("v1.2_x"), None);
        assert!(label_value("not ok!").is_some());
        assert!(label_value(&"v".repeat(64)).is_some());
    }

    #[test]
    fn data_keys_may_not_climb() {
        assert_eq!(config_key("tls.crt"), None);
        assert_eq!(config_key(".dockerconfigjson"), None);
        for bad in ["", ".", "..", "..a", "a/b"] {
            assert!(config_key(bad).is_some(), "{bad}");
        }
    }
}
