//! Proxies of the environment: `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not, for all that leaves over https.
//!
//! Plain HTTP, which is only for a machine's own source of credentials, never goes through a proxy: credentials would be
//! given to whoever runs it. The same tunnel is used for https to anywhere, so a proxy sees host names and nothing else.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceExt as _};

const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NONE: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Which proxy leads where. Prints without credentials.
#[derive(Clone, Default)]
pub(crate) struct Proxies(Option<std::sync::Arc<Matcher>>);

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxies").field(&self.0.is_some()).finish()
    }
}

impl Proxies {
    /// Everything is reached directly.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// As the environment says.
    ///
    /// # Errors
    /// A value that names no proxy we can use: going out directly instead would be a surprise.
    pub(crate) fn of_environment() -> anyhow::Result<Self> {
        Self::of(&|name| std::env::var(name).ok())
    }

    pub(super) fn of(variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                variable(name).filter(|value| !value.trim().is_empty()).map(|value| (name, value))
            })
        };
        let Some((name, proxy)) = first(HTTPS).or_else(|| first(ALL)) else {
            return Ok(Self::none());
        };
        let anywhere = Uri::from_static("https://anywhere.invalid");
        let found = Matcher::builder().https(proxy.as_str()).build().intercept(&anywhere);
        if !found.is_some_and(|found| matches!(found.uri().scheme_str(), Some("http" | "https"))) {
            // The value may hold a password, so it is not shown.
            bail!("{name} names no proxy of ours; write it like http://proxy.example:3128");
        }
        let except = first(NONE).map(|(_, value)| value).unwrap_or_default();
        Ok(Self(Some(Matcher::builder().https(proxy).no(except).build().into())))
    }

    fn via(&self, to: &Uri) -> Option<Intercept> {
        let https = to.scheme_str() == Some("https");
        self.0.as_ref().filter(|_| https).and_then(|proxies| proxies.intercept(to))
    }

    /// The proxy for a Kubernetes API, with its credentials in the URL as `kube::Config` wants them.
    pub(crate) fn for_kube(&self, to: &Uri) -> Option<Uri> {
        let via = self.via(to)?;
        let (scheme, authority) = (via.uri().scheme_str()?, via.uri().authority()?);
        let basic = via.basic_auth().and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
        let user = basic.and_then(|basic| String::from_utf8(STANDARD.decode(basic).ok()?).ok());
        let user = user.as_deref().map(|user| match user.split_once(':') {
            Some((user, password)) => format!("{}:{}@", escaped(user), escaped(password)),
            None => format!("{}@", escaped(user)),
        });
        format!("{scheme}://{}{authority}", user.unwrap_or_default()).parse().ok()
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Opens connections, directly or through a tunnel; TLS to the destination is the caller's.
#[derive(Clone)]
pub(super) struct Way {
    http: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
    proxies: Proxies,
}

impl Way {
    /// `tls` is for proxies that are themselves reached over https.
    pub(super) fn new(http: HttpConnector, tls: ClientConfig, proxies: Proxies) -> Self {
        let to_proxy = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http.clone());
        Self { http, to_proxy, proxies }
    }
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl Service<Uri> for Way {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(via) = self.proxies.via(&to) else {
            let http = self.http.clone();
            return Box::pin(async move { Ok(MaybeHttpsStream::Http(http.oneshot(to).await?)) });
        };
        let mut tunnel = Tunnel::new(via.uri().clone(), self.to_proxy.clone());
        if let Some(user) = via.basic_auth() {
            tunnel = tunnel.with_auth(user.clone());
        }
        let proxy = via.uri().host().unwrap_or_default().to_owned();
        Box::pin(async move {
            tunnel
                .oneshot(to)
                .await
                .map_err(|error| format!("through proxy {proxy}: {}", super::chain(&error)).into())
        })
    }
}
