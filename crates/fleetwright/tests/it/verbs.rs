//! The verbs beside `up` and `plan`, against a running hub: what they say, and what they stop.

use base64::Engine as _;
use serde_json::Value;

use crate::fixture::{User, example, example_text, until};
use crate::kubectl::Kubectl;

/// The first cluster of the example, with the ranges of its endpoint declared.
fn guarded() -> String {
    let text = example_text("20-clusters.yaml");
    let (first, _) = text.split_once("---\n").expect("two documents");
    let network = "network: {subnetIds: [subnet-0a, subnet-0b], \
                   endpoint: {access: PublicAndPrivate, publicCidrs: [203.0.113.0/24]}}";
    first.replace("network: {subnetIds: [subnet-0a, subnet-0b]}", network)
}

fn json(user: &User, args: &[&str]) -> Value {
    serde_json::from_str(&user.run(args).expect(0).stdout()).expect("JSON")
}

const ONE: &str = "payments/payments-eu";

#[test]
fn a_fleet_that_is_well_is_listed_explained_and_has_a_history() {
    let user = User::new();
    let running = user.start(&["-f", &example()]);
    running.until_it_says("Leave this running");

    let got = user.run(&["get"]).expect(0).stdout();
    // All columns but the age; hosts have no region.
    let row = |line: &str| {
        let mut cells: Vec<&str> = line.split_whitespace().collect();
        cells.pop();
        cells.join(" ")
    };
    let rows: Vec<String> = got.lines().map(row).collect();
    assert_eq!(
        rows,
        [
            "CLUSTER PROVIDER REGION VERSION READY SYNCED NODES POLICY DRIFT",
            "payments/payments-eu eks eu-west-1 1.34 True True 4 1/1 None",
            "retail/retail-us eks us-east-1 1.34 True True 3 1/1 None",
            "retail/retail-we aks westeurope 1.34.2 True True 5 1/1 None",
            "retail/store-17 k3s v1.34.2+k3s1 True True 5 1/1 None",
        ]
    );
    let got = json(&user, &["get", "-n", "retail", "retail-us", "-o", "json"]);
    assert_eq!(got["clusters"].as_array().map(Vec::len), Some(1));
    assert_eq!(got["clusters"][0]["ready"], "True");
    assert_eq!(got["clusters"][0]["state"], "Ready");
    let got = user.run(&["get", ONE, "--effective"]).expect(0).stdout();
    for expected in ["  mode: Manage   # default\n", "    team: platform   # account aws\n"] {
        assert!(got.contains(expected), "{expected:?} not in\n{got}");
    }
    let ran = user.run(&["get", "nothing/here"]).expect(1);
    let expected = "error: there is no managedclusters.fleetwright.dev nothing/here\n";
    assert_eq!(ran.stderr(), expected);

    let told = user.run(&["why", ONE]).expect(0).stdout();
    assert!(told.starts_with("Ready=True · Synced=True: as declared, and usable\n"), "{told}");
    assert!(told.ends_with("  Nothing is held up.\n"), "{told}");
    let lines = json(&user, &["history", ONE, "-o", "json"]);
    let calls: Vec<&str> = lines["lines"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|line| line["operation"].as_str())
        .collect();
    assert_eq!(calls, ["eks:CreateCluster", "eks:CreateNodegroup"]);
    let plan = user.run(&["plan"]).expect(0).stdout();
    let expected =
        "0 of 4 clusters · 0 cloud writes (0 now, 0 wait) · 0 deletes · nothing else touched\n";
    assert!(plan.ends_with(expected), "{plan}");
}

