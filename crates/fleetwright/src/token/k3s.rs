//! A token for a K3s cluster: whoever may become root on one of its servers gets one there, with a key of their own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fleetwright_clock::Clock;
use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
use fleetwright_provider::{MemberToken, Secret};
use fleetwright_provider_k3s::hosts::{Answer, HostOp, Marker, perform};
use fleetwright_provider_k3s::ssh::{Hop, HostKeys, Hosts, Identity, Route, Way};
use jiff::SignedDuration;

use crate::cli::Token;

/// How long a token is good for.
const VALID: Duration = Duration::from_secs(3600);
const KEY_FILE: &str = "FLEETWRIGHT_SSH_KEY";
const PASSPHRASE: &str = "FLEETWRIGHT_SSH_PASSPHRASE";
const USER: &str = "FLEETWRIGHT_SSH_USER";

/// A token from the first server that gives one.
pub(super) async fn token(
    asked: &Token,
    hosts: Arc<dyn Hosts>,
    identity: Identity,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<MemberToken> {
    let user = std::env::var(USER).ok().filter(|user| !user.is_empty());
    let ways = ways(asked, user.as_deref(), &identity)?;
    let mut trouble = Vec::new();
    for way in ways {
        let expires_at = clock.now() + SignedDuration::try_from(VALID)?;
        match on_one(hosts.as_ref(), &way, &asked.cluster).await {
            Ok(token) => return Ok(MemberToken { token, expires_at }),
            Err(error) => trouble.push(format!("{}: {error:#}", way.route.target())),
        }
    }
    bail!("no server of {} gives a token: {}", asked.cluster, trouble.join("; "))
}

async fn on_one(hosts: &dyn Hosts, way: &Way, cluster: &str) -> anyhow::Result<Secret> {
    let wire = hosts.reach(way).await?;
    // Whose the host is stands on it; a look needs no owner, but is written down with one.
    let nobody =
        Owner { hub: HubId::new("0")?, object: ObjectKey::parse(cluster), uid: Uid::new("0")? };
    let Answer::Facts(facts) = perform(wire.as_ref(), &HostOp::ReadFacts, &nobody).await? else {
        bail!("the look at the host gave something else");
    };
    let owner = match facts.marker {
        Some(Marker::Owned(owner)) if owner.object == nobody.object => owner,
        Some(Marker::Owned(owner)) => bail!("this host belongs to {} now", owner.object),
        Some(_) | None => bail!("this host belongs to no cluster of Fleetwright's any more"),
    };
    match perform(wire.as_ref(), &HostOp::MintToken { valid: VALID }, &owner).await? {
        Answer::Token(token) => Ok(token),
        _ => bail!("the host gave no token"),
    }
}

/// One way for each server. `user` wins over what the arguments say.
fn ways(asked: &Token, user: Option<&str>, identity: &Identity) -> anyhow::Result<Vec<Way>> {
    if asked.hosts.is_empty() {
        bail!("name a server of the cluster with --host=[USER@]HOST[:PORT]");
    }
    let keys = HostKeys::from_known_hosts(&asked.known_hosts.join("\n"))
        .context("--known-host, counted from 1")?;
    let way = |text: &String| {
        let target = hop(text, (user, "root")).with_context(|| format!("--host={text}"))?;
        let jump = |text: &String| {
            hop(text, (user, target.user())).with_context(|| format!("--jump={text}"))
        };
        let jumps = asked.jumps.iter().map(jump).collect::<anyhow::Result<Vec<Hop>>>()?;
        let route = Route::new(jumps, target.clone())?;
        Ok(Way { route, keys: keys.clone(), identity: identity.clone() })
    };
    asked.hosts.iter().map(way).collect()
}

/// Reads `[USER@]HOST[:PORT]`; an IPv6 address stands in brackets when a port follows.
fn hop(text: &str, (always, absent): (Option<&str>, &str)) -> anyhow::Result<Hop> {
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (user, place),
        None => (absent, text),
    };
    let user = always.unwrap_or(user);
    let (host, port) = match place.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, rest))) => (host, Some(rest.strip_prefix(':').context("no port")?)),
        Some(None) => bail!("a bracket is open"),
        // More than one colon: an address without a port.
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            Some(_) | None => (place, None),
        },
    };
    let hop = Hop::new(host, user)?;
    match port {
        Some(port) => Ok(hop.on_port(port.parse().context("no port")?)),
        None => Ok(hop),
    }
}

/// The private key of the person who asks.
pub(super) fn identity(asked: &Token) -> anyhow::Result<Identity> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let usual = || Some(PathBuf::from(variable("HOME")?).join(".ssh/id_ed25519"));
    let file = asked.key.clone().or_else(|| variable(KEY_FILE).map(PathBuf::from)).or_else(usual);
    let file = file.with_context(|| format!("name your private key with --key or {KEY_FILE}"))?;
    let shown = file.display();
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!("cannot read {shown}; name your private key with --key or {KEY_FILE}")
    })?;
    let passphrase = std::env::var(PASSPHRASE).ok().map(Secret::new);
    Identity::read(&Secret::new(text), passphrase.as_ref())
        .with_context(|| format!("{shown} (a passphrase is taken from {PASSPHRASE})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, user: Option<&str>) -> String {
        match hop(text, (user, "root")) {
            Ok(hop) => format!("{} {} {}", hop.user(), hop.host(), hop.port()),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_host_may_have_a_user_and_a_port() {
        assert_eq!(read("10.0.0.11", None), "root 10.0.0.11 22");
        assert_eq!(read("ops@s1.store.example:2222", None), "ops s1.store.example 2222");
        assert_eq!(read("ops@fe80::1", None), "ops fe80::1 22");
        assert_eq!(read("[fe80::1]:2222", None), "root fe80::1 2222");
        assert_eq!(read("[fe80::1]", None), "root fe80::1 22");
        assert_eq!(read("ops@s1", Some("maria")), "maria s1 22", "the person's own user wins");
    }

    #[test]
    fn what_is_no_host_says_so() {
        for text in ["s1:ssh", "[fe80::1", "[::1]22", "a b", "", "@s1"] {
            let told = read(text, None);
            assert!(told.contains("no ") || told.contains("open"), "{text}: {told}");
        }
    }
}
