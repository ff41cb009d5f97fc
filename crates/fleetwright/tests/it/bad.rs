//! Bad input: answered with its line, and no cloud is called.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::fixture::{Ran, User, example, example_text};

/// A proxy that every call to a cloud would go through. Nobody shall come.
pub(crate) struct Proxy {
    listener: TcpListener,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        Self { listener }
    }

    /// `plan` with credentials that look real, and this as the only way out.
    pub(crate) fn plan(&self, user: &User, files: &[&str]) -> Ran {
        let mut args = vec!["plan"];
        args.extend(files.iter().flat_map(|file| ["-f", *file]));
        let mut command = user.command(&args);
        let proxy = format!("http://{}", self.listener.local_addr().expect("an address"));
        command.env("HTTPS_PROXY", &proxy).env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
        command.env("AWS_SECRET_ACCESS_KEY", "not-a-secret");
        command.env("AZURE_TENANT_ID", "22222222-2222-2222-2222-222222222222");
        command.env("AZURE_CLIENT_ID", "33333333-3333-3333-3333-333333333333");
        command.env("AZURE_CLIENT_SECRET", "not-a-secret");
        Ran::of(&mut command)
    }

    #[track_caller]
    pub(crate) fn saw_nobody(&self) {
        let seen = self.listener.accept().expect_err("nobody is sent out");
        assert_eq!(seen.kind(), ErrorKind::WouldBlock);
    }
}

const AKS_BLOCK: &str = "  aks: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: rg, location: westeurope}\n";

