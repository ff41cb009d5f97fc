//! The scenario against the API server inside `fleetwright up`.

#![allow(clippy::panic, reason = "helpers of tests stop the test")]

use std::path::{Path, PathBuf};

use fleetwright_e2e::scenario;
use fleetwright_e2e::target::{Target, Tools};

/// Built beside this test by `cargo xtask test`, or named.
fn fleetwright() -> PathBuf {
    if let Some(named) = std::env::var_os("FLEETWRIGHT_BIN") {
        return PathBuf::from(named);
    }
    let test = std::env::current_exe().expect("this test has a path");
    let built = test.ancestors().nth(2).expect("target/PROFILE").join("fleetwright");
    assert!(built.is_file(), "{}: run `cargo build -p fleetwright` first", built.display());
    built
}

/// The pinned one of `cargo xtask test`, or that of the machine.
fn kubectl() -> PathBuf {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/python/bin/kubectl");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("kubectl"));
    let named = std::env::var_os("FLEETWRIGHT_KUBECTL").map(PathBuf::from);
    let mut all = named.into_iter().chain([pinned]).chain(on_path);
    all.find(|one| one.is_file()).expect("no kubectl; `cargo xtask test` installs one")
}

#[test]
fn a_cluster_lives_from_apply_to_delete_on_the_embedded_api() {
    let home = tempfile::tempdir().expect("a folder");
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api");
    let tools = Tools { fleetwright: fleetwright(), kubectl: kubectl(), api };
    if let Err(error) = scenario::run(&Target::Embedded, &tools, home.path()) {
        panic!("{error:#}");
    }
}
