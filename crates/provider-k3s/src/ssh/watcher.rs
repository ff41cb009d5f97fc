//! Our ear at a server: it judges the server's key, and takes nothing else from it.

use russh::Channel;
use russh::client::{self, ChannelOpenHandle, Msg, Session};
use russh::keys::PublicKeyOrCertificate;

use super::error::Handshake;
use super::route::Hop;
use super::trust::HostKeys;

/// What we know of one server, for the moment when it shows its key.
#[derive(Debug)]
pub(super) struct Watcher {
    trust: HostKeys,
    hop: Hop,
    now: u64,
}

impl Watcher {
    /// For a handshake with `hop` at `now`, in seconds since 1970.
    pub(super) fn new(trust: HostKeys, hop: Hop, now: u64) -> Self {
        Self { trust, hop, now }
    }
}

/// A channel that a server opens to us: no host has a reason to. An answer that is dropped is a refusal; russh would accept.
type Refused = Result<(), Handshake>;

impl client::Handler for Watcher {
    type Error = Handshake;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Handshake> {
        let judged = self.trust.judge(&self.hop, shown, self.now);
        judged.map(|()| true).map_err(Handshake::Untrusted)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Refused {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Refused {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Refused {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Refused {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Refused {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Refused {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Refused {
        Ok(())
    }
}
