//! Where binaries and images come from: sent ahead, found on the host, or fetched there by K3s's own script.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use fleetwright_provider_k3s::hosts::{
    Artifact, Content, Datastore, Digest, Fetched, HostOp, Packing, Release, Source,
};

use super::support::host::{Host, Shell, cannot_host};
use super::support::{ARCH, binary, goal};

const IMAGES: &str = "/var/lib/rancher/k3s/agent/images/fleetwright-airgap-images.tar.zst";

#[tokio::test]
async fn images_are_there_before_the_first_start_and_stay_as_they_were_sent() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    let before = host.tree();
    let images = Fetched::new(ARCH, Digest::of("images"), "images").expect("images");
    let release = Release { arch: ARCH, digest: images.digest().clone() };
    let mut goal = goal();
    goal.materials.part_bytes = None;
    goal.materials.images = Some(images);
    goal.wanted.images = Some((Artifact::Images(Packing::Zstd), release));
    let done = shell.settle(&goal).await;
    assert_eq!(
        done[2..5],
        ["send bytes 0 to 6 of the images", "put the images in place", "put k3s in place"]
    );
    assert_eq!(host.sh(&format!("stat -c %a {IMAGES}; cat {IMAGES}")), "600\nimages");
    assert_eq!(host.sh("stat -c %a /var/lib/rancher/k3s /var/lib/rancher/k3s/agent"), "755\n700");
    // Not read again as long as nobody touches it, and sent again when somebody did.
    host.sh(&format!("cat {IMAGES} >/tmp/copy; printf imageS >{IMAGES}"));
    assert_eq!(
        shell.settle(&goal).await,
        ["send bytes 0 to 6 of the images", "put the images in place"]
    );
    shell.done(HostOp::Uninstall).await;
    assert_eq!(host.changes(&before), Vec::<String>::new());
}

#[tokio::test]
async fn manifests_and_images_alone_are_no_data_of_k3s() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    host.sh("mkdir -p /var/lib/rancher/k3s/server/manifests /var/lib/rancher/k3s/agent/images");
    assert!(Shell::on(&host).look().await.data.is_empty());
    host.sh("mkdir -p /var/lib/rancher/k3s/server/tls /var/lib/rancher/k3s/agent/etc");
    let data = Shell::on(&host).look().await.data;
    assert_eq!(data.into_iter().collect::<Vec<_>>(), [Datastore::Server, Datastore::Agent]);
}

/// The stand-in at this path of the host.
fn put_binary(host: &Host, path: &str) {
    let bytes = binary("v1.34.2+k3s1").stored().part(0, 1 << 20).expect("bytes").bytes();
    let path = format!("/proc/{}/root{path}", host.pid());
    fs::write(&path, bytes).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
}

#[tokio::test]
async fn a_binary_of_somebody_else_stays_when_k3s_goes() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    put_binary(&host, "/usr/local/bin/k3s");
    let before = host.tree();
    let mut goal = goal();
    goal.wanted.source = Source::Preinstalled;
    goal.materials.binary = None;
    let done = shell.settle(&goal).await;
    assert_eq!(done[1], "write /etc/fleetwright/keep-binary");
    assert!(!done.iter().any(|deed| deed.contains("send") || deed.contains("in place")));
    shell.done(HostOp::Uninstall).await;
    assert_eq!(host.changes(&before), Vec::<String>::new());
}

/// As much of K3s's install script as matters: a binary, a unit with variables, and its own way to uninstall.
const SCRIPT: &str = r#"set -eu
[ "$INSTALL_K3S_SKIP_START" = true ] && [ "$INSTALL_K3S_SKIP_ENABLE" = true ]
sed "s/v1.34.2+k3s1/$INSTALL_K3S_VERSION/" /opt/k3s >/usr/local/bin/k3s
chmod 755 /usr/local/bin/k3s
echo '#!/bin/sh' >/usr/local/bin/k3s-killall.sh
echo '#!/bin/sh' >/usr/local/bin/k3s-uninstall.sh
: >/etc/systemd/system/k3s.service.env
printf '[Install]\nWantedBy=multi-user.target\n[Service]\nType=notify\nExecStart=/usr/local/bin/k3s %s\n' \
  "$INSTALL_K3S_EXEC" >/etc/systemd/system/k3s.service
echo '[INFO] nothing is started'
"#;

#[tokio::test]
async fn an_install_script_brings_binary_and_unit() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    host.sh("mkdir -p /opt");
    put_binary(&host, "/opt/k3s");
    let before = host.tree();
    let mut goal = goal();
    goal.wanted.source = Source::Script;
    goal.materials.binary = None;
    goal.materials.script = Some(Content::new(SCRIPT.to_owned()));
    let done = shell.settle(&goal).await;
    assert_eq!(done[1], "run K3s's install script for a server of v1.34.2+k3s1");
    assert!(
        done.contains(&"write /etc/systemd/system/k3s.service.d/50-fleetwright.conf".to_owned())
    );
    assert!(!shell.look().await.loaded.is_empty(), "its starts are noted beside its own unit");
    goal.version("v1.35.0+k3s1");
    goal.wanted.source = Source::Script;
    assert_eq!(
        shell.settle(&goal).await,
        ["run K3s's install script for a server of v1.35.0+k3s1", "restart k3s.service"]
    );
    assert_eq!(shell.look().await.version.as_deref(), Some("v1.35.0+k3s1"));
    goal.materials.script = Some(Content::new("echo no such version >&2; exit 1\n".to_owned()));
    goal.version("v1.36.0+k3s1");
    let refused = HostOp::RunInstallScript {
        role: goal.wanted.role,
        version: goal.wanted.version,
        script: goal.materials.script.clone().expect("script"),
    };
    assert_eq!(
        shell.refused(refused).await,
        "cannot run K3s's install script for a server of v1.36.0+k3s1: script: no such version"
    );
    shell.done(HostOp::Uninstall).await;
    assert_eq!(host.changes(&before), Vec::<String>::new());
}