#[test]
fn what_goes_wrong_on_request_is_explained_and_ends_on_request() {
    let user = User::new();
    let files =
        [user.file("a.yaml", &example_text("10-account.yaml")), user.file("c.yaml", &guarded())];
    let running = user.start(&["-f", &files[0], "-f", &files[1]]);
    running.until_it_says("Leave this running");
    let why = || user.run(&["why", ONE]).expect(0).stdout();

    let told = user.run(&["sim", "fault", ONE, "capacity", "--pool", "general"]).expect(0).stdout();
    assert!(
        told.ends_with("pool general from now on; `fleetwright sim clear` ends it\n"),
        "{told}"
    );
    until("the missing machines are explained", || {
        let told = why();
        told.contains("NodePoolsReady=False CapacityUnavailable: ")
            && told.contains("you can: add an instance type or a subnet")
    });
    let got = user.run(&["get"]).expect(0).stdout();
    assert!(got.contains("  └ NodePoolsReady=False CapacityUnavailable: "), "{got}");
    let told = user.run(&["sim", "faults"]).expect(0).stdout();
    assert_eq!(told.lines().count(), 2, "{told}");
    user.run(&["sim", "clear"]).expect(0);
    assert_eq!(user.run(&["sim", "faults"]).expect(0).stdout(), "nothing goes wrong\n");
    until("nothing is held up any more", || why().contains("Nothing is held up."));

    let calls = || user.run(&["history", ONE]).expect(0).stdout();
    assert!(!calls().contains("eks:UpdateClusterConfig"), "{}", calls());
    let change = "eks.network.endpoint.publicCidrs=0.0.0.0/0";
    user.run(&["sim", "drift", ONE, change]).expect(0);
    until("the drift is put back", || calls().contains("eks:UpdateClusterConfig"));
    let ran = user.run(&["sim", "drift", ONE, "eks.region=moon"]).expect(1);
    assert!(ran.stderr().contains("\"eks.region\" cannot drift; what can: "), "{}", ran.stderr());

    // A plan asks the cloud itself what stands in the way: the hub never asked about this version.
    user.run(&["sim", "fault", ONE, "upgrade-blocked"]).expect(0);
    let newer = guarded().replace("version: \"1.34\"", "version: \"1.35\"");
    let plan = user.run(&["plan", "-f", &user.file("newer.yaml", &newer)]).expect(2).stdout();
    assert!(plan.contains("! Deprecated APIs removed in the next Kubernetes version: "), "{plan}");

    // An expired credential fails a plan, and says what to do.
    user.run(&["sim", "fault", "all", "expired-credentials"]).expect(0);
    let ran = user.run(&["plan"]).expect(1);
    assert!(ran.stdout().contains("expired"), "{}", ran.stdout());
    until("the expired credential is explained", || {
        let told = why();
        told.contains("Expired") && told.contains("give Fleetwright credentials that work")
    });
}

#[test]
fn a_freeze_stops_a_deletion_and_forget_lets_its_object_go() {
    let user = User::new();
    let running = user.start(&["-f", &example()]);
    running.until_it_says("Leave this running");
    let hub = Kubectl { user: &user, kubeconfig: user.data().join("kubeconfig") };

    let ran = user.run(&["forget", ONE, "--reason", "gone"]).expect(1);
    assert!(ran.stderr().contains("is not being deleted"), "{}", ran.stderr());
    let told = user.run(&["freeze", "--reason", "incident 4711"]).expect(0).stdout();
    assert!(told.starts_with("Frozen: within 5 s nothing more is written"), "{told}");
    let plan = user.run(&["plan"]).expect(0).stdout();
    assert!(plan.contains("says \"incident 4711\"; nothing of this happens before"), "{plan}");
    until("the hub knows of the freeze", || {
        hub.ok(&["get", "configmap", "-n", "fleetwright-system", "safety", "-o", "name"]).len() > 1
    });
    crate::fixture::pause(std::time::Duration::from_secs(5));
    hub.ok(&["delete", "fwc", "-n", "payments", "payments-eu", "--wait=false"]);
    until("the deletion says that it waits for a thaw", || {
        let told = user.run(&["why", ONE]).expect(0).stdout();
        told.starts_with("being deleted") && told.contains("fleetwright thaw")
    });
    let told = user.run(&["forget", ONE, "--reason", "its account is closed"]).expect(0).stdout();
    assert!(told.contains("  eks:eu-west-1/payments-payments-eu-"), "{told}");
    assert!(told.contains("  pool general (4 nodes)"), "{told}");
    user.run(&["get", ONE]).expect(1);
    let told = user.run(&["history", ONE]).expect(0).stdout();
    assert!(told.contains("forgotten: its account is closed; stays behind: eks:"), "{told}");
    let told = user.run(&["thaw"]).expect(0).stdout();
    assert!(told.starts_with("Thawed: ") && told.contains("incident 4711"), "{told}");
    let told = user.run(&["thaw"]).expect(0).stdout();
    assert_eq!(told, "Nothing was frozen, and the fuse had not tripped.\n");
}

