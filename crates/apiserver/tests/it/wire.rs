//! What comes over the socket from those who do not mean well, or are only slow.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_apiserver::{Authority, Limits, serve_with};
use fleetwright_clock::SystemClock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{TOKEN, in_memory};

const PATIENCE: Duration = Duration::from_secs(20);

struct Door {
    address: std::net::SocketAddr,
    trust: Arc<rustls::RootCertStore>,
    _dir: tempfile::TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Door {
    async fn open(limits: Limits) -> Self {
        let (server, _cluster) = in_memory().await;
        let dir = tempfile::tempdir().expect("temporary folder");
        let authority = Authority::load_or_create(dir.path(), &SystemClock).expect("authority");
        let tls = authority.server_config(&[], &SystemClock).expect("certificate");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(serve_with(listener, tls, server.router("hub"), limits, async move {
            stopped.await.ok();
        }));
        let mut roots = rustls::RootCertStore::empty();
        let pem = authority.ca_pem().as_bytes();
        roots.add(CertificateDer::from_pem_slice(pem).expect("PEM")).expect("a root");
        Self { address, trust: Arc::new(roots), _dir: dir, _stop: stop }
    }

    async fn connect(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(Arc::clone(&self.trust))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
    }

    /// Sends bytes and reads until the server closes; what came, as far as it is text.
    async fn say(&self, bytes: &[u8]) -> Vec<u8> {
        let stream = self.connect(&[]).await;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let sent = bytes.to_vec();
        let writing = tokio::spawn(async move {
            // The server may close before it has read everything.
            writer.write_all(&sent).await.ok();
            writer.flush().await.ok();
            writer
        });
        let mut told = Vec::new();
        // An end without a TLS farewell is an end too.
        let reading = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut told)).await;
        reading.expect("it ends in time").ok();
        writing.abort();
        told
    }
}

fn status(answer: &[u8]) -> &str {
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    std::str::from_utf8(line).unwrap_or_default()
}

fn request(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Connection: close\r\n{headers}\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_finishes_a_header_is_shown_the_door() {
    let limits = Limits { header_read_ms: 200, handshake_ms: 500, ..Limits::default() };
    let door = Door::open(limits).await;
    let told = door.say(b"GET /version HTTP/1.1\r\nHost: loc").await;
    assert!(matches!(status(&told), "" | "HTTP/1.1 408 Request Timeout"), "{}", status(&told));
    // Nor does silence before TLS hold a place.
    let mut silent = TcpStream::connect(door.address).await.expect("connected");
    let mut nothing = [0; 1];
    let read = tokio::time::timeout(PATIENCE, silent.read(&mut nothing)).await.expect("closed");
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_and_headers_have_an_end() {
    let door = Door::open(Limits::default()).await;
    let path = "/api/v1/namespaces/default/configmaps";
    let size = 10 * 1024 * 1024;
    let headers = format!("Content-Type: application/json\r\nContent-Length: {size}\r\n");
    let mut large = request("POST", path, &headers);
    large.resize(large.len() + size, b'x');
    assert_eq!(status(&door.say(&large).await), "HTTP/1.1 413 Payload Too Large");
    let headers = format!("X-Much: {}\r\n", "y".repeat(2 * 1024 * 1024));
    let told = door.say(&request("GET", "/version", &headers)).await;
    let wanted = "HTTP/1.1 431 Request Header Fields Too Large";
    assert!(status(&told) == wanted || told.is_empty(), "{}", status(&told));
    let told = door.say(b"\x16\x03nonsense\r\n\r\n").await;
    assert!(matches!(status(&told), "" | "HTTP/1.1 400 Bad Request"), "{}", status(&told));
    // And it still serves others.
    assert_eq!(status(&door.say(&request("GET", "/version", "")).await), "HTTP/1.1 200 OK");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_are_compressed_for_those_who_ask() {
    let door = Door::open(Limits::default()).await;
    let find = |told: &[u8], text: &str| {
        let end = told.windows(4).position(|part| part == b"\r\n\r\n").unwrap_or(told.len());
        String::from_utf8_lossy(&told[..end]).to_lowercase().contains(text)
    };
    let plain = door.say(&request("GET", "/openapi/v3/api/v1", "")).await;
    let packed = door.say(&request("GET", "/openapi/v3/api/v1", "Accept-Encoding: gzip\r\n")).await;
    assert!(!find(&plain, "content-encoding") && find(&packed, "content-encoding: gzip"));
    assert!(packed.len() * 3 < plain.len(), "{} of {}", packed.len(), plain.len());
    let small = door.say(&request("GET", "/version", "Accept-Encoding: gzip\r\n")).await;
    assert!(!find(&small, "content-encoding"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_spoken_with_those_who_prefer_it() {
    let door = Door::open(Limits::default()).await;
    let stream = door.connect(&["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let stream = door.connect(&["http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}
