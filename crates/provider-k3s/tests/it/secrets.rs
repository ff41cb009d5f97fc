//! No secret in the arguments of any command on the host: the shell writes down every command that it runs.

use std::time::Duration;

use fleetwright_provider_k3s::hosts::{HostOp, ManagedFile, Next, next};

use super::support::host::{Host, Shell, cannot_host};
use super::support::{PASSWORD, TOKEN, goal};

#[tokio::test]
async fn no_command_of_any_deed_has_a_secret_in_its_arguments() {
    if cannot_host() {
        return;
    }
    for kind in ["dash", "bash"] {
        let host = Host::with_shell(kind);
        let shell = Shell { traced: true, ..Shell::on(&host) };
        let mut deeds = 0;
        let mut goal = goal();
        goal.file(ManagedFile::Manifest, "kind: ServiceAccount\n");
        loop {
            let facts = shell.look().await;
            match next(&goal.wanted, &facts, facts.epoch_s) {
                Next::Do(step) => {
                    let op = step.op(&goal.materials).expect("a deed");
                    shell.try_op(&op, "7-a").await.expect("done");
                }
                Next::Wait => tokio::time::sleep(Duration::from_millis(20)).await,
                Next::Done => break,
                other => panic!("{other:?}"),
            }
            deeds += 1;
            assert!(deeds < 40, "it does not end");
        }
        let mint = HostOp::MintToken { valid: Duration::from_secs(3600) };
        for op in [HostOp::ReadCluster, HostOp::ReadToken, mint, HostOp::Uninstall] {
            shell.try_op(&op, "7-a").await.expect("done");
        }
        let trace = shell.trace.lock().expect("lock");
        assert!(trace.contains("+ mv -f /etc/rancher/k3s/token.fleetwright-new"));
        for secret in [TOKEN, PASSWORD, "swordfish"] {
            assert!(!trace.contains(secret), "{kind}: {secret} is in the trace");
        }
        assert_eq!(host.sh("ls -d /tmp/pwned 2>/dev/null || echo none"), "none");
    }
}
