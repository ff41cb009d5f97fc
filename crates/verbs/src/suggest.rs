//! "Did you mean": the known word nearest to an unknown one.

/// The nearest of `known`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase();
            let distance = strsim::osa_distance(&lower, &other);
            (distance, other.len().max(lower.len()), candidate)
        })
        // A third of the letters may be wrong: enough for a typo, too little for another word.
        .filter(|(distance, length, _)| distance * 3 <= *length)
        .min()
        .map(|(_, _, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_finds_its_word_and_another_word_finds_nothing() {
        let known = ["name", "size", "labels", "eks", "instanceTypes"];
        assert_eq!(nearest("instanceType", known), Some("instanceTypes"));
        assert_eq!(nearest("lables", known), Some("labels"));
        assert_eq!(nearest("Size", known), Some("size"));
        assert_eq!(nearest("taints", known), None);
    }
}
