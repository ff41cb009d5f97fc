//! A host that we are connected to: one channel a script, input and output at once, both bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelStream, ChannelWriteHalf, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use super::connect::{Server, SshLimits, hang_up};
use super::error::SshError;
use super::route::Hop;
use crate::hosts::{Ended, HostWire, Output, Request, WireError, boot_command};

/// OpenSSH's number for standard error (RFC 4254, 5.2).
const STDERR: u32 = 1;
/// How long we try to say that a channel is no longer wanted.
const CLOSING: Duration = Duration::from_secs(1);

/// A connected host. Dropping it drops the connections.
pub struct SshHost {
    name: String,
    command: &'static str,
    server: Server,
    jumps: Vec<Server>,
    limits: SshLimits,
}

impl std::fmt::Debug for SshHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SshHost({})", self.name)
    }
}

impl SshHost {
    pub(super) fn new(hop: &Hop, server: Server, jumps: Vec<Server>, limits: SshLimits) -> Self {
        let command = boot_command(hop.user());
        Self { name: hop.to_string(), command, server, jumps, limits }
    }

    /// Whether the connection is known to be gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.server.is_closed()
    }

    /// Says goodbye, to the jump hosts too.
    pub async fn close(self) {
        hang_up(self.jumps.iter().chain(std::iter::once(&self.server))).await;
    }

    /// A stream to `host` at TCP `port`, as this host sees them. It lives as long as it is held, whoever lets go of this host.
    ///
    /// # Errors
    /// [`SshError::JumpRefused`] when the host does not lead there; [`SshError::TimedOut`] when it does not answer.
    pub async fn dial(self: &Arc<Self>, host: &str, port: u16) -> Result<Tunnel, SshError> {
        // Where the connection comes from is for the host's log only.
        let asked = self.server.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
        let after = self.limits.connect_timeout;
        let what = "opening a stream";
        let late = |_elapsed| SshError::TimedOut { hop: self.name.clone(), what, after };
        let channel = timeout(after, asked).await.map_err(late)?;
        let channel = channel.map_err(|error| SshError::JumpRefused {
            hop: self.name.clone(),
            next: format!("{host}:{port}"),
            reason: error.to_string(),
        })?;
        Ok(Tunnel { stream: channel.into_stream(), through: Arc::clone(self) })
    }

    async fn channel(&self) -> Result<Channel<Msg>, WireError> {
        self.server.channel_open_session().await.map_err(|error| match error {
            // MaxSessions of sshd_config, or a forced command: nothing of ours ran.
            Error::ChannelOpenFailure(reason) => WireError::Refused {
                host: self.name.clone(),
                why: format!("it opens no session ({reason:?})"),
            },
            other => self.lost(&other),
        })
    }

    fn lost(&self, error: &dyn std::fmt::Display) -> WireError {
        WireError::Lost { host: self.name.clone(), why: error.to_string() }
    }

    async fn talk(
        &self,
        writer: &ChannelWriteHalf<Msg>,
        reader: &mut ChannelReadHalf,
        request: &Request,
    ) -> Result<Output, WireError> {
        writer.exec(true, self.command).await.map_err(|error| self.lost(&error))?;
        // At once: a script that prints while we still send would else fill the window and wait for ever.
        let (sent, heard) = tokio::join!(send(writer, request), self.hear(reader));
        // What the host said counts more than how our sending went: a script may end before it has read all.
        match (heard, sent) {
            (Ok(output), _) => Ok(output),
            (Err(WireError::Lost { .. }), Err(error)) => Err(self.lost(&error)),
            (Err(error), _) => Err(error),
        }
    }

    async fn hear(&self, reader: &mut ChannelReadHalf) -> Result<Output, WireError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut ended = None;
        while let Some(message) = reader.wait().await {
            match message {
                ChannelMsg::Data { data } => self.keep(&mut stdout, &data)?,
                ChannelMsg::ExtendedData { data, ext: STDERR } => self.keep(&mut stderr, &data)?,
                ChannelMsg::ExitStatus { exit_status } => ended = Some(Ended::Exit(exit_status)),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    ended = Some(Ended::Signal(format!("{signal_name:?}")));
                }
                ChannelMsg::Failure => {
                    return Err(WireError::Refused {
                        host: self.name.clone(),
                        why: "it runs no commands for us".to_owned(),
                    });
                }
                _ => {}
            }
        }
        match ended {
            Some(ended) => Ok(Output::new(ended, stdout, stderr)),
            None => Err(self.lost(&"the connection ended before the script did")),
        }
    }

    fn keep(&self, kept: &mut Vec<u8>, more: &[u8]) -> Result<(), WireError> {
        let most = self.limits.most_output_bytes;
        if kept.len() + more.len() > most {
            return Err(WireError::TooMuch { host: self.name.clone(), most });
        }
        kept.extend_from_slice(more);
        Ok(())
    }
}

/// A stream through a host.
pub struct Tunnel {
    stream: ChannelStream<Msg>,
    through: Arc<SshHost>,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tunnel(through {})", self.through.name)
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

async fn send(writer: &ChannelWriteHalf<Msg>, request: &Request) -> Result<(), Error> {
    writer.data_bytes(request.head()).await?;
    let payload: Bytes = request.payload.bytes();
    if !payload.is_empty() {
        writer.data_bytes(payload).await?;
    }
    writer.eof().await
}

#[async_trait]
impl HostWire for SshHost {
    async fn exec(&self, request: &Request) -> Result<Output, WireError> {
        let after = request.timeout;
        let late = |_elapsed| WireError::TimedOut { host: self.name.clone(), after };
        let deadline = Instant::now() + after;
        let channel = timeout_at(deadline, self.channel()).await.map_err(late)??;
        let (mut reader, writer) = channel.split();
        let answer = timeout_at(deadline, self.talk(&writer, &mut reader, request)).await;
        if !matches!(answer, Ok(Ok(_))) {
            // A script that still waits for input must not wait for ever. A connection that is gone closes by itself.
            let closing = timeout(CLOSING, writer.close()).await;
            tracing::debug!(host = %self.name, ?closing, "closed the channel of a script that did not end well");
        }
        answer.map_err(late)?
    }
}
