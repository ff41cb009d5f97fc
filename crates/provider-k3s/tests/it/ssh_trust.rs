//! Who gets in and who is refused, by a real sshd and real keys.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use fleetwright_clock::SystemClock;
use fleetwright_errclass::Class;
use fleetwright_provider_k3s::hosts::{
    Answer, HostOp, HostWire as _, Payload, Request, WireError, perform,
};
use fleetwright_provider_k3s::ssh::{
    Hop, HostKeyProblem, HostKeys, Route, SshError, SshHost, SshLimits, connect,
};
use russh::keys::HashAlg;
use russh::keys::ssh_key::certificate::{Builder, CertType};

use super::support::host::{Host, cannot_host};
use super::support::keys::{AUTHORITY, HOST, OURS, STRANGER, identity, key, public};
use super::support::owner;
use super::support::relay::{Relay, ssh_host, sshd_files};

fn fingerprint(seed: u8) -> String {
    key(seed).fingerprint(HashAlg::Sha256).to_string()
}

/// Who the host thinks we are, after scripts became root.
async fn whoami(host: &SshHost) -> Result<bool, String> {
    match perform(host, &HostOp::ReadFacts, &owner("7-a")).await {
        Ok(Answer::Facts(facts)) => Ok(facts.root),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn request(script: &str, timeout_ms: u64) -> Request {
    Request {
        what: "try".to_owned(),
        script: script.to_owned(),
        payload: Payload::Nothing,
        timeout: Duration::from_millis(timeout_ms),
    }
}

#[tokio::test]
async fn the_right_key_opens_a_host_that_is_who_it_should_be() {
    if cannot_host() {
        return;
    }
    let host = ssh_host();
    let relay = Relay::to(&host).await;
    let root = relay.connect("root").await;
    assert_eq!(whoami(&root).await, Ok(true));
    root.close().await;
    // By sudo, for a user who may.
    assert_eq!(whoami(&relay.connect("ops").await).await, Ok(true));
    let said = whoami(&relay.connect("clerk").await).await.expect_err("refused");
    assert_eq!(
        said,
        "cannot look at the host: the host does not let this user run `sudo -n /bin/sh` (sudo: a password is required); add it to \
         sudoers with NOPASSWD, or log in as root"
    );
    let stranger = relay.try_connect("root", &relay.trust(), STRANGER).await.expect_err("refused");
    assert_eq!(
        stranger.to_string(),
        format!(
            "[127.0.0.1]:{} refuses user root with our key {}; it would take publickey. Add the key to that user's authorized_keys",
            relay.port,
            fingerprint(STRANGER)
        )
    );
    assert_eq!(stranger.class(), Class::Refused);
}

#[tokio::test]
async fn a_host_that_shows_another_key_hears_nothing_of_us() {
    if cannot_host() {
        return;
    }
    let host = ssh_host();
    let relay = Relay::to(&host).await;
    let name = relay.hop("root").key_name();
    let problem = |refused: Result<SshHost, SshError>| match refused.expect_err("refused") {
        SshError::HostKey { hop, problem } => {
            assert_eq!(hop, name);
            problem
        }
        other => panic!("{other}"),
    };
    let mut changed = HostKeys::default();
    changed.pin(&name, &public(STRANGER)).expect("pinned");
    assert_eq!(
        problem(relay.try_connect("root", &changed, OURS).await),
        HostKeyProblem::Changed { got: fingerprint(HOST), expected: vec![fingerprint(STRANGER)] }
    );
    let mut elsewhere = HostKeys::default();
    elsewhere.pin("127.0.0.1", &public(HOST)).expect("pinned");
    for unknown in [HostKeys::default(), elsewhere] {
        assert_eq!(
            problem(relay.try_connect("root", &unknown, OURS).await),
            HostKeyProblem::Unknown { got: fingerprint(HOST), authorities: 0 }
        );
    }
    let mut authority = HostKeys::default();
    authority.authority(&public(AUTHORITY)).expect("authority");
    assert_eq!(
        problem(relay.try_connect("root", &authority, OURS).await),
        HostKeyProblem::Unknown { got: fingerprint(HOST), authorities: 1 }
    );
    let revoked = format!("{name} {0}\n@revoked * {0}\n", public(HOST));
    let revoked = HostKeys::from_known_hosts(&revoked).expect("lines");
    assert_eq!(
        problem(relay.try_connect("root", &revoked, OURS).await),
        HostKeyProblem::Revoked { got: fingerprint(HOST) }
    );
    // Not one of them got as far as telling a user's name.
    let log = host.sh("cat /var/log/sshd.log");
    assert!(!log.contains("root") && !log.contains("Accepted"), "{log}");
}

/// A host whose key is certified for `name`, for `valid_s` seconds from now.
fn certified(name: &str, valid_s: i64) -> Host {
    Host::boot("dash", None, |over| {
        sshd_files(over, HOST, "HostCertificate /etc/ssh/host_key-cert.pub\n");
        let now = fleetwright_clock::Clock::now(&SystemClock).as_second();
        let until = u64::try_from(now + valid_s).expect("late");
        let public = key(HOST).public_key().key_data().clone();
        let mut builder = Builder::new(vec![1; 16], public, until - 7200, until).expect("builder");
        builder.cert_type(CertType::Host).expect("type");
        builder.key_id("store-17").expect("id");
        builder.valid_principal(name).expect("name");
        let certificate = builder.sign(&key(AUTHORITY)).expect("signed");
        let text = certificate.to_openssh().expect("text");
        std::fs::write(over.join("etc/ssh/host_key-cert.pub"), text).expect("certificate");
    })
}

#[tokio::test]
async fn a_certificate_of_the_authority_lets_a_host_be_known() {
    if cannot_host() {
        return;
    }
    let mut trust = HostKeys::default();
    trust.authority(&public(AUTHORITY)).expect("authority");
    let host = certified("127.0.0.1", 3600);
    let relay = Relay::to(&host).await;
    let known = relay.try_connect("root", &trust, OURS).await.expect("known");
    assert_eq!(whoami(&known).await, Ok(true));
    // A plain pin does not mind that there is a certificate too.
    assert_eq!(whoami(&relay.connect("root").await).await, Ok(true));
    for (name, valid_s, wanted) in [
        ("127.0.0.1", -10, "has expired; sign the host's key again"),
        ("10.0.0.12", 3600, "is for 10.0.0.12; sign the host's key with `-n 127.0.0.1`"),
    ] {
        let host = certified(name, valid_s);
        let relay = Relay::to(&host).await;
        let refused = relay.try_connect("root", &trust, OURS).await.expect_err("refused");
        assert!(refused.to_string().ends_with(wanted), "{refused}");
    }
}

/// sshd that listens at an address of the network that it shares with others.
fn listening(near: &Host, address: &str, seed: u8) -> (Host, std::process::Child) {
    let more = format!("ListenAddress {address}\n");
    let host = Host::boot("dash", Some(near), |over| sshd_files(over, seed, &more));
    let mut sshd = host.command("/usr/sbin/sshd");
    let sshd = sshd.args(["-D", "-e"]).stderr(Stdio::piped());
    let mut sshd = sshd.spawn().expect("nsenter");
    let lines = BufReader::new(sshd.stderr.as_mut().expect("piped")).lines();
    let mut listening = lines.map(|line| line.expect("line"));
    assert!(listening.any(|line| line.contains("Server listening")), "sshd did not listen");
    (host, sshd)
}

#[tokio::test]
async fn jump_hosts_lead_on_and_each_is_judged_by_its_own_key() {
    if cannot_host() {
        return;
    }
    let bastion = ssh_host();
    let relay = Relay::to(&bastion).await;
    let (_one, mut sshd_one) = listening(&bastion, "127.0.0.11", 11);
    let (_two, mut sshd_two) = listening(&bastion, "127.0.0.12", 12);
    let hop = |host: &str| Hop::new(host, "root").expect("hop");
    let over = |jumps: Vec<Hop>, target: &str| Route::new(jumps, hop(target)).expect("route");
    let enter = async |route: &Route, trust: &HostKeys| {
        connect(route, trust, &identity(OURS), SshLimits::default(), &SystemClock).await
    };
    let mut trust = relay.trust();
    let route = over(vec![relay.hop("root")], "127.0.0.11");
    let refused = enter(&route, &trust).await.expect_err("unknown");
    assert!(refused.to_string().starts_with("127.0.0.11 is not trusted: no host key"), "{refused}");
    trust.pin("127.0.0.11", &public(11)).expect("pinned");
    trust.pin("127.0.0.12", &public(12)).expect("pinned");
    let one = enter(&route, &trust).await.expect("over one");
    assert_eq!(whoami(&one).await, Ok(true));
    let far = over(vec![relay.hop("root"), hop("127.0.0.11")], "127.0.0.12");
    let two = enter(&far, &trust).await.expect("over two");
    assert_eq!(whoami(&two).await, Ok(true));
    two.close().await;
    assert_eq!(whoami(&one).await, Ok(true), "another way over the same jump host stays");
    let nobody = over(vec![relay.hop("root")], "127.0.0.13");
    let refused = enter(&nobody, &trust).await.expect_err("nobody listens");
    let start = format!("jump host [127.0.0.1]:{} does not connect us to 127.0.0.13: ", relay.port);
    assert!(refused.to_string().starts_with(&start), "{refused}");
    assert_eq!(refused.class(), Class::Transient);
    // A bastion that is not who it should be leads nowhere.
    let mut wrong = HostKeys::default();
    wrong.pin(&relay.hop("root").key_name(), &public(STRANGER)).expect("pinned");
    wrong.pin("127.0.0.11", &public(11)).expect("pinned");
    let refused = enter(&route, &wrong).await.expect_err("changed");
    assert!(refused.to_string().contains("its host key has changed"), "{refused}");
    for sshd in [&mut sshd_one, &mut sshd_two] {
        sshd.kill().expect("killed");
        sshd.wait().expect("ended");
    }
}

#[tokio::test]
async fn a_host_that_is_silent_late_or_talks_too_much_is_left() {
    if cannot_host() {
        return;
    }
    let host = ssh_host();
    let relay = Relay::to(&host).await;
    let shell = relay.connect("root").await;
    let name = relay.hop("root").key_name();
    let late = shell.exec(&request("sleep 30", 300)).await.expect_err("late");
    let after = Duration::from_millis(300);
    assert_eq!(late, WireError::TimedOut { host: name.clone(), after });
    let endless = shell.exec(&request("yes", 20_000)).await.expect_err("endless");
    assert_eq!(endless, WireError::TooMuch { host: name.clone(), most: 1 << 20 });
    // The connection goes on.
    let output = shell.exec(&request("echo hello; echo problem >&2; exit 7", 5000)).await;
    let output = output.expect("output");
    assert_eq!(
        (output.stdout().expose(), output.last_words().as_str()),
        ("Welcome to store 17!\nfw1 uid=7\nhello\n", "problem")
    );
    relay.cut_after(0);
    let lost = shell.exec(&request("echo hello", 5000)).await.expect_err("lost");
    assert!(matches!(lost, WireError::Lost { .. }), "{lost}");
    assert_eq!(lost.class(), Class::Unknown);
    relay.mend();
    assert!(shell.is_closed());

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = nobody.local_addr().expect("address").port();
    let hop = Hop::new("127.0.0.1", "root").expect("hop").on_port(port);
    let route = Route::new(Vec::new(), hop).expect("route");
    let limits = SshLimits { connect_timeout: Duration::from_millis(300), ..SshLimits::default() };
    let enter =
        async || connect(&route, &HostKeys::default(), &identity(OURS), limits, &SystemClock).await;
    let silent = enter().await.expect_err("silent");
    assert_eq!(silent.to_string(), format!("[127.0.0.1]:{port} did not finish connecting in 0 s"));
    drop(nobody);
    let gone = enter().await.expect_err("gone");
    assert_eq!(gone.to_string(), format!("cannot reach [127.0.0.1]:{port}"));
    assert_eq!(gone.class(), Class::Transient);
}
