//! K3s on a host over real SSH, with the line cut before, in and after every deed; then its life, and its end without a trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use fleetwright_provider_k3s::hosts::{
    Answer, Disruption, HostFacts, HostOp, ManagedFile, Next, next, perform, render,
};
use fleetwright_provider_k3s::ssh::SshHost;

use super::support::host::{Host, cannot_host};
use super::support::relay::{Relay, ssh_host};
use super::support::{Goal, PASSWORD, TOKEN, goal, owner};

/// Watches the arguments and environments of every process of this machine, and so of its hosts, for secrets.
struct Watch {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Watch {
    fn begin() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let watch = move || {
            let (mut rounds, mut found) = (0, Vec::new());
            while !flag.load(Ordering::SeqCst) {
                rounds += 1;
                #[allow(clippy::disallowed_methods, reason = "a thread of its own, in real time")]
                std::thread::sleep(Duration::from_millis(20));
                for process in std::fs::read_dir("/proc").expect("proc").flatten() {
                    for file in ["cmdline", "environ"] {
                        // Processes come and go.
                        let bytes = std::fs::read(process.path().join(file)).unwrap_or_default();
                        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
                        if [TOKEN, "swordfish"].iter().any(|secret| text.contains(secret)) {
                            found.push(text);
                        }
                    }
                }
            }
            (rounds, found)
        };
        let thread = Builder::new().name("watch".to_owned()).spawn(watch).expect("thread");
        Self { ended, thread }
    }

    fn end(self) {
        self.ended.store(true, Ordering::SeqCst);
        let (rounds, found) = self.thread.join().expect("joined");
        assert!(rounds > 20, "{rounds} looks are too few to mean anything");
        assert_eq!(found, Vec::<String>::new());
    }
}

/// A host and the line to it.
struct Site {
    host: Host,
    relay: Relay,
    done: Vec<String>,
}

impl Site {
    async fn new() -> Self {
        let host = ssh_host();
        let relay = Relay::to(&host).await;
        Self { host, relay, done: Vec::new() }
    }

    async fn look(&self, shell: &SshHost) -> HostFacts {
        match perform(shell, &HostOp::ReadFacts, &owner("7-a")).await.expect("facts") {
            Answer::Facts(facts) => *facts,
            other => panic!("{other:?}"),
        }
    }

