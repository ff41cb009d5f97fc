//! Finding and reading the files of `-f`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fleetwright_apiserver::Scheme;
use fleetwright_verbs::check::check;
use fleetwright_verbs::manifest::{Finding, Manifest, parse};

/// More than any fleet declares in one file; a larger one is a mistake.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// All manifests, or all that is wrong with them.
pub(crate) fn read(
    paths: &[PathBuf],
    scheme: &Scheme,
) -> anyhow::Result<Result<Vec<Manifest>, Vec<Finding>>> {
    let mut manifests = Vec::new();
    let mut findings = Vec::new();
    for file in files(paths)? {
        let name = file.display().to_string();
        let bytes = std::fs::metadata(&file).with_context(|| format!("cannot read {name}"))?.len();
        if bytes > MOST_BYTES {
            bail!("{name} has {bytes} bytes; at most {MOST_BYTES} are read");
        }
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
        match parse(&name, &text) {
            Ok(found) => manifests.extend(found),
            Err(finding) => findings.push(finding),
        }
    }
    findings.extend(check(&manifests, scheme));
    Ok(if findings.is_empty() { Ok(manifests) } else { Err(findings) })
}

/// The files themselves and those in folders, at any depth, by name; each once.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        collect(path, true, &mut found)?;
        if found.len() == before {
            bail!("{} holds no .yaml, .yml or .json file", path.display());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|file| seen.insert(file.clone()));
    Ok(found)
}

fn collect(path: &Path, named: bool, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let shown = path.display();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
        let mut inside: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .with_context(|| format!("cannot read {shown}"))?;
        inside.sort();
        return inside.iter().try_for_each(|entry| collect(entry, false, found));
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    if named {
        if !path.exists() {
            bail!("{shown} does not exist");
        }
        found.push(path.to_owned());
    } else if matches!(extension, Some("yaml" | "yml" | "json")) {
        found.push(path.to_owned());
    }
    Ok(())
}
