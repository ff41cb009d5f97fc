//! `fleetwright up --simulate`: the first command a newcomer runs, and what interrupts it.

use std::time::Duration;

use fleetwright_cloudsim::SimCluster;

use crate::fixture::{User, example, example_text, pause};

fn once(user: &User) -> crate::fixture::Ran {
    user.run(&["up", "--simulate", "--once", "--listen", "127.0.0.1:0", "-f", &example()])
}

/// Regions and pools of the example; of the cluster on hosts its nodes.
const EXAMPLE: [(&str, &str); 4] = [
    ("eu-west-1", "general"),
    ("us-east-1", "batch, web"),
    ("westeurope", "sys, web"),
    ("", "store-17-s1, store-17-s2, store-17-s3, store-17-till-1, store-17-till-2"),
];

/// Regions and pools; all must be active.
fn names(clusters: &[SimCluster]) -> Vec<(&str, String)> {
    let active = |one: &SimCluster| ["ACTIVE", "Succeeded"].contains(&one.status.as_str());
    assert!(clusters.iter().all(active), "{clusters:?}");
    let pools = |one: &SimCluster| {
        let names: Vec<&str> = one.nodegroups.iter().map(|pool| pool.name.as_str()).collect();
        names.join(", ")
    };
    clusters.iter().map(|one| (one.region.as_str(), pools(one))).collect()
}

#[test]
fn once_ends_in_a_ready_table_and_a_second_one_creates_nothing() {
    let user = User::new();
    let first = once(&user).expect(0).stdout();
    assert!(
        first.starts_with("fleetwright 0.1.0   SIMULATED: reads no credentials, calls no cloud"),
        "{first}"
    );
    assert!(first.contains("applied 9 objects"), "{first}");
    assert!(first.contains("Ready 5/5 in "), "{first}");
    let table = first.split_once("\n\n").map(|(_, table)| table).unwrap_or_default();
    let expected = "\
CLUSTER               PROVIDER  REGION      VERSION       READY  SYNCED  NODES  POLICY
payments/payments-eu  eks       eu-west-1   1.34          True   True    4      1/1
retail/retail-us      eks       us-east-1   1.34          True   True    3      1/1
retail/retail-we      aks       westeurope  1.34.2        True   True    5      1/1
retail/store-17       k3s                   v1.34.2+k3s1  True   True    5      1/1

POLICY    READY  COMPLIANT
baseline  True   4/4
";
    assert_eq!(table, expected);
    let made = user.inventory();
    assert_eq!(names(&made), EXAMPLE.map(|(region, pools)| (region, pools.to_owned())));

    let second = once(&user).expect(0).stdout();
    assert!(second.contains("9 objects as declared"), "{second}");
    assert_eq!(user.inventory(), made, "nothing was made anew");
}

#[test]
fn killed_at_any_moment_the_next_up_ends_the_same() {
    let user = User::new();
    for after_ms in [60, 150, 400, 1500, 5800, 2500] {
        let running = user.start(&["--once", "-f", &example()]);
        pause(Duration::from_millis(after_ms));
        running.kill();
    }
    let last = once(&user).expect(0).stdout();
    assert!(last.contains("Ready 5/5 in "), "{last}");
    let made = user.inventory();
    assert_eq!(names(&made), EXAMPLE.map(|(region, pools)| (region, pools.to_owned())));
}

#[test]
fn a_stop_before_ready_is_an_interruption_and_after_it_a_success() {
    let user = User::new();
    let running = user.start(&["-f", &example()]);
    running.until_it_says("the cloud is making it");
    assert_eq!(running.signal("INT"), Some(130));
    let running = user.start(&[]);
    running.until_it_says("Leave this running");
    assert_eq!(running.signal("TERM"), Some(0));
}

#[test]
fn what_needs_an_edit_ends_once_early_and_says_what_to_edit() {
    let user = User::new();
    let cluster =
        example_text("20-clusters.yaml").replace("namespace: retail", "namespace: elsewhere");
    let (account, cluster) =
        (user.file("a.yaml", &example_text("10-account.yaml")), user.file("c.yaml", &cluster));
    let args =
        ["up", "--simulate", "--once", "--listen", "127.0.0.1:0", "-f", &account, "-f", &cluster];
    let ran = user.run(&args).expect(1);
    let expected = "not ready: eks elsewhere/retail-us: spec.providerConfigRef.name: \"aws\" does not allow namespace \
        \"elsewhere\"; its owner can add it to spec.allowedNamespaces.names";
    assert!(ran.stderr().contains(expected), "{}", ran.stderr());
    assert!(
        ran.stdout().contains("payments/payments-eu  eks       eu-west-1  1.34     True"),
        "{}",
        ran.stdout()
    );

    // Mended in another object than the one that is stuck.
    let account = example_text("10-account.yaml").replace("retail]", "elsewhere]");
    let account = user.file("a.yaml", &account);
    let args = ["up", "--simulate", "--once", "--listen", "127.0.0.1:0", "-f", &account];
    let ran = user.run(&args).expect(0);
    assert!(ran.stdout().contains("Ready 2/2 in "), "{}", ran.stdout());
}

#[test]
fn out_of_time_has_its_own_code() {
    let user = User::new();
    let args = [
        "up",
        "--simulate",
        "--once",
        "--timeout",
        "2s",
        "--listen",
        "127.0.0.1:0",
        "-f",
        &example(),
    ];
    let ran = user.run(&args).expect(3);
    let expected = "not ready: eks payments/payments-eu: control plane: the cloud is making it";
    assert!(ran.stderr().contains(expected), "{}", ran.stderr());
}
