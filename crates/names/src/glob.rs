//! Patterns in limits: `*` stands for any text, and nothing else stands for anything.

/// Whether `pattern`, in which `*` stands for any text, covers the whole of `text`. Case counts.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_does() {
        for (pattern, text, expected) in [
            ("role/eks-*", "role/eks-nodes", true),
            ("role/eks-*", "role/other", false),
            ("*", "anything", true),
            ("role/eks", "role/eks", true),
            ("role/eks", "role/eks-nodes", false),
            ("role/*-eks", "role/a-b-eks", true),
            ("role/*-eks", "role/a-eks-b", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("ab*ba", "aba", false),
            ("role/eks.", "role/eksX", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