#[test]
fn an_edit_is_planned_as_text_json_and_markdown() {
    let user = User::new();
    let running = user.start(&["-f", &example()]);
    running.until_it_says("Leave this running");
    let windows =
        "maintenance: {windows: [{days: [Mon], start: \"00:00\", duration: 1m}]}\n  tags:";
    let next = example_text("20-clusters.yaml")
        .replacen("version: \"1.34\"", "version: \"1.36\"", 1)
        .replacen("tags:", windows, 1)
        .replacen("max: 12", "max: 16", 1);
    let next = user.file("next.yaml", &next);
    let text = user.run(&["plan", "-f", &next]).expect(2).stdout();
    for expected in [
        "~ nodePools[general].size.max  12 → 16",
        "1.34 → 1.35 → 1.36  nodes roll twice  waits: window Mon 00:00 (",
        "1 of 4 clusters · 5 cloud writes (1 now, 4 wait) · 0 deletes · nothing else touched    (-o markdown for a pull request)\n",
    ] {
        assert!(text.contains(expected), "{expected:?} not in\n{text}");
    }
    let document: Value =
        serde_json::from_str(&user.run(&["plan", "-f", &next, "-o", "json"]).expect(2).stdout())
            .expect("JSON");
    assert_eq!(document["totals"]["cloudWrites"], 5);
    assert_eq!(document["entries"][0]["cluster"], ONE);
    assert!(document["entries"][0]["lines"][1]["until"].is_string(), "{document:#}");
    let text = user.run(&["plan", "-f", &next, "-o", "markdown"]).expect(2).stdout();
    assert!(text.starts_with("### Fleetwright plan: 1 of 4 clusters would change\n"), "{text}");
    assert!(text.contains("| `12 → 16` | in place | now |"), "{text}");

    // What goes down is refused before it is tried.
    let down = example_text("20-clusters.yaml").replacen("1.34", "1.33", 1);
    let ran = user.run(&["plan", "-f", &user.file("down.yaml", &down)]).expect(1);
    let expected = "down.yaml:7  spec.version  spec.version cannot go below the running version";
    assert!(ran.stderr().contains(expected), "{}", ran.stderr());
    // And so is another value of what cannot change.
    for (from, to, expected) in [
        ("role/eks-control-plane", "role/eks-other", "roleArn is immutable"),
        (
            "region: eu-west-1",
            "region: eu-west-1\n    externalName: x",
            "externalName is immutable",
        ),
        (
            "[subnet-0a, subnet-0b]",
            "[subnet-0a, subnet-0b], serviceCidr: 10.1.0.0/16",
            "serviceCidr is immutable",
        ),
    ] {
        let text = example_text("20-clusters.yaml").replacen(from, to, 1);
        let ran = user.run(&["plan", "-f", &user.file("moved.yaml", &text)]).expect(1);
        assert!(ran.stderr().contains(expected), "{expected} not in\n{}", ran.stderr());
    }
}

