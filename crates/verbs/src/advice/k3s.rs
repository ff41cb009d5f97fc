//! What is different on hosts: reasons with advice of their own, and the words of SSH, of hosts and of K3s.

use super::Table;

const KEY: &str = "put the private key into the Secret that spec.ssh.identity of the ProviderConfig or spec.k3s.ssh.keySecretRef names, under ssh-privatekey";
const ROOT: &str =
    "let the user on the host become root: the sudoers file of docs/guides/k3s.md, or user root";
const RECOVERY: &str = "bring servers back until more than half of them answer; if they are lost, restore a snapshot as docs/guides/k3s.md says under Recovery";
const AWAY: &str = "see that the host is on and answers over SSH. One that never comes back: take it out of the object, and name it in the annotation fleetwright.dev/abandon-hosts; one that comes and goes is an agent with presence Intermittent";
const JOURNAL: &str =
    "read why in `journalctl -u k3s` (on agents `-u k3s-agent`) on the host that the message names";
const ROOM: &str = "mend on the host what the message names; it is looked at again by itself";
const BUDGET: &str = "let the PodDisruptionBudget allow a pod to go (more replicas, or another budget), or declare what follows the wait in spec.k3s.update.onDrainTimeout";

/// Reasons of conditions and codes of errors whose advice names something of hosts.
pub(super) const REASONS: Table = &[
    (
        &["Provisioning", "Creating", "Applying", "Updating", "Absent", "Upgrading", "Repairing"],
        "wait; a host takes a minute or two, and longer where the line is slow or pods must leave first",
    ),
    (&["Deleting"], "wait; agents go first, then the servers"),
    (&["NotSeen", "Unavailable", "CloudError", "Timeout"], AWAY),
    (&["Unauthorized", "AccessDenied"], ROOT),
    (&["Expired", "CredentialsMissing", "CredentialsFailed", "SecretMissing"], KEY),
    (
        &["Conflict"],
        "the host is somebody else's, or changed under us: see whose it is in the message; K3s that nobody owns is taken over with `adoption: Existing`",
    ),
    (&["QuorumLost"], RECOVERY),
    (&["HostUnfit"], ROOM),
    (&["DrainBlocked"], BUDGET),
    (&["NotOurs"], "see whose the host is in the message: it is let go there first"),
    (
        &["ReleaseUnavailable"],
        "see whether the release exists and this machine reaches it: github.com, or spec.k3s.source.mirrorUrl",
    ),
    (
        &["NotReady"],
        "wait for a server to be ready; if it stays, read its journal: `journalctl -u k3s`",
    ),
    (
        &["NoWayIn"],
        "see why no server is ready: until one is, nobody knows the cluster's certificate authority",
    ),
    (&["Failed", "HostsNotReady", "Degraded"], JOURNAL),
    (&["PdbBlocks"], BUDGET),
    (
        &["Contested"],
        "find who else changes this on the host (configuration management, another administrator); until that stops it is repaired once an hour",
    ),
    (
        &["Unreachable", "ProbeFailed", "GracePeriod"],
        "let Fleetwright reach the cluster's endpoint (port 6443, firewalls, the VIP), or declare `connection: {type: Ssh}`, which needs SSH only",
    ),
];

/// What stands in messages about hosts; the first that is found counts.
pub(super) const WORDS: Table = &[
    (
        &["no host key is pinned for it"],
        "compare the fingerprint with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` at the host's own console, then pin that key in hostKeys.pinned, or have the host's key signed by a declared authority",
    ),
    (
        &["its host key has changed"],
        "find out whether the host was installed anew. Only then pin its new key in place of the old one: else somebody may stand between",
    ),
    (&["is revoked; give the host"], "make the host a new key, and pin that or have it signed"),
    (
        &["refuses user"],
        "put the public key of Fleetwright's key into authorized_keys of the user that the message names",
    ),
    (&["the private key cannot be used"], KEY),
    (&["sudo -n /bin/sh"], ROOT),
    (
        &["does not connect us to"],
        "let the jump host forward: AllowTcpForwarding (and PermitOpen) of its sshd, and a route from it to the host",
    ),
    (
        &["look at ForceCommand"],
        "let the user of the host run commands: ForceCommand and MaxSessions of its sshd",
    ),
    (
        &["is taken by another program"],
        "stop the program on that port, or move it: `ss -lntup` on the host names it",
    ),
    (&["quorum would be lost", "quorum:", "quorum is lost"], RECOVERY),
    (
        &["K3s is installed already, and not by us"],
        "uninstall that K3s, or take it over as it is with `adoption: Existing`",
    ),
    (
        &["let it go there first", "its marker"],
        "let the object go that owns the host, on the hub that the message names; the marker is /etc/fleetwright/owner",
    ),
    (
        &["take it over by naming that uid"],
        "name that uid in the annotation fleetwright.dev/take-over, if the old object was really this one",
    ),
    (
        &["more than one minor version", "upgradePath"],
        "name one release for each minor in between in spec.k3s.upgradePath; K3s lists them on its channels",
    ),
    (
        &["cannot go back to"],
        "declare the release that runs, or a newer one: Kubernetes has no way back",
    ),
    (&["PodDisruptionBudget"], BUDGET),
    (&["K3s ends soon after each start"], JOURNAL),
    (
        &["could not be had", "sha256sum-"],
        "see whether the release exists and this machine reaches it: github.com, or spec.k3s.source.mirrorUrl with `<version>/<file>` as in K3s's releases",
    ),
    (
        &["is not ours and overrules"],
        "declare what the file sets in spec.k3s.config, and remove it from the host",
    ),
    (
        &["are free under", "MiB of memory", "clock is", "it lacks", "only systemd is supported"],
        ROOM,
    ),
    (&["cannot reach", "did not finish", "did not answer in", "was lost ("], AWAY),
];