#[test]
fn invalid_files_call_no_cloud() {
    let (user, proxy) = (User::new(), Proxy::new());
    let account = user.file("account.yaml", &example_text("10-account.yaml"));
    let good = example_text("20-clusters.yaml");
    let large = format!("payloadPatch: {{x: {}}}", "y".repeat(2 * 1024 * 1024));
    let cases = [
        ("  eks:\n", format!("{AKS_BLOCK}  eks:\n"), "exactly one provider block is needed: eks, aks or k3s"),
        ("  eks:\n", "  ekss:\n".to_owned(), "exactly one provider block is needed: eks, aks or k3s"),
        ("min: 3", "min: 13".to_owned(), "min is above max (initial 4, max 12, min 13)"),
        ("initial: 4", "initial: 40".to_owned(), "initial must lie between min and max"),
        ("amiType", "amiTyp".to_owned(), "unknown; did you mean amiType?"),
        ("deletionPolicy", "deletePolicy".to_owned(), "unknown; did you mean deletionPolicy?"),
        ("version: \"1.34\"", "version: newest".to_owned(), "must be MAJOR.MINOR"),
        ("region: eu-west-1", format!("{large}\n    region: eu-west-1"), "stores at most 1572864"),
        (
            "network: {",
            "network: {endpoint: {access: Private, publicCidrs: [10.0.0.0/8]}, ".to_owned(),
            "publicCidrs mean nothing with access Private",
        ),
        (
            "  tags:",
            "  maintenance: {timezone: Mars/Olympus, windows: [{start: \"02:00\", duration: 4h}]}\n  tags:".to_owned(),
            "\"Mars/Olympus\" is no IANA time zone",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(good.contains(from), "{from}");
        let bad = user.file("bad.yaml", &good.replacen(from, &to, 1));
        let ran = proxy.plan(&user, &[&account, &bad]).expect(1);
        assert!(ran.stderr().contains("bad.yaml:"), "{expected}: {}", ran.stderr());
        assert!(ran.stderr().contains(expected), "{expected} not in\n{}", ran.stderr());
        assert_eq!(ran.stdout(), "", "{expected}");
    }
    proxy.saw_nobody();
}

/// A line is that of the field in the example with the bad text in place.
#[test]
fn what_azure_would_refuse_is_refused_with_its_line_and_calls_no_cloud() {
    let (user, proxy) = (User::new(), Proxy::new());
    let account = user.file("account.yaml", &example_text("11-azure-account.yaml"));
    let good = example_text("21-aks-cluster.yaml");
    let cases = [
        ("dataplane: Cilium, ", "", "spec.aks.network.policy", "Cilium needs dataplane Cilium"),
        ("pluginMode: Overlay, ", "", "spec.aks.network.podCidr", "needs pluginMode Overlay"),
        ("dnsServiceIp: 10.0.0.10", "dnsServiceIp: 10.9.0.10", "spec.aks.network.dnsServiceIp", ""),
        (
            "podCidr: 10.244.0.0/16",
            "podCidr: 10.0.0.0/14",
            "spec.aks.network.serviceCidr",
            "overlap",
        ),
        (
            "duration: 4h",
            "duration: 3h",
            "aksManagedNodeOSUpgradeSchedule].windows",
            "between 4h and 24h",
        ),
        (
            "kubernetes: None",
            "kubernetes: Stable",
            "spec.aks.autoUpgrade.kubernetes",
            "spec.version declares",
        ),
        ("tier: Standard", "support: LongTerm", "spec.aks.support", "LongTerm needs tier Premium"),
        ("role: System", "role: User", "spec.nodePools", "no pool with role System"),
        ("name: sys ", "name: sys-one", "spec.nodePools", ""),
        ("  aks:\n", "  azure:\n", "spec", "exactly one provider block is needed: eks, aks or k3s"),
        ("vmSize: Standard_D8ds_v5", "vmsize: Standard_D8ds_v5", "vmsize", "did you mean vmSize?"),
    ];
    for (from, to, field, expected) in cases {
        assert!(good.contains(from), "{from}");
        let bad = user.file("bad.yaml", &good.replacen(from, to, 1));
        let ran = proxy.plan(&user, &[&account, &bad]).expect(1);
        let told = ran.stderr();
        let told = told.lines().find(|line| line.contains(field) && line.contains(expected));
        let told = told.unwrap_or_else(|| panic!("{field}: {expected} not in\n{}", ran.stderr()));
        let line = told.strip_prefix(&format!("{bad}:")).and_then(|rest| rest.split(' ').next());
        assert!(line.is_some_and(|line| line.parse::<u32>().is_ok_and(|line| line > 1)), "{told}");
        assert_eq!(ran.stdout(), "", "{expected}");
    }
    let limits = |limits: &str| {
        let text = example_text("11-azure-account.yaml");
        let (head, _) = text.split_once("  limits:").expect("limits");
        user.file("account.yaml", &format!("{head}  limits: {limits}\n"))
    };
    let cluster = user.file("cluster.yaml", &good);
    for (given, expected) in [
        ("{accountIds: [99999999-9999-9999-9999-999999999999]}", "spec.aks.subscriptionId"),
        ("{resourceGroups: ['rg-other*']}", "spec.aks.resourceGroup"),
        ("{regions: [northeurope]}", "spec.aks.location"),
    ] {
        let ran = proxy.plan(&user, &[&limits(given), &cluster]).expect(1);
        let told = ran.stderr();
        assert!(told.contains("cluster.yaml:") && told.contains(expected), "{expected}: {told}");
    }
    proxy.saw_nobody();
}

#[test]
fn what_the_account_does_not_allow_calls_no_cloud() {
    let (user, proxy) = (User::new(), Proxy::new());
    let limits = |limits: &str| {
        let text = example_text("10-account.yaml");
        user.file("account.yaml", &format!("{}\n  limits: {limits}\n", text.trim_end()))
    };
    let clusters = user.file("clusters.yaml", &example_text("20-clusters.yaml"));
    for (given, expected) in [
        ("{roleArns: ['arn:aws:iam::111122223333:role/other-*']}", "spec.eks.roleArn"),
        ("{regions: [eu-north-1]}", "spec.eks.region"),
    ] {
        let ran = proxy.plan(&user, &[&limits(given), &clusters]).expect(1);
        let told = ran.stderr();
        assert!(told.contains("clusters.yaml:") && told.contains(expected), "{expected}: {told}");
        assert_eq!(ran.stdout(), "");
    }
    proxy.saw_nobody();
}

#[test]
fn a_cloud_that_cannot_be_reached_fails_the_plan_and_says_which_call() {
    let user = User::new();
    // Nothing listens there any more.
    let gone = Proxy::new();
    let address = gone.listener.local_addr().expect("an address");
    drop(gone);
    let mut command = user.command(&["plan", "-f", &example()]);
    command.env("HTTPS_PROXY", format!("http://{address}"));
    command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    command.env("AWS_SECRET_ACCESS_KEY", "not-a-secret");
    let ran = Ran::of(&mut command).expect(1);
    assert!(ran.stdout().contains("cannot connect"), "{}", ran.stdout());
    assert!(!ran.stdout().contains("not-a-secret"), "{}", ran.stdout());
}

#[test]
fn a_hub_that_cannot_be_reached_is_named() {
    let user = User::new();
    let address = Proxy::new().listener.local_addr().expect("an address");
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'https://{address}'}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\ncurrent-context: c\n"
    );
    let kubeconfig = user.file("hub.yaml", &text);
    for verb in [vec!["get"], vec!["plan"], vec!["why", "a/b"], vec!["thaw"], vec!["sim", "faults"]]
    {
        let mut args = verb;
        args.extend(["--kubeconfig", &kubeconfig]);
        let told = user.run(&args).expect(1).stderr();
        assert_eq!(told, format!("error: the hub of {kubeconfig} does not answer\n"));
    }
    for verb in [vec!["get"], vec!["plan"], vec!["history", "a/b"]] {
        let told = user.run(&verb).expect(1).stderr();
        assert!(told.starts_with("error: no hub runs here"), "{told}");
    }
    let told = user.run(&["why", "one"]).expect(1).stderr();
    assert!(told.contains("write it as NAMESPACE/NAME"), "{told}");
}

