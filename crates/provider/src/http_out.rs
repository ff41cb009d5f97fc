//! The way out: every request to a cloud leaves through one tower service, so that a simulator can stand in its place.

use bytes::Bytes;
use http::{Request, Response};
use tower::util::BoxCloneSyncService;

/// One request out, one answer back. Implementations bound time and size; they never follow a redirect and never retry.
pub type HttpOut = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, HttpOutError>;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpOutError {
    /// The request never left: no name, no route, refused, TLS failed. It had no effect.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The request left and no whole answer came back in time. It may have had its effect.
    #[error("no answer: {0}")]
    Timeout(String),
    /// The answer is larger than we read.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The request must not be sent, for example to a real cloud from a simulation.
    #[error("refused to send: {0}")]
    Forbidden(String),
}
