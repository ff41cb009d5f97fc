//! Which packages have examples in their documentation. nextest does not run those, and asking
//! rustdoc about every package costs minutes when the answer is "none".

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use cargo_metadata::{MetadataCommand, TargetKind};

use crate::process::Workspace;

/// Names of library packages with at least one example that rustdoc would compile.
pub(crate) fn packages(workspace: &Workspace) -> Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .current_dir(&workspace.root)
        .no_deps()
        .exec()
        .context("reading the workspace")?;
    let mut found = Vec::new();
    for package in metadata.packages {
        let library = package.targets.iter().any(|target| target.kind.contains(&TargetKind::Lib));
        let folder = package.manifest_path.parent().map(|folder| folder.join("src"));
        if let Some(sources) = folder.filter(|_| library)
            && any_example(sources.as_std_path())?
        {
            found.push(package.name.to_string());
        }
    }
    Ok(found)
}

fn any_example(folder: &Path) -> Result<bool> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let hit = if path.is_dir() {
            any_example(&path)?
        } else {
            path.extension().is_some_and(|extension| extension == "rs")
                && has_example(&fs::read_to_string(&path)?)
        };
        if hit {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A code fence that opens in a documentation comment, unmarked or marked as Rust.
fn has_example(source: &str) -> bool {
    let mut open = false;
    for line in source.lines() {
        let line = line.trim_start();
        let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            open = false;
            continue;
        };
        let Some(language) = text.trim().strip_prefix("```") else {
            continue;
        };
        open = !open;
        let rust = ["", "rust", "no_run", "should_panic", "compile_fail"];
        if open && rust.contains(&language.split(',').next().unwrap_or_default().trim()) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fences_that_open_as_rust_count() {
        assert!(has_example("/// ```\n/// let a = 1;\n/// ```\nfn f() {}\n"));
        assert!(has_example("    //! ```no_run, edition2024\n"));
        assert!(!has_example("/// ```text\n/// a\n/// ```\nfn f() {}\n"));
        assert!(!has_example("let fence = \"```\";\n// ```\n"));
    }
}
