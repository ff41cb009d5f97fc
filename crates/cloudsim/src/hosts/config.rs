//! K3s's configuration, as far as the simulation heeds it: the part of YAML in which keys have a value or a list.

use std::collections::BTreeMap;

/// Keys with their values, in the order in which they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Config(BTreeMap<String, Vec<String>>);

impl Config {
    /// Reads texts of which each overrules those before it; a key that ends with `+` adds to them.
    pub(super) fn read<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut config = Self::default();
        for text in texts {
            config.add(text);
        }
        config
    }

    fn add(&mut self, text: &str) {
        let mut open: Option<String> = None;
        for line in text.lines() {
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with('#') || bare == "---" || bare == "{}" {
                continue;
            }
            if let Some(item) = bare.strip_prefix("- ") {
                if let Some(key) = &open {
                    self.0.entry(key.clone()).or_default().push(unquoted(item));
                }
                continue;
            }
            let Some((key, value)) = bare.split_once(':') else { continue };
            let key = unquoted(key);
            let (key, adds) = match key.strip_suffix('+') {
                Some(key) => (key.to_owned(), true),
                None => (key, false),
            };
            let values = self.0.entry(key.clone()).or_default();
            if !adds {
                values.clear();
            }
            let value = value.trim();
            match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
                Some(list) => {
                    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
                    values.extend(items.map(unquoted));
                }
                None if !value.is_empty() => values.push(unquoted(value)),
                None => {}
            }
            open = Some(key);
        }
    }

    /// The last value of a key.
    pub(super) fn one(&self, key: &str) -> Option<String> {
        self.0.get(key).and_then(|values| values.last()).cloned()
    }

    /// All values of a key.
    pub(super) fn all(&self, key: &str) -> &[String] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a key is switched on.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.one(key).as_deref() == Some("true")
    }
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    let inner = |quote: char| {
        text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).map(str::to_owned)
    };
    if let Some(inner) = inner('"') {
        return serde_json::from_str(text).unwrap_or(inner);
    }
    inner('\'').map_or_else(|| text.to_owned(), |inner| inner.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lists_and_quotes_are_read() {
        let text = "# ours\ncluster-init: true\nnode-name: \"s1\"\ntls-san:\n- 'vip.example'\n  - \"10.0.0.1\"\n\
                    disable: [traefik, 'servicelb']\nserver: https://vip.example:6443\nempty: []\n";
        let config = Config::read([text].into_iter());
        assert!(config.is_on("cluster-init"));
        assert_eq!(config.one("node-name").as_deref(), Some("s1"));
        assert_eq!(config.all("tls-san"), ["vip.example", "10.0.0.1"]);
        assert_eq!(config.all("disable"), ["traefik", "servicelb"]);
        assert_eq!(config.one("server").as_deref(), Some("https://vip.example:6443"));
        assert_eq!(config.one("empty"), None);
        assert_eq!(config.all("absent"), Vec::<String>::new());
    }

    #[test]
    fn what_comes_later_overrules_or_adds() {
        let texts = ["a: 1\nlist:\n- x\n", "a: 2\nlist+:\n- y\n"];
        let config = Config::read(texts.into_iter());
        assert_eq!(config.one("a").as_deref(), Some("2"));
        assert_eq!(config.all("list"), ["x", "y"]);
    }
}
