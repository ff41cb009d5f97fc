//! What a person can do, by the reason of a condition or the code of an error: one closed table.

mod azure;
mod k3s;

/// The advice for the clusters of one cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// Words for any cloud, with AWS's documents where a cloud must be named.
    Aws,
    /// Azure's words before those.
    Azure,
    /// Those of hosts and of K3s before those.
    Hosts,
}

impl Words {
    /// By the key of the provider.
    pub(crate) fn of(provider: &str) -> Self {
        match provider {
            "aks" => Self::Azure,
            "k3s" => Self::Hosts,
            _ => Self::Aws,
        }
    }

    /// What can be done about a reason; `None` for one that holds nothing up.
    pub(crate) fn by_reason(self, reason: &str) -> Option<&'static str> {
        let own = match self {
            Self::Aws => None,
            Self::Azure => find(azure::REASONS, |known| known == reason),
            Self::Hosts => find(k3s::REASONS, |known| known == reason),
        };
        own.or_else(|| find(TABLE, |known| known == reason))
    }

    /// What can be done about a message, by the cloud's own word in it.
    pub(crate) fn by_word(self, message: &str) -> Option<&'static str> {
        match self {
            Self::Aws => None,
            Self::Azure => find(azure::WORDS, |word| message.contains(word)),
            Self::Hosts => find(k3s::WORDS, |word| message.contains(word)),
        }
    }
}

/// Reasons or words, and what can be done about them.
type Table = &'static [(&'static [&'static str], &'static str)];

fn find(table: Table, is: impl Fn(&str) -> bool) -> Option<&'static str> {
    table.iter().find(|(known, _)| known.iter().any(|one| is(one))).map(|(_, text)| *text)
}

/// The reason behind a look that failed, from the words of the cloud: then "we could not look" says too little.
pub(crate) fn behind(message: &str) -> Option<&'static str> {
    WORDS.iter().find(|(word, _)| message.contains(word)).map(|(_, reason)| *reason)
}

/// Words in what clouds answer, and the reason that they stand for.
const WORDS: [(&str, &str); 10] = [
    ("ExpiredToken", "Expired"),
    ("ExpiredAuthenticationToken", "Expired"),
    ("InvalidAuthenticationToken", "CredentialsFailed"),
    ("AADSTS", "CredentialsFailed"),
    ("AuthorizationFailed", "Unauthorized"),
    ("AccessDenied", "Unauthorized"),
    ("UnrecognizedClient", "CredentialsMissing"),
    ("no credentials", "CredentialsMissing"),
    ("Throttl", "Throttled"),
    ("TooManyRequests", "Throttled"),
];

const WAIT: &str = "wait; a cloud takes 10 to 20 minutes for a control plane and a few for a pool";
const LOOK_AGAIN: &str = "wait for the next look; if it stays, see whether this machine reaches the cloud's API (proxy, firewall, region)";
const CREDENTIALS: &str = "give Fleetwright credentials that work, as spec.aws.identity of the ProviderConfig says; it looks again by itself";
const THAW: &str = "end it with `fleetwright thaw`, once whoever stopped it agrees";

