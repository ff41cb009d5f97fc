//! What a person can do, by the reason of a condition or the code of an error: one closed table.

/// What can be done about a reason; `None` for one that holds nothing up.
#[must_use]
pub(crate) fn advice(reason: &str) -> Option<&'static str> {
    TABLE.iter().find(|(reasons, _)| reasons.contains(&reason)).map(|(_, text)| *text)
}

/// The reason behind a look that failed, from the words of the cloud: then "we could not look" says too little.
pub(crate) fn behind(message: &str) -> Option<&'static str> {
    WORDS.iter().find(|(word, _)| message.contains(word)).map(|(_, reason)| *reason)
}

/// Words in what clouds answer, and the reason that they stand for.
const WORDS: [(&str, &str); 6] = [
    ("ExpiredToken", "Expired"),
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
const TABLE: &[(&[&str], &str)] = &[
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
        &["OwnedByPredecessor"],
        "take it over with the annotation that the message names, if the old object was really this one",
    ),
    (
        &["InvalidConfiguration", "Invalid"],
        "edit the field that the message names; `fleetwright plan -f` checks it first",
    ),
    (
        &["PlanRejected", "Bug"],
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
    (&["NeedsAttention"], "see Synced"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_stands_in_the_table_twice() {
        let mut all: Vec<&str> =
            TABLE.iter().flat_map(|(reasons, _)| reasons.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_failed_look_is_explained_by_the_clouds_words() {
        let told = "eks:DescribeCluster: EKS answered 403 ExpiredTokenException: expired";
        assert_eq!(behind(told), Some("Expired"));
        assert_eq!(behind("no route to host"), None);
        assert!(WORDS.iter().all(|(_, reason)| advice(reason).is_some()));
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
                if advice(reason).is_none() {
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
