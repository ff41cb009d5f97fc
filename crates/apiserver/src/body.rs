//! What an answer's body is made of: bytes at hand, or a stream that ends when the watch does.

mod gzip;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use http_body::{Frame, SizeHint};

use self::gzip::gzip;

/// The body of an answer. Never fails: a watch that breaks simply ends.
pub struct ApiBody(Inner);

enum Inner {
    Full(Option<Bytes>),
    Stream(BoxStream<'static, Bytes>, Size),
}

/// How much a stream gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// About so many bytes, as fast as they are taken.
    Bytes(usize),
    /// Whatever happens, when it happens.
    Live,
}

/// Answers are compressed from here on, as upstream.
const GZIP_FROM_BYTES: usize = 128 * 1024;

impl ApiBody {
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Inner::Full(Some(bytes.into())))
    }

    pub(crate) fn stream(stream: impl Stream<Item = Bytes> + Send + 'static, size: Size) -> Self {
        Self(Inner::Stream(Box::pin(stream), size))
    }

    /// Whether compressing it pays. What comes live is never held back.
    pub(crate) fn is_large(&self) -> bool {
        match &self.0 {
            Inner::Full(bytes) => bytes.as_ref().is_some_and(|b| b.len() >= GZIP_FROM_BYTES),
            Inner::Stream(_, size) => {
                matches!(size, Size::Bytes(bytes) if *bytes >= GZIP_FROM_BYTES)
            }
        }
    }

    /// The same, compressed.
    pub(crate) fn gzipped(self) -> Self {
        let stream = match self.0 {
            Inner::Full(bytes) => futures::stream::iter(bytes).boxed(),
            Inner::Stream(stream, _) => stream,
        };
        Self::stream(gzip(stream), Size::Bytes(0))
    }
}

impl fmt::Debug for ApiBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Full(bytes) => {
                write!(f, "ApiBody({} bytes)", bytes.as_ref().map_or(0, Bytes::len))
            }
            Inner::Stream(..) => f.write_str("ApiBody(stream)"),
        }
    }
}

impl http_body::Body for ApiBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.get_mut().0 {
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Stream(stream, _) => {
                stream.as_mut().poll_next(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Inner::Full(bytes) if bytes.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Inner::Stream(..) => SizeHint::default(),
        }
    }
}