    /// A fresh connection, and what a fresh look over it leads to.
    async fn next(&self, goal: Option<&Goal>) -> (SshHost, Option<HostOp>) {
        let shell = self.relay.connect("root").await;
        for _ in 0..200 {
            let facts = self.look(&shell).await;
            let Some(Goal { wanted, materials }) = goal else {
                return (shell, facts.marker.map(|_ours| HostOp::Uninstall));
            };
            match next(wanted, &facts, facts.epoch_s) {
                Next::Do(step) => return (shell, Some(step.op(materials).expect("a deed"))),
                Next::Done => return (shell, None),
                Next::Wait => {}
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it stays on its way")
    }

    /// The line breaks when `share` percent of the deed have gone out; it does not come to an end that we see.
    async fn cut_in(&self, shell: &SshHost, op: &HostOp, share: i64) {
        let request = render(op, &owner("7-a"));
        let size = request.head().len() + request.payload.bytes().len();
        self.relay.cut_after(i64::try_from(size).expect("small") * share / 100);
        let lost = perform(shell, op, &owner("7-a")).await.expect_err("the line was cut");
        assert!(lost.to_string().contains("was lost"), "{lost}");
        self.relay.mend();
    }

    /// Works until nothing is left to do, over a line that breaks before, in and after each deed.
    async fn work_under_cuts(&mut self, goal: Option<&Goal>) {
        self.done.clear();
        for _ in 0..40 {
            let (shell, Some(op)) = self.next(goal).await else { return };
            self.cut_in(&shell, &op, 0).await;
            // What was not done is still the next thing to do.
            let (shell, second) = self.next(goal).await;
            assert_eq!(second.as_ref(), Some(&op));
            self.cut_in(&shell, &op, 60).await;
            let (shell, third) = self.next(goal).await;
            // Part of a binary may have come through; the rest is then what is left.
            let Some(op) = third else { panic!("{op} was not done") };
            // Its answer is lost: this time the next look finds it done.
            drop(perform(&shell, &op, &owner("7-a")).await.expect("done"));
            self.done.push(op.to_string());
        }
        panic!("it does not end: {:?}", self.done)
    }

    /// Works over one connection that holds.
    async fn work(&mut self, goal: &Goal) {
        self.done.clear();
        let shell = self.relay.connect("root").await;
        for _ in 0..200 {
            let facts = self.look(&shell).await;
            match next(&goal.wanted, &facts, facts.epoch_s) {
                Next::Do(step) => {
                    let op = step.op(&goal.materials).expect("a deed");
                    self.done.push(op.to_string());
                    drop(perform(&shell, &op, &owner("7-a")).await.expect("done"));
                }
                Next::Wait => tokio::time::sleep(Duration::from_millis(20)).await,
                Next::Held(held) => {
                    self.done.push(format!("held: {}", held.due.join(", ")));
                    return;
                }
                Next::Done => return,
                other @ Next::Refused(_) => panic!("{other:?}"),
            }
        }
        panic!("it does not end: {:?}", self.done)
    }
}

#[tokio::test]
async fn an_install_survives_a_cut_before_in_and_after_every_deed() {
    if cannot_host() {
        return;
    }
    let watch = Watch::begin();
    let mut site = Site::new().await;
    let before = site.host.tree();
    site.work_under_cuts(Some(&goal())).await;
    let (sent, others): (Vec<&String>, Vec<&String>) =
        site.done.iter().partition(|deed| deed.starts_with("send bytes "));
    // How much of a part comes through before the line breaks is the network's business; what is sent is what was missing.
    assert!(sent.last().is_some_and(|deed| deed.ends_with(" to 200000 of k3s")), "{sent:?}");
    assert_eq!(
        others,
        [
            "mark the host as that of edge/store-17",
            "put k3s in place",
            "write /etc/rancher/k3s/token",
            "write /etc/rancher/k3s/registries.yaml",
            "write /etc/rancher/k3s/config.yaml",
            "write /etc/systemd/system/k3s.service",
            "enable k3s.service",
            "start k3s.service",
        ]
    );
    let starts = site.host.sh("grep -c '^start' /run/standin/calls");
    assert_eq!(starts, "1", "K3s is started once, whatever happens to the line");
    assert_eq!(site.host.sh("cat /etc/rancher/k3s/token"), TOKEN);
    site.work_under_cuts(None).await;
    assert_eq!(site.done, ["uninstall k3s"]);
    assert_eq!(site.host.changes(&before), Vec::<String>::new());
    watch.end();
    let log = site.host.sh("cat /var/log/sshd.log /run/standin/log");
    assert!(!log.contains(TOKEN) && !log.contains(PASSWORD) && log.contains("Accepted publickey"));
}

#[tokio::test]
async fn a_running_host_is_changed_and_upgraded_in_its_turn() {
    if cannot_host() {
        return;
    }
    let mut site = Site::new().await;
    site.work(&goal()).await;
    let mut changed = goal();
    let config = format!("token-file: {}\ndebug: true\n", ManagedFile::Token.path());
    changed.file(ManagedFile::Config, &config);
    site.work(&changed).await;
    assert_eq!(site.done, ["write /etc/rancher/k3s/config.yaml", "restart k3s.service"]);
    let mut newer = changed;
    newer.version("v1.35.0+k3s1");
    site.work(&newer.clone().disruption(Disruption::Held)).await;
    assert_eq!(
        site.done,
        [
            "send bytes 0 to 150000 of k3s",
            "send bytes 150000 to 200000 of k3s",
            "held: put k3s in place"
        ]
    );
    site.work(&newer).await;
    assert_eq!(site.done, ["put k3s in place", "restart k3s.service"]);
    let shell = site.relay.connect("root").await;
    let facts = site.look(&shell).await;
    assert_eq!(facts.version.as_deref(), Some("v1.35.0+k3s1"));
    // Backwards is refused, in words, and nothing is sent.
    let Next::Refused(reasons) = next(&goal().wanted, &facts, facts.epoch_s) else {
        panic!("refused")
    };
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(reasons, ["it runs v1.35.0+k3s1; K3s cannot go back to v1.34.2+k3s1"]);
    // A reboot loses what was loaded together with the process.
    site.host.sh("systemctl stop k3s; rm -rf /run/fleetwright");
    site.work(&newer).await;
    assert_eq!(site.done, ["start k3s.service"]);
}