/// Reasons of `docs/conditions.md` and error codes of the providers, with what to do.
const TABLE: Table = &[
    (
        &["Provisioning", "Creating", "Applying", "Updating", "Absent", "Upgrading", "Repairing"],
        WAIT,
    ),
    (&["Deleting"], "wait; pools go first, then the control plane"),
    (
        &["Pending", "NotAsked"],
        "see that `fleetwright up` or `fleetwright run` is running: nobody has looked yet",
    ),
    (
        &["NotSeen", "ReadFailed", "Unavailable", "CloudError", "Timeout", "DeadlineExceeded"],
        LOOK_AGAIN,
    ),
    (
        &["CapacityUnavailable"],
        "add an instance type or a subnet in another zone to the pool, or wait until the cloud has machines",
    ),
    (
        &["Throttled"],
        "wait; the cloud asked us to slow down. If it stays, look for what else calls this account's API",
    ),
    (
        &["QuotaExceeded"],
        "ask the cloud for a higher quota, or remove something that counts against it",
    ),
    (
        &["Unauthorized", "AccessDenied"],
        "give the identity the permissions of docs/guides/eks-iam-policy.json; the message names the call that was refused",
    ),
    (&["Expired", "ExpiringSoon", "CredentialsMissing", "CredentialsFailed"], CREDENTIALS),
    (
        &["SecretMissing"],
        "make the Secret that the ProviderConfig names, in namespace fleetwright-system",
    ),
    (
        &["AssumeRoleDenied"],
        "let the role's trust policy name this identity, and the external id if the ProviderConfig asks for one",
    ),
    (
        &["AccountNotAllowed"],
        "use credentials of an account in spec.limits.accountIds, or have the ProviderConfig's owner add this one",
    ),
    (
        &["Conflict"],
        "the name is taken by something that is not this object's: choose another spec.eks.externalName, or adopt it with `adoption: Existing`",
    ),
    (
        &["NoWayIn"],
        "see the cloud's words in the message: without the cluster's endpoint and certificate authority nobody can be let in; give the identity the right to read them",
    ),
    (
        &["SomebodyElses"],
        "look at the object that the message names: it owns the cluster, and an observer gets neither its tokens nor its policies",
    ),
    (
        &["OwnedByPredecessor"],
        "take it over with the annotation that the message names, if the old object was really this one",
    ),
    (
        &["InvalidConfiguration", "Invalid"],
        "edit the field that the message names; `fleetwright plan -f` checks it first",
    ),
    (
        &["PlanRejected"],
        "change what the message names, or take it back: it cannot be done as it is declared",
    ),
    (
        &["Bug"],
        "this is a bug of Fleetwright: report it with the output of `fleetwright why -o json`",
    ),
    (
        &["AwaitingConfirmation"],
        "confirm the deletion with the kubectl command in the message, or apply the object again with deletionPolicy Retain",
    ),
    (&["Paused"], "remove the annotation fleetwright.dev/paused"),
    (&["Frozen", "FuseTripped"], THAW),
    (
        &["DeletesHeld"],
        "have the ProviderConfig's owner allow it (spec.limits.delete), or leave the cluster declared",
    ),
    (
        &["Degraded"],
        "see the cloud's words in the message; the pool works with the nodes that it has",
    ),
    (&["NoAccount"], "apply the ProviderConfig again that spec.providerConfigRef names"),
    (&["AwaitingWindow"], "wait for the window, or change spec.maintenance"),
    (&["HandsOff"], "wait until then, or remove the annotation fleetwright.dev/hands-off-until"),
    (&["Waiting", "Held"], "do what the message waits for"),
    (
        &["Contested"],
        "find who else changes this field (CloudTrail names them); until that stops it is repaired once an hour",
    ),
    (
        &["DriftDetected", "DriftRepaired"],
        "nothing: it is put back. To keep the change, declare it",
    ),
    (
        &["VersionSkew"],
        "wait: pools follow the control plane by themselves, inside the maintenance windows",
    ),
    (
        &["Failed"],
        "read the cloud's words in the message; what cannot be mended in place can be deleted and made again",
    ),
    (
        &["Unreachable", "ProbeFailed", "GracePeriod"],
        "let Fleetwright reach the cluster's endpoint: spec.eks.network.endpoint, firewalls, or spec.connection with a proxy",
    ),
    (&["Violations"], "mend what breaks the audited rules, or set the rule to Enforce"),
    (
        &[
            "DeprecatedApisInUse",
            "PdbBlocks",
            "WebhookBlocks",
            "NoFreeIps",
            "UpgradeBlocked",
            "InsightsFailing",
            "Blocked",
        ],
        "mend what the message names on the cluster before it is upgraded",
    ),
    (&["AheadOfSpec"], "raise spec.version to what runs; nothing is ever taken back"),
    (&["Leftovers"], "remove what the message lists by hand: the cluster that made it is gone"),
    (
        &["NotRegistered"],
        "mend what the message names in Argo CD's namespace, or take spec.registration away; the cluster itself is as declared",
    ),
    (&["HostsNotReady"], "read in the message what is wrong with the host, and in its journal why"),
    (&["NeedsAttention"], "see Synced"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_stands_in_the_table_twice() {
        for table in [TABLE, azure::REASONS, azure::WORDS, k3s::REASONS, k3s::WORDS] {
            let mut all: Vec<&str> =
                table.iter().flat_map(|(reasons, _)| reasons.iter().copied()).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count);
        }
    }

    #[test]
    fn azures_words_are_advised_with_azures_documents() {
        let azure = Words::of("aks");
        let refused = azure.by_reason("Unauthorized").expect("an advice");
        assert!(refused.contains("docs/guides/aks-role.json"), "{refused}");
        assert_eq!(azure.by_reason("Paused"), Words::Aws.by_reason("Paused"));
        for (message, expected) in [
            ("Azure answered 403 LinkedAuthorizationFailed: …", "on what the cluster joins"),
            ("Azure answered 403 AuthorizationFailed: …", "docs/guides/aks-role.json"),
            ("Azure answered 404 ResourceGroupNotFound: rg", "never makes one"),
            ("Azure answered 403 RequestDisallowedByPolicy: x", "Azure Policy"),
            ("Azure answered 400 PropertyChangeNotAllowed: x", "take the change back"),
            ("the operation failed: SkuNotAvailable", "choose another VM size"),
            ("Entra answered 401 AADSTS7000215: invalid client secret", "client secret"),
        ] {
            let found = azure.by_word(message).expect(message);
            assert!(found.contains(expected), "{message}: {found}");
            assert_eq!(Words::of("eks").by_word(message), None);
        }
    }

    /// The messages are those of the provider of K3s, as they are.
    #[test]
    fn the_words_of_hosts_are_advised_with_what_is_done_there() {
        let hosts = Words::of("k3s");
        for (message, expected) in [
            ("s1 is not trusted: no host key is pinned for it; it showed SHA256:x", "ssh-keygen"),
            (
                "s1 is not trusted: its host key has changed: pinned is a, it showed b",
                "installed anew",
            ),
            (
                "s1 refuses user ops with our key SHA256:x; it would take publickey",
                "authorized_keys",
            ),
            ("cannot look: the host does not let this user run `sudo -n /bin/sh` (no)", "sudoers"),
            ("jump host bastion does not connect us to s1: no", "AllowTcpForwarding"),
            ("port 6443/tcp is taken by another program; stop that", "ss -lntup"),
            (
                "without it 1 of 2 servers would answer, and 2 are needed: quorum would be lost",
                "Recovery",
            ),
            (
                "from v1.32.1+k3s1 to v1.34.2+k3s1 is more than one minor version; go one at a time",
                "upgradePath",
            ),
            ("PodDisruptionBudget shop/db allows none", "onDrainTimeout"),
            ("it belongs to edge/a on hub b; let it go there first", "/etc/fleetwright/owner"),
            ("40 MiB are free under /var, 800 MiB are needed", "mend on the host"),
            ("cannot reach s1", "abandon-hosts"),
        ] {
            let found = hosts.by_word(message).expect(message);
            assert!(found.contains(expected), "{message}: {found}");
        }
        let refused = hosts.by_reason("Unauthorized").expect("an advice");
        assert!(refused.contains("docs/guides/k3s.md"), "{refused}");
        assert_eq!(hosts.by_reason("Paused"), Words::Aws.by_reason("Paused"));
    }

    #[test]
    fn a_failed_look_is_explained_by_the_clouds_words() {
        let told = "eks:DescribeCluster: EKS answered 403 ExpiredTokenException: expired";
        assert_eq!(behind(told), Some("Expired"));
        assert_eq!(behind("no route to host"), None);
        let refused = "aks:ManagedClusters_Get: Azure answered 403 AuthorizationFailed: no";
        assert_eq!(behind(refused), Some("Unauthorized"));
        assert!(WORDS.iter().all(|(_, reason)| Words::Aws.by_reason(reason).is_some()));
    }

    /// The reasons in the third column of the table in `docs/conditions.md`.
    #[test]
    fn every_documented_reason_of_a_condition_that_is_not_true_has_its_advice() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conditions.md");
        let text = std::fs::read_to_string(path).expect("readable");
        let (_, cluster) = text.split_once("## ManagedCluster").expect("a chapter");
        let (cluster, _) = cluster.split_once("## ClusterPolicy").expect("a next chapter");
        let rows = cluster.lines().filter(|line| line.starts_with("| `"));
        let (mut looked_at, mut missing) = (0, Vec::new());
        for row in rows {
            let otherwise = row.split(" | ").nth(2).unwrap_or_default();
            let reasons = otherwise.split('`').skip(1).step_by(2);
            for reason in reasons.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
            {
                // Names of conditions and fields stand there, too.
                let is_condition = rows_of(cluster).any(|known| known == reason);
                if is_condition || !reason.chars().all(|c| c.is_ascii_alphanumeric()) {
                    continue;
                }
                looked_at += 1;
                if Words::Aws.by_reason(reason).is_none() {
                    missing.push(reason);
                }
            }
        }
        assert_eq!(missing, [""; 0], "reasons without advice");
        assert!(looked_at > 15, "{looked_at}");
    }

    fn rows_of(chapter: &str) -> impl Iterator<Item = &str> {
        chapter.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next())
    }
}
