//! Where in Azure a cluster is: subscription, resource group and name, as one text and as a path.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986, "unreserved": everything else in a path segment is written as `%XX`.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where in Azure a cluster is. Its text, `<subscription>/<resource group>/<name>`, is the external name of an
/// [`fleetwright_plan::Address`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The subscription's id.
    pub(crate) subscription: String,
    /// The resource group.
    pub(crate) group: String,
    /// The cluster's name in it.
    pub(crate) name: String,
}

/// Why a text is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPlace {
    /// It does not have three parts.
    #[error("{0:?} is not <subscription>/<resource group>/<cluster>")]
    Shape(String),
    /// A subscription is a UUID.
    #[error("{0:?} is not the id of a subscription: 8-4-4-4-12 hexadecimal digits")]
    Subscription(String),
    /// Azure's resource name rules, `Microsoft.Resources/resourcegroups`.
    #[error(
        "{0:?} is not the name of a resource group: letters, digits, and ( ) . _ -, no full stop at the end, at most 90"
    )]
    Group(String),
    /// Azure's resource name rules, `Microsoft.ContainerService/managedClusters`.
    #[error(
        "{0:?} is not the name of an AKS cluster: letters, digits, - and _, a letter or digit at both ends, at most 63"
    )]
    Name(String),
}

impl Place {
    /// A place whose parts Azure takes.
    ///
    /// # Errors
    /// When a part breaks Azure's rules for names.
    pub(crate) fn new(subscription: &str, group: &str, name: &str) -> Result<Self, BadPlace> {
        let bytes = name.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        let fits = ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
            && bytes.len() <= 63
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !is_subscription(subscription) {
            return Err(BadPlace::Subscription(subscription.to_owned()));
        }
        if !is_group(group) {
            return Err(BadPlace::Group(group.to_owned()));
        }
        if !fits {
            return Err(BadPlace::Name(name.to_owned()));
        }
        Ok(Self { subscription: subscription.into(), group: group.into(), name: name.into() })
    }

    /// Reads `<subscription>/<resource group>/<name>`.
    ///
    /// # Errors
    /// When it is not that.
    pub(crate) fn parse(external_name: &str) -> Result<Self, BadPlace> {
        let mut parts = external_name.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(subscription), Some(group), Some(name), None) => {
                Self::new(subscription, group, name)
            }
            _ => Err(BadPlace::Shape(external_name.to_owned())),
        }
    }

    /// The subscription that an external name begins with; the rest may be missing.
    ///
    /// # Errors
    /// When it does not begin with one.
    pub(crate) fn subscription_of(external_name: &str) -> Result<&str, BadPlace> {
        let first = external_name.split('/').next().unwrap_or_default();
        if is_subscription(first) {
            Ok(first)
        } else {
            Err(BadPlace::Subscription(first.to_owned()))
        }
    }

    /// Reads the id of a cluster as Azure writes it, whatever the case of its fixed words.
    pub(crate) fn from_id(id: &str) -> Option<Self> {
        let parts: Vec<&str> = id.strip_prefix('/')?.split('/').collect();
        let [subscriptions, subscription, groups, group, providers, service, clusters, name] =
            parts[..]
        else {
            return None;
        };
        let words = [
            (subscriptions, "subscriptions"),
            (groups, "resourceGroups"),
            (providers, "providers"),
            (service, "Microsoft.ContainerService"),
            (clusters, "managedClusters"),
        ];
        let known = words.iter().all(|(found, word)| found.eq_ignore_ascii_case(word));
        known.then(|| Self::new(subscription, group, name).ok()).flatten()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.subscription, self.group, self.name)
    }
}

/// One segment of a path, encoded so that it stays one.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, &SEGMENT).to_string()
}

fn is_subscription(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

fn is_group(text: &str) -> bool {
    (1..=90).contains(&text.chars().count())
        && !text.ends_with('.')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBSCRIPTION: &str = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let text = format!("{SUBSCRIPTION}/rg-(Shop).eu/shop_eu-1");
        let place = Place::parse(&text).expect("a place");
        assert_eq!(place.to_string(), text);
        assert_eq!((place.group.as_str(), place.name.as_str()), ("rg-(Shop).eu", "shop_eu-1"));
    }

    #[test]
    fn what_would_lead_elsewhere_is_no_place() {
        let long = "x".repeat(64);
        for (group, name) in [
            ("..", "a"),
            (".", "a"),
            ("", "a"),
            ("rg.", "a"),
            ("rg?x", "a"),
            ("rg%2e", "a"),
            ("rg", ""),
            ("rg", ".."),
            ("rg", "a b"),
            ("rg", "-a"),
            ("rg", "a_"),
            ("rg", long.as_str()),
        ] {
            assert!(Place::new(SUBSCRIPTION, group, name).is_err(), "{group}/{name}");
        }
        assert!(Place::new("sub", "rg", "a").is_err());
        assert!(Place::parse(&format!("{SUBSCRIPTION}/rg/a/b")).is_err());
        assert!(Place::parse(&format!("{SUBSCRIPTION}/rg")).is_err());
    }

    #[test]
    fn an_id_is_read_whatever_its_case() {
        let id = format!(
            "/subscriptions/{SUBSCRIPTION}/resourcegroups/Rg/providers/Microsoft.ContainerService/managedclusters/shop"
        );
        let place = Place::from_id(&id).expect("a place");
        assert_eq!(place.to_string(), format!("{SUBSCRIPTION}/Rg/shop"));
        assert_eq!(Place::from_id(&format!("{id}/agentPools/web")), None);
    }

    #[test]
    fn a_segment_stays_one_segment() {
        assert_eq!(segment("rg (ü)/x"), "rg%20%28%C3%BC%29%2Fx");
        assert_eq!(segment("shop_eu-1.a~"), "shop_eu-1.a~");
    }

    #[test]
    fn a_subscription_is_enough_to_list() {
        for text in [SUBSCRIPTION.to_owned(), format!("{SUBSCRIPTION}/rg/a")] {
            assert_eq!(Place::subscription_of(&text), Ok(SUBSCRIPTION));
        }
        assert!(Place::subscription_of("").is_err());
    }
}
