//! Recorded exchanges with a real kube-apiserver, replayed: what is equal stays equal, what differs is written down.
//!
//! The recordings lie beside the project (`../shared/data/transcripts`, or `FLEETWRIGHT_TRANSCRIPTS`); where they do not,
//! there is nothing to replay, and the test says so. `tests/transcripts.txt` holds one line per case that is not equal:
//! the case, and what differs. `FLEETWRIGHT_BLESS=1` writes it anew; read the difference before you commit it.

#[path = "transcripts/alike.rs"]
mod alike;
#[path = "transcripts/replay.rs"]
mod replay;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use self::alike::Verdict;

const KNOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts.txt");

/// The folder of the recordings, if it is there.
fn recordings() -> Option<PathBuf> {
    let chosen = env::var_os("FLEETWRIGHT_TRANSCRIPTS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/transcripts");
    let root = chosen.unwrap_or(beside).join("kube-apiserver-1.36");
    root.is_dir().then_some(root)
}

/// Every case by `group/file`, sorted.
fn cases(root: &Path) -> BTreeMap<String, PathBuf> {
    let folder =
        |path: &Path| fs::read_dir(path).expect("a folder").map(|e| e.expect("one").path());
    let stem = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let groups = folder(root).filter(|path| path.is_dir());
    groups
        .flat_map(|group| {
            let name = stem(&group);
            folder(&group).map(move |file| (format!("{name}/{}", stem(&file)), file))
        })
        .collect()
}

/// Not a test of what is right, but a guard: nothing that was equal may become different unseen.
#[tokio::test(start_paused = true)]
async fn recorded_exchanges_differ_only_where_it_is_written_down() {
    let Some(root) = recordings() else {
        println!("no recordings here: nothing is replayed");
        return;
    };
    let mut found = BTreeMap::new();
    let mut equal = BTreeMap::<String, (usize, usize)>::new();
    for (name, file) in cases(&root) {
        let text = fs::read_to_string(&file).expect("readable");
        let case = serde_json::from_str(&text).expect("a recording is JSON");
        let group = name.split('/').next().unwrap_or_default().to_owned();
        let verdict = replay::replay(&group, &case).await;
        let count = equal.entry(group).or_default();
        count.1 += 1;
        match verdict {
            Verdict::Equal => count.0 += 1,
            Verdict::Different(how) => drop(found.insert(name, how)),
        }
    }
    for (group, (equal, all)) in &equal {
        println!("{group:12} {equal:3} of {all:3} equal");
    }
    let found: String = found.iter().map(|(name, how)| format!("{name}: {how}\n")).collect();
    if env::var_os("FLEETWRIGHT_BLESS").is_some() {
        fs::write(KNOWN, found).expect("written");
        return;
    }
    let known = fs::read_to_string(KNOWN).expect("tests/transcripts.txt");
    let new: Vec<&str> =
        found.lines().filter(|line| !known.lines().any(|old| old == *line)).collect();
    let gone: Vec<&str> =
        known.lines().filter(|line| !found.lines().any(|now| now == *line)).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "other than written down (FLEETWRIGHT_BLESS=1 writes anew):\nnow:\n{}\nwas:\n{}",
        new.join("\n"),
        gone.join("\n")
    );
}