#[test]
fn nothing_goes_wrong_on_request_on_a_real_hub() {
    let user = User::new();
    let data = user.path("real");
    let data = data.to_str().expect("UTF-8");
    let running = user.start_as(&["up", "--listen", "127.0.0.1:0", "--data", data]);
    running.until_it_says("Leave this running");
    let told = user.run(&["sim", "faults", "--data", data]).expect(1).stderr();
    assert!(
        told.starts_with("error: that hub is real: nothing goes wrong there on request"),
        "{told}"
    );
}

#[test]
fn what_files_mean_is_rendered_without_a_hub_and_without_a_cloud() {
    let (user, proxy) = (User::new(), Proxy::new());
    let text = user.run(&["render", "-f", &example()]).expect(0).stdout();
    for expected in [
        "create: control plane\n",
        "create: pool general\n",
        "create: maintenance configuration aksManagedNodeOSUpgradeSchedule\n",
        "      networkDataplane: cilium\n",
        "  roleArn: arn:aws:iam::111122223333:role/eks-control-plane\n",
        "apply: networkpolicy default/fleetwright-default-deny-ingress\n",
        "      pod-security.kubernetes.io/enforce: restricted\n",
    ] {
        assert!(text.contains(expected), "{expected:?} not in\n{text}");
    }
    assert!(!text.contains("_birth"), "a note of the provider's own: {text}");
    let printed = user.run(&["render", "-f", &example(), "-o", "json"]).expect(0).stdout();
    let documents: Vec<serde_json::Value> = serde_json::from_str(&printed).expect("JSON");
    let created: Vec<&str> = documents.iter().filter_map(|one| one["create"].as_str()).collect();
    assert_eq!(
        created,
        [
            "control plane",
            "pool general",
            "control plane",
            "pool batch",
            "pool web",
            "control plane",
            "pool sys",
            "pool web",
            "maintenance configuration aksManagedNodeOSUpgradeSchedule",
            "control plane",
            "agent store-17-till-1",
            "agent store-17-till-2",
            "server store-17-s1",
            "server store-17-s2",
            "server store-17-s3",
        ]
    );
    assert_eq!(documents[0]["request"]["version"], "1.34");
    let alone = user.file("alone.yaml", &example_text("20-clusters.yaml"));
    let ran = user.run(&["render", "-f", &alone]).expect(1);
    assert!(
        ran.stderr().contains("there is no providerconfigs.fleetwright.dev \"aws\""),
        "{}",
        ran.stderr()
    );
    proxy.saw_nobody();
}
