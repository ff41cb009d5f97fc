//! Every path that the documents for newcomers name must exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::process::Workspace;

/// The documents whose paths must be true. Decisions are dated and may name what is gone.
const DOCUMENTS: [&str; 3] = ["docs/ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"];
/// A backticked word is a path if it begins with one of these folders, or with a crate's folder.
const FOLDERS: [&str; 9] =
    ["crates", "api", "charts", "e2e", "docs", ".ci", ".github", ".cargo", ".config"];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut gone = Vec::new();
    let mut checked = 0;
    for document in DOCUMENTS {
        let Ok(text) = fs::read_to_string(workspace.path(document)) else {
            gone.push(format!("{document} itself cannot be read"));
            continue;
        };
        for (line, path) in named_paths(&text, |folder| is_folder(&workspace.root, folder)) {
            checked += 1;
            if !exists(&workspace.root, &path) {
                gone.push(format!("{document}:{line} names `{path}`, which does not exist"));
            }
        }
    }
    if !gone.is_empty() {
        bail!("{} of {checked} paths are gone:\n  {}", gone.len(), gone.join("\n  "));
    }
    println!("{checked} paths in the documents exist");
    Ok(())
}

fn is_folder(root: &Path, first: &str) -> bool {
    FOLDERS.contains(&first) || root.join("crates").join(first).is_dir()
}

fn exists(root: &Path, path: &str) -> bool {
    root.join(path).exists() || root.join("crates").join(path).exists()
}

/// Line number and path, in order, each once a line. Code blocks count for what stands in
/// backticks inside them, which is nothing as a rule.
fn named_paths(text: &str, is_folder: impl Fn(&str) -> bool) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        // Backticks come in pairs: every second part stands between two of them.
        for word in line.split('`').skip(1).step_by(2) {
            if let Some((first, _)) = word.split_once('/')
                && is_folder(first)
                && let Some(path) = fixed_part(word)
            {
                found.insert((index + 1, path.to_owned()));
            }
        }
    }
    found
}

/// The path without `:line`, and up to the folder before the first pattern (`*`, `{a,b}`, `<x>`,
/// `…`, `YYYY`). Words with spaces are commands, not paths.
fn fixed_part(word: &str) -> Option<&str> {
    if word.contains(char::is_whitespace) || word.contains("://") {
        return None;
    }
    let path = word.split([':', '#']).next().unwrap_or(word);
    let pattern = path.find(['*', '{', '<', '…', '$']).or_else(|| path.find("YYYY"));
    let fixed = match pattern {
        Some(start) => path[..start].rsplit_once('/').map(|(folder, _)| folder)?,
        None => path,
    };
    Some(fixed.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_other_words_in_backticks() {
        let text = "See `crates/plan/src/lib.rs:12`, `reconcile/src/lane.rs` and `docs/`.\n\
                    Not `a/b`, `GET /healthz`, `crates/x y`, crates/plain or `https://docs/x`.\n\
                    Patterns: `crates/provider-*`, `docs/decisions/YYYY-MM-DD-title.md`.\n";
        let is_folder = |first: &str| ["crates", "docs", "reconcile"].contains(&first);
        let found: Vec<_> = named_paths(text, is_folder).into_iter().collect();
        let expected = [
            (1, "crates/plan/src/lib.rs"),
            (1, "docs"),
            (1, "reconcile/src/lane.rs"),
            (3, "crates"),
            (3, "docs/decisions"),
        ];
        assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
    }
}
