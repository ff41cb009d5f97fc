//! Connections that are kept: one a host and identity, shared by all who need it, bounded in number and in how many are made at
//! once, since a bastion in front of many hosts refuses who knocks too often (`MaxStartups` of sshd).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_clock::Clock;
use fleetwright_provider::MemberStream;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::Instant;

use super::connect::{SshLimits, connect};
use super::error::SshError;
use super::reach::{Hosts, Way};
use super::session::SshHost;
use super::trust::HostKeys;
use crate::hosts::HostWire;

/// Bounds of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most connections that are kept. More are made when all of these are needed at once, and not kept.
    pub connections: usize,
    /// How many are being made at once.
    pub handshakes: usize,
    /// For how long one is kept that nobody uses.
    pub idle: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { connections: 256, handshakes: 8, idle: Duration::from_secs(300) }
    }
}

/// Hosts over SSH.
#[derive(Debug)]
pub struct SshHosts {
    clock: Arc<dyn Clock>,
    ssh: SshLimits,
    limits: PoolLimits,
    handshakes: Semaphore,
    kept: Mutex<BTreeMap<String, Arc<Slot>>>,
}

/// The place of one connection. Whoever makes it holds the lock, and others wait for the same one.
#[derive(Debug)]
struct Slot {
    live: AsyncMutex<Option<Live>>,
    used: Mutex<Instant>,
}

#[derive(Debug)]
struct Live {
    host: Arc<SshHost>,
    /// Whom we trusted when it was made: who is trusted no longer is judged anew.
    keys: HostKeys,
}

impl SshHosts {
    /// A pool without connections. `clock` tells whether certificates are valid.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, ssh: SshLimits, limits: PoolLimits) -> Self {
        let handshakes = Semaphore::new(limits.handshakes.max(1));
        Self { clock, ssh, limits, handshakes, kept: Mutex::default() }
    }

    /// How many connections are kept, or being made.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place for this way; others are given up when they are idle, or when there are too many.
    fn slot(&self, way: &Way) -> Arc<Slot> {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // What somebody holds is not idle, however long ago it was asked for.
        kept.retain(|_, slot| now.duration_since(slot.used()) < self.limits.idle || slot.held());
        let key = format!("{}\n{:?}", way.identity.digest(), way.route);
        if !kept.contains_key(&key) && kept.len() >= self.limits.connections.max(1) {
            let free = kept.iter().filter(|(_, slot)| !slot.held());
            let oldest = free.min_by_key(|(_, slot)| slot.used()).map(|(key, _)| key.clone());
            match oldest {
                Some(oldest) => drop(kept.remove(&oldest)),
                // All are in use: this one is made for its caller alone.
                None => return Arc::new(Slot::new(now)),
            }
        }
        let slot = kept.entry(key).or_insert_with(|| Arc::new(Slot::new(now)));
        *slot.used.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Arc::clone(slot)
    }

    async fn connected(&self, way: &Way) -> Result<Arc<SshHost>, SshError> {
        let slot = self.slot(way);
        let mut live = slot.live.lock().await;
        if let Some(Live { host, keys }) = live.as_ref()
            && !host.is_closed()
            && *keys == way.keys
        {
            return Ok(Arc::clone(host));
        }
        *live = None;
        // The semaphore is never closed, so waiting for it cannot fail.
        let _turn = self.handshakes.acquire().await;
        let (route, clock) = (&way.route, self.clock.as_ref());
        let host = connect(route, &way.keys, &way.identity, self.ssh, clock).await?;
        let host = Arc::new(host);
        *live = Some(Live { host: Arc::clone(&host), keys: way.keys.clone() });
        Ok(host)
    }
}

impl Slot {
    fn new(now: Instant) -> Self {
        Self { live: AsyncMutex::new(None), used: Mutex::new(now) }
    }

    fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody has the connection, or is making it.
    fn held(&self) -> bool {
        match self.live.try_lock() {
            Ok(live) => live.as_ref().is_some_and(|live| Arc::strong_count(&live.host) > 1),
            Err(_being_made) => true,
        }
    }
}

#[async_trait]
impl Hosts for SshHosts {
    async fn reach(&self, way: &Way) -> Result<Arc<dyn HostWire>, SshError> {
        Ok(self.connected(way).await?)
    }

    async fn dial(
        &self,
        way: &Way,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn MemberStream>, SshError> {
        let through = self.connected(way).await?;
        Ok(Box::new(through.dial(host, port).await?))
    }
}
