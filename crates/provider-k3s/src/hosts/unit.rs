//! The systemd unit that runs K3s.

use super::file::ManagedFile;
use super::op::Role;
use super::script::{BINARY, LOADED};

/// What notes the digests of everything that K3s of this role is about to read. A start must not fail because a note could not be
/// taken, hence the dash; absent files are no error.
fn note(role: Role) -> String {
    let read: Vec<&str> = ManagedFile::ALL
        .into_iter()
        .filter(|file| file.read_at_start(role))
        .map(ManagedFile::path)
        .collect();
    let files = read.join(" ");
    format!(
        "ExecStartPre=-/bin/sh -c 'mkdir -p /run/fleetwright; sha256sum {BINARY} {files} >{LOADED} 2>/dev/null'\n"
    )
}

/// The same note beside a unit that K3s's own install script wrote.
#[must_use]
pub fn unit_note_text(role: Role) -> String {
    format!("# Written by Fleetwright; a change by hand is undone.\n[Service]\n{}", note(role))
}

/// The unit for this role, as K3s's install script writes it, with two differences: all configuration is in files, and each start
/// first notes the digests of what it is about to read. So one look tells whether a restart is due, whoever restarted it last.
#[must_use]
pub fn unit_text(role: Role) -> String {
    let (word, note) = (role.word(), note(role));
    format!(
        "# Written by Fleetwright; a change by hand is undone.\n\
         [Unit]\n\
         Description=Lightweight Kubernetes ({word})\n\
         Documentation=https://k3s.io\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n\
         \n\
         [Service]\n\
         Type=notify\n\
         KillMode=process\n\
         Delegate=yes\n\
         LimitNOFILE=1048576\n\
         LimitNPROC=infinity\n\
         LimitCORE=infinity\n\
         TasksMax=infinity\n\
         TimeoutStartSec=0\n\
         Restart=always\n\
         RestartSec=5s\n\
         {note}\
         ExecStartPre=-/sbin/modprobe br_netfilter\n\
         ExecStartPre=-/sbin/modprobe overlay\n\
         ExecStart={BINARY} {word}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_notes_what_its_own_role_reads() {
        let server = unit_text(Role::Server);
        assert!(server.contains("ExecStart=/usr/local/bin/k3s server\n"));
        assert!(server.contains(
            "sha256sum /usr/local/bin/k3s /etc/rancher/k3s/token /etc/rancher/k3s/registries.yaml \
             /etc/rancher/k3s/audit.yaml /etc/rancher/k3s/admission.yaml \
             /etc/rancher/k3s/config.yaml.d/50-fleetwright-s3.yaml /etc/rancher/k3s/config.yaml.d/50-fleetwright-datastore.yaml \
             /etc/rancher/k3s/config.yaml /etc/systemd/system/k3s.service /etc/systemd/system/k3s.service.d/50-fleetwright.conf \
             >/run/fleetwright/loaded 2>/dev/null"
        ));
        let agent = unit_text(Role::Agent);
        assert!(agent.contains("ExecStart=/usr/local/bin/k3s agent\n"));
        assert!(agent.contains(
            "/etc/systemd/system/k3s-agent.service.d/50-fleetwright.conf >/run/fleetwright/loaded"
        ));
        assert!(!agent.contains("k3s.service"));
    }

    #[test]
    fn nothing_in_a_unit_is_expanded_by_systemd() {
        for role in [Role::Server, Role::Agent] {
            assert!(!unit_text(role).contains(['%', '$']));
            assert!(!unit_note_text(role).contains(['%', '$']));
        }
    }
}