#[test]
fn an_aks_cluster_drifts_is_explained_and_guarded_like_any_other() {
    const AKS: &str = "retail/retail-we";
    let user = User::new();
    let account = user.file("a.yaml", &example_text("11-azure-account.yaml"));
    let good = example_text("21-aks-cluster.yaml");
    let running = user.start(&["-f", &account, "-f", &user.file("c.yaml", &good)]);
    running.until_it_says("Leave this running");
    let hub = Kubectl { user: &user, kubeconfig: user.data().join("kubeconfig") };
    let field = "jsonpath={.data.kubeconfig}";
    let secret = hub.ok(&["get", "secret", "-n", "retail", "retail-we-kubeconfig", "-o", field]);
    let kubeconfig = base64::engine::general_purpose::STANDARD.decode(secret).expect("base64");
    let kubeconfig = user.file("member", &String::from_utf8(kubeconfig).expect("UTF-8")).into();
    let member = Kubectl { user: &user, kubeconfig };
    assert_eq!(member.ok(&["get", "nodes", "-o", "name"]).lines().count(), 5);

    let writes = || {
        let lines = json(&user, &["history", AKS, "-o", "json"]);
        let lines = lines["lines"].as_array().cloned().unwrap_or_default();
        let put = "aks:ManagedClusters_CreateOrUpdate";
        lines.iter().filter(|line| line["operation"] == put).count()
    };
    assert_eq!(writes(), 1);
    let change = "aks.apiServer.authorizedCidrs=0.0.0.0/0";
    user.run(&["sim", "drift", AKS, change]).expect(0);
    until("the drift is put back", || writes() == 2);
    let ran = user.run(&["sim", "drift", AKS, "aks.location=moon"]).expect(1);
    assert!(ran.stderr().contains("\"aks.location\" cannot drift; what can: "), "{}", ran.stderr());

    user.run(&["sim", "fault", AKS, "denied"]).expect(0);
    until("the denied access is explained", || {
        let told = user.run(&["why", AKS]).expect(0).stdout();
        told.contains("AuthorizationFailed")
            && told.contains("the role of docs/guides/aks-role.json")
            && told.contains("next look within ")
    });
    user.run(&["sim", "clear", AKS]).expect(0);
    let well = || user.run(&["why", AKS]).expect(0).stdout().contains("Nothing is held up.");
    until("it is well again", well);

    // What cannot change on a living cluster is told before it is tried.
    let eks = example_text("20-clusters.yaml");
    let (_, eks) = eks.split_once("---\n").expect("two documents");
    let other_cloud = eks.replace("retail-us", "retail-we");
    let edit = |from: &str, to: &str| good.replacen(from, to, 1);
    for (text, expected) in [
        (
            edit("location: westeurope", "location: northeurope"),
            "spec.aks.location  location is immutable",
        ),
        (edit("rg-retail", "rg-other"), "spec.aks.resourceGroup  resourceGroup is immutable"),
        (
            edit("{access: Public, authorizedCidrs: [203.0.113.0/24]}", "{access: Private}"),
            "access is immutable: AKS cannot change it on a living cluster",
        ),
        (edit("version: \"1.34\"", "version: \"1.33\""), "cannot go below the running version"),
        (other_cloud, "the provider block cannot change for another: make a new object"),
    ] {
        let ran = user.run(&["plan", "-f", &user.file("moved.yaml", &text)]).expect(1);
        let told = ran.stderr();
        assert!(
            told.contains("moved.yaml:") && told.contains(expected),
            "{expected} not in\n{told}"
        );
    }
}

#[test]
fn a_token_is_signed_by_the_role_that_was_asked_for() {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let user = User::new();
    let running = user.start(&[]);
    running.until_it_says("Leave this running");
    let folder = format!("--simulated={}", user.data().display());
    let role = "--role-arn=arn:aws:iam::111122223333:role/ops";
    let eks = ["token", "--provider=eks", "--region=eu-west-1", "--cluster=one"];
    let signed = |more: &[&str]| {
        let args: Vec<&str> =
            [folder.as_str()].into_iter().chain(eks).chain(more.to_vec()).collect();
        let token = json(&user, &args)["status"]["token"].as_str().expect("a token").to_owned();
        let url = URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.").expect("a prefix"));
        String::from_utf8(url.expect("base64")).expect("a URL")
    };
    assert!(!signed(&[]).contains("X-Amz-Security-Token"));
    assert!(signed(&[role, "--external-id=shop"]).contains("X-Amz-Security-Token"));
    let aks = [&folder, "token", "--provider=aks", "--region=westeurope", "--cluster=a/b/c"];
    let made = json(&user, &aks);
    assert_eq!(made["status"]["token"].as_str().map(|token| token.split('.').count()), Some(3));
    let mut wrong = aks.to_vec();
    wrong.push(role);
    let told = user.run(&wrong).expect(1).stderr();
    assert_eq!(told, "error: --role-arn is for provider eks\n");
}
