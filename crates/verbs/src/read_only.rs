//! Clients that cannot write, for commands that promise not to.

use std::task::{Context, Poll};

use futures::future::Either;
use http::{Method, Request, Response, StatusCode};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

/// The request was not sent, since it might change something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{method} {path} was not sent: this command only reads")]
pub struct WouldWrite {
    method: Method,
    path: String,
}

/// Lets GET requests pass and refuses all others before they leave.
#[derive(Debug, Clone)]
pub struct ReadOnly<S>(pub S);

impl<S, B> Service<Request<B>> for ReadOnly<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<
        futures::future::Ready<Result<S::Response, BoxError>>,
        futures::future::MapErr<S::Future, fn(S::Error) -> BoxError>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        use futures::TryFutureExt as _;
        if request.method() == Method::GET {
            return Either::Right(
                self.0.call(request).map_err(Into::into as fn(S::Error) -> BoxError),
            );
        }
        let refused =
            WouldWrite { method: request.method().clone(), path: request.uri().path().to_owned() };
        Either::Left(futures::future::ready(Err(refused.into())))
    }
}

#[derive(Debug, Clone, Copy)]
struct ReadOnlyLayer;

impl<S> Layer<S> for ReadOnlyLayer {
    type Service = ReadOnly<S>;

    fn layer(&self, inner: S) -> ReadOnly<S> {
        ReadOnly(inner)
    }
}

/// A client of a Kubernetes API that only reads.
///
/// # Errors
/// When the configuration cannot be used.
pub fn client(config: Config) -> Result<Client, kube::Error> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&ReadOnlyLayer).build())
}

/// A client of an API that holds nothing, where there is no hub: every name is not found.
#[must_use]
pub fn nothing() -> Client {
    let service = tower::service_fn(|_: Request<Body>| async {
        let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"there is no hub","code":404}"#;
        let mut response = Response::new(Body::from(status.as_bytes().to_vec()));
        *response.status_mut() = StatusCode::NOT_FOUND;
        Ok::<_, BoxError>(response)
    });
    Client::new(service, "default")
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    async fn send(method: Method) -> Result<&'static str, String> {
        let inner = tower::service_fn(|_: Request<()>| async { Ok::<_, BoxError>("sent") });
        let mut request = Request::new(());
        *request.method_mut() = method;
        ReadOnly(inner).oneshot(request).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn only_get_leaves() {
        assert_eq!(send(Method::GET).await, Ok("sent"));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let text = format!("{method} / was not sent: this command only reads");
            assert_eq!(send(method).await, Err(text));
        }
    }
}
