//! `fleetwright plan`: exit codes, and that it never touches anything.

use crate::fixture::{User, example, example_text};

#[test]
fn changes_are_code_two_and_nothing_is_made() {
    let user = User::new();
    let ran = user.run(&["plan", "--simulate", "-f", &example()]).expect(2);
    let text = ran.stdout();
    assert!(text.starts_with("fleetwright 0.1.0   SIMULATED"), "{text}");
    let expected = "4 of 4 clusters · 14 cloud writes (4 now, 10 wait) · 0 deletes · nothing else touched    (-o markdown for a pull request)\n";
    assert!(text.ends_with(expected), "{text}");
    assert!(text.contains("waits: control plane"), "{text}");
    assert!(!user.data().exists(), "a plan makes no folder");
}

#[test]
fn against_a_running_hub_it_is_code_zero_once_all_is_there() {
    let user = User::new();
    let running = user.start(&["-f", &example()]);
    running.until_it_says("Leave this running");
    let ran = user.run(&["plan", "--simulate", "-f", &example()]).expect(0);
    let expected =
        "0 of 4 clusters · 0 cloud writes (0 now, 0 wait) · 0 deletes · nothing else touched\n";
    assert!(ran.stdout().ends_with(expected), "{}", ran.stdout());

    let looser =
        user.file("p.yaml", &example_text("30-policy.yaml").replace("Restricted", "Baseline"));
    let kubeconfig = user.data().join("kubeconfig");
    let kubeconfig = kubeconfig.to_str().expect("UTF-8");
    let ran = user.run(&["plan", "--kubeconfig", kubeconfig, "-f", &looser]).expect(2);
    let expected = "4 of 4 clusters · 0 cloud writes (0 now, 0 wait) · 0 deletes · 4 writes on members · nothing else touched    (-o markdown for a pull request)\n";
    assert!(ran.stdout().ends_with(expected), "{}", ran.stdout());
    assert!(ran.stdout().contains("SIMULATED"), "{}", ran.stdout());

    // What the hub would refuse is told before it is tried.
    let moved = example_text("20-clusters.yaml").replace("eu-west-1", "eu-north-1");
    let ran = user.run(&["plan", "--simulate", "-f", &user.file("m.yaml", &moved)]).expect(1);
    let expected = "m.yaml:11  spec.eks.region  region is immutable";
    assert!(ran.stderr().contains(expected), "{}", ran.stderr());

    // An account concerns every cluster that uses it, though no cluster is in the files.
    let closed = example_text("10-account.yaml").replace("[payments, retail]", "[payments]");
    let ran = user.run(&["plan", "--simulate", "-f", &user.file("a.yaml", &closed)]).expect(1);
    assert!(ran.stdout().contains("does not allow namespace \"retail\""), "{}", ran.stdout());

    // What was only planned did not happen.
    user.run(&["plan", "--simulate", "-f", &example()]).expect(0);
    assert_eq!(running.signal("TERM"), Some(0));
    let ran = user.run(&["plan", "--simulate", "-f", &example()]).expect(1);
    assert!(
        ran.stderr().contains("does not run; start it with `fleetwright up --simulate"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn invalid_files_are_code_one_with_every_line() {
    let user = User::new();
    let text = example_text("20-clusters.yaml")
        .replace("min: 3", "min: 13")
        .replace("amiType", "amiTyp")
        .replace("region: us-east-1", "region: moon");
    let bad = user.file("bad.yaml", &text);
    let ran = user.run(&["plan", "--simulate", "-f", &bad]).expect(1);
    let told = ran.stderr();
    for expected in [
        "bad.yaml:16  spec.nodePools[general].size        min is above max (initial 4, max 12, min 13)",
        "bad.yaml:20  spec.nodePools[general].eks.amiTyp  unknown; did you mean amiType?",
        "bad.yaml:31  spec.eks.region                     should match",
    ] {
        assert!(told.contains(expected), "{expected}\nin\n{told}");
    }
    assert_eq!(ran.stdout(), "");

    // What only the controllers can see has its line, too.
    let alone = user.file("alone.yaml", &example_text("20-clusters.yaml"));
    let ran = user.run(&["plan", "--simulate", "-f", &alone]).expect(1);
    let expected = "alone.yaml:8   spec.providerConfigRef.name  there is no providerconfigs.fleetwright.dev \"aws\"";
    assert!(ran.stderr().contains(expected), "{}", ran.stderr());
}

#[test]
fn without_credentials_a_plan_fails_rather_than_seeing_no_change() {
    let user = User::new();
    let ran = user.run(&["plan", "-f", &example()]).expect(1);
    let text = ran.stdout();
    assert!(text.starts_with("payments/payments-eu  ! sts:GetCallerIdentity: "), "{text}");
    assert_eq!(text.lines().count(), 5, "one line a cluster: {text}");
    assert!(text.contains("give Fleetwright AWS credentials"), "{text}");
    assert!(!text.contains("SIMULATED"), "{text}");
}
