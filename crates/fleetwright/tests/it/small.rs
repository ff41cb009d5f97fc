//! Folders, files, tokens, bad input.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixture::{User, example};

fn files_named(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files_named(&path, name, found);
        } else if path.file_name().is_some_and(|file| file == name) {
            found.push(path);
        }
    }
}

#[test]
fn a_folder_keeps_the_world_it_was_born_in() {
    let user = User::new();
    let (real, simulated) = (user.path("real"), user.path("sim"));
    for (folder, word) in [(&real, "real"), (&simulated, "simulated")] {
        std::fs::create_dir(folder).expect("made");
        std::fs::write(folder.join("born"), word).expect("written");
    }
    let text = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    let ran = user.run(&["up", "--simulate", "--data", &text(&real)]).expect(1);
    assert!(ran.stderr().contains("was born real and cannot become simulated"), "{}", ran.stderr());
    let ran = user.run(&["up", "--data", &text(&simulated)]).expect(1);
    assert!(ran.stderr().contains("was born simulated and cannot become real"), "{}", ran.stderr());
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let user = User::new();
    user.file("theirs", "work");
    let home = user.path("");
    let ran = user.run(&["up", "--simulate", "--data", home.to_str().expect("UTF-8")]).expect(1);
    assert!(ran.stderr().contains("holds something else"), "{}", ran.stderr());
    assert!(!home.join("born").exists());
}

#[test]
fn one_kubeconfig_for_its_owner_only_and_one_hub_a_folder() {
    let user = User::new();
    let running = user.start(&[]);
    running.until_it_says("Leave this running");
    let mut found = Vec::new();
    files_named(&user.path("share"), "kubeconfig", &mut found);
    assert_eq!(found, [user.data().join("kubeconfig")]);
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    for secret in ["kubeconfig", "token", "ca.key", "store.redb"] {
        assert_eq!(mode(&user.data().join(secret)), 0o600, "{secret}");
    }
    assert_eq!(mode(&user.data()), 0o700);
    let second = user.run(&["up", "--simulate", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(
        second.stderr().contains("is in use by another `fleetwright up`"),
        "{}",
        second.stderr()
    );
}

#[test]
fn a_token_is_an_exec_credential() {
    let user = User::new();
    let args = ["--simulated", "token", "--provider=eks", "--region=eu-west-1", "--cluster=one"];
    let printed = user.run(&args).expect(0).stdout();
    let document: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(document["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(document["kind"], "ExecCredential");
    let token = document["status"]["token"].as_str().expect("token");
    assert!(token.starts_with("k8s-aws-v1."), "{token}");
    let expires = document["status"]["expirationTimestamp"].as_str().expect("time");
    assert_eq!(expires.len(), "2026-01-02T03:04:05Z".len(), "RFC 3339 in whole seconds: {expires}");
    let ran = user
        .run(&["--simulated", "token", "--provider=gke", "--region=r", "--cluster=c"])
        .expect(1);
    assert!(
        ran.stderr().contains("no provider \"gke\"; known are aks, eks and k3s"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn tokens_that_somebody_must_be_asked_for_say_what_is_missing() {
    let user = User::new();
    let aks = ["token", "--provider=aks", "--region=westeurope", "--cluster=a/b/c"];
    let mut simulated = vec!["--simulated"];
    simulated.extend(aks);
    let told = user.run(&simulated).expect(1).stderr();
    assert!(told.starts_with("error: no hub runs here"), "{told}");
    let eks = ["token", "--provider=eks", "--region=eu-west-1", "--cluster=one"];
    for role in [None, Some("--role-arn=arn:aws:iam::111122223333:role/ops")] {
        let args: Vec<&str> = eks.into_iter().chain(role).collect();
        let told = user.run(&args).expect(1).stderr();
        assert!(told.contains("give Fleetwright AWS credentials"), "{told}");
    }
    let told =
        user.run(&["token", "--provider=eks", "--region=r", "--cluster=c", "--external-id=x"]);
    assert!(told.expect(1).stderr().contains("--role-arn"));
}

#[test]
fn a_hub_shows_its_metrics_where_somebody_asks_for_them() {
    use std::io::{Read as _, Write as _};
    let user = User::new();
    let running = user.start(&["--metrics", "127.0.0.1:0"]);
    running.until_it_says("Leave this running");
    let said = running.stdout();
    let (_, at) = said.split_once("  metrics at http://").expect("an address");
    let (at, _) = at.split_once('/').expect("a path");
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(at).expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        text
    };
    assert!(get("/readyz").starts_with("HTTP/1.1 200 OK"));
    let metrics = get("/metrics");
    let expected = "fleetwright_reconcile_queue_depth{controller=\"managed-cluster\"} 0";
    assert!(metrics.contains(expected), "{metrics}");
}

#[test]
fn bad_input_is_refused_before_anything_starts() {
    let user = User::new();
    let bad = user.file("bad.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {nam: a}\n");
    let ran = user.run(&["up", "--simulate", "--once", "-f", &example(), "-f", &bad]).expect(1);
    assert!(ran.stderr().contains("bad.yaml:3  metadata.nam"), "{}", ran.stderr());
    assert!(ran.stderr().contains("unknown; did you mean name?"), "{}", ran.stderr());
    assert!(!user.data().exists(), "nothing was made");
    assert!(
        user.run(&["up", "--simulate", "-f", "nowhere"])
            .expect(1)
            .stderr()
            .contains("nowhere does not exist")
    );
    // Code 2 means changes, so a mistyped flag must not end with it.
    user.run(&["plan"]).expect(1);
    user.run(&["up", "--simulat"]).expect(1);
    assert!(user.run(&["--help"]).expect(0).stdout().contains("Exit codes: 0 done"));
    assert_eq!(user.run(&["--version"]).expect(0).stdout(), "fleetwright 0.1.0\n");
}
