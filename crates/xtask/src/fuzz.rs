//! `cargo xtask fuzz`: what strangers send, made up by libFuzzer. Needs a nightly compiler; no other tool.

use anyhow::{Result, ensure};
use clap::Args;

use crate::process::{self, Workspace};

/// Every target of `fuzz/Cargo.toml`.
const TARGETS: [&str; 7] =
    ["bodies", "protobuf", "patches", "owners", "selectors", "requests", "schemas"];
/// Coverage as libFuzzer reads it; assertions stay on.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table --cfg fuzzing -Ccodegen-units=1";
const HOST: &str = "x86_64-unknown-linux-gnu";

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Which target; all of them one after the other when none is named
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// For how long each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "the flags are those of {HOST}; mend crates/xtask/src/fuzz.rs"
    );
    let chosen = options.target.as_deref();
    for target in TARGETS.iter().filter(|target| chosen.is_none_or(|chosen| chosen == **target)) {
        let found = workspace.root.join("target/fuzz").join(target);
        std::fs::create_dir_all(&found)?;
        println!("== {target}: what was found before lies in {}", found.display());
        let mut cargo = std::process::Command::new("cargo");
        cargo.current_dir(workspace.root.join("fuzz"));
        cargo.env("RUSTFLAGS", FLAGS).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
        cargo.env("CARGO_TARGET_DIR", workspace.root.join("target/fuzz-build"));
        cargo.args([
            "+nightly",
            "run",
            "--release",
            "--quiet",
            "--target",
            HOST,
            "--bin",
            target,
            "--",
        ]);
        cargo.arg(&found);
        cargo.args([format!("-max_total_time={}", options.seconds), "-timeout=10".to_owned()]);
        cargo.args(["-max_len=4096", "-rss_limit_mb=2048", "-print_final_stats=1"]);
        process::run(&mut cargo)?;
    }
    Ok(())
}
