//! Lists in pages, and the query parameters that ask for them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::answer::EksError;

/// EKS gives no more at once, and this many when not told.
const MAX_RESULTS: usize = 100;

/// All values of a query parameter, decoded.
pub(super) fn parameters(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    pairs.filter(|(key, _)| decode(key) == name).map(|(_, value)| decode(value)).collect()
}

/// Which page is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) max_results: Option<String>,
    pub(super) next_token: Option<String>,
}

impl Asked {
    /// By the query, as most lists are.
    pub(super) fn by(query: &str) -> Self {
        let first = |name: &str| parameters(query, name).into_iter().next();
        Self { max_results: first("maxResults"), next_token: first("nextToken") }
    }
}

/// One page out of all `names`, which are sorted; `field` is what the answer calls them.
pub(super) fn page(query: &str, field: &str, names: Vec<String>) -> Result<Value, EksError> {
    let items = names.into_iter().map(|name| (name.clone(), Value::String(name))).collect();
    page_of(&Asked::by(query), field, items)
}

/// One page out of all `items`, which are sorted by their names, the first of each pair.
pub(super) fn page_of(
    asked: &Asked,
    field: &str,
    items: Vec<(String, Value)>,
) -> Result<Value, EksError> {
    let wanted = match &asked.max_results {
        None => MAX_RESULTS,
        Some(text) => match text.parse() {
            Ok(n) if (1..=MAX_RESULTS).contains(&n) => n,
            _ => {
                let message =
                    format!("maxResults must be between 1 and {MAX_RESULTS}, it is {text}.");
                return Err(EksError::invalid_parameter(message));
            }
        },
    };
    let after = asked.next_token.as_deref().map(last_of).transpose()?;
    let mut rest =
        items.into_iter().filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
    let page: Vec<(String, Value)> = rest.by_ref().take(wanted).collect();
    let next = rest.next().and(page.last()).map(|(last, _)| URL_SAFE_NO_PAD.encode(last));
    let items: Vec<Value> = page.into_iter().map(|(_, item)| item).collect();
    Ok(match next {
        Some(token) => json!({ field: items, "nextToken": token }),
        None => json!({ field: items }),
    })
}

/// The last name of the page before. Not its number: names come and go between two pages.
fn last_of(token: &str) -> Result<String, EksError> {
    let refused = || EksError::invalid_parameter("nextToken is not one that this service gave.");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_not_base64| refused())?;
    String::from_utf8(bytes).map_err(|_not_utf8| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let first = page("maxResults=2", "clusters", names()).expect("a page");
        assert_eq!(first["clusters"], json!(["a", "b"]));
        let token = first["nextToken"].as_str().expect("a token");
        let last =
            page(&format!("maxResults=2&nextToken={token}"), "clusters", names()).expect("a page");
        assert_eq!(last, json!({ "clusters": ["c"] }));
    }

    #[test]
    fn a_page_of_more_than_100_is_refused() {
        let error = page("maxResults=101", "clusters", names()).expect_err("too many");
        assert_eq!(error.code, "InvalidParameterException");
        assert_eq!(error.message, "maxResults must be between 1 and 100, it is 101.");
    }

    #[test]
    fn a_parameter_may_come_several_times() {
        assert_eq!(parameters("tagKeys=a%2Fb&x=1&tagKeys=c", "tagKeys"), ["a/b", "c"]);
    }
}
