//! `cargo xtask layers`: the architecture's table of layers, held against `cargo metadata`.

mod rules;
mod table;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use self::rules::{Crate, Edge, Use};
use crate::process::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let metadata = MetadataCommand::new()
        .current_dir(&workspace.root)
        .no_deps()
        .exec()
        .context("reading the workspace")?;
    let crates: Vec<Crate> = metadata.packages.iter().map(declared).collect();
    let violations = rules::violations(&crates);
    if !violations.is_empty() {
        bail!("{} edges break the layers:\n  {}", violations.len(), violations.join("\n  "));
    }
    let edges: usize = crates.iter().map(|package| package.edges.len()).sum();
    println!("{} crates, {edges} direct dependencies: all in their layers", crates.len());
    Ok(())
}

/// Direct dependencies as the manifest declares them: optional and platform ones count too.
fn declared(package: &Package) -> Crate {
    let folder = package.manifest_path.parent().and_then(|folder| folder.file_name());
    let edges = package.dependencies.iter().map(|dependency| Edge {
        to: dependency.name.clone(),
        how: match dependency.kind {
            DependencyKind::Development => Use::InTests,
            _ => Use::Built,
        },
    });
    Crate {
        name: package.name.to_string(),
        folder: folder.unwrap_or_default().to_owned(),
        edges: edges.collect(),
    }
}
