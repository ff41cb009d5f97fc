//! `/metrics`, `/healthz` and `/readyz` over plain HTTP, for probes and Prometheus. Nothing else is served, and nothing secret.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use fleetwright_telemetry::Registry;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at a time; further ones wait in the kernel's queue.
const MOST_AT_ONCE: usize = 32;
/// For the head of a request, and for a whole connection.
const HEAD: Duration = Duration::from_secs(5);
const CONNECTION: Duration = Duration::from_secs(60);
/// The version of the text form that [`Registry::render`] writes.
const PROMETHEUS: &str = "text/plain; version=0.0.4";

/// Binds the address that was asked for, or `usual`, or where that is taken any free port of the same address.
pub(crate) async fn bind(
    asked: Option<SocketAddr>,
    usual: SocketAddr,
) -> anyhow::Result<TcpListener> {
    let listen = |address: SocketAddr| async move {
        TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address} for metrics"))
    };
    match asked {
        Some(address) => listen(address).await,
        None => match listen(usual).await {
            Ok(listener) => Ok(listener),
            Err(_taken) => listen(SocketAddr::new(usual.ip(), 0)).await,
        },
    }
}

/// Serves for ever. `ready` is what `/readyz` says.
pub(crate) async fn serve(listener: TcpListener, registry: Registry, ready: Arc<AtomicBool>) {
    let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection for metrics was lost before it stood");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (registry, ready, builder) = (registry.clone(), Arc::clone(&ready), builder.clone());
        tokio::spawn(async move {
            let service = tower::service_fn(move |request: Request<_>| {
                let answer = answer(request.method(), request.uri().path(), &registry, &ready);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection =
                builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
            // Whoever leaves early or stays too long has got his answer.
            drop(tokio::time::timeout(CONNECTION, connection).await);
            drop(place);
        });
    }
}

fn answer(
    method: &Method,
    path: &str,
    registry: &Registry,
    ready: &AtomicBool,
) -> Response<Full<Bytes>> {
    let (code, text) = match path {
        _ if !matches!(*method, Method::GET | Method::HEAD) => {
            (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned())
        }
        "/metrics" => (StatusCode::OK, registry.render()),
        "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if ready.load(Ordering::Acquire) => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROMETHEUS));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_its_flag_and_health_does_not() {
        let (registry, ready) = (Registry::default(), AtomicBool::new(false));
        let code = |path: &str| answer(&Method::GET, path, &registry, &ready).status().as_u16();
        assert_eq!(["/healthz", "/readyz", "/metrics", "/"].map(code), [200, 503, 200, 404]);
        ready.store(true, Ordering::Release);
        assert_eq!(code("/readyz"), 200);
    }
}
