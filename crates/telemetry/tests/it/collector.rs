//! A collector of a few lines: takes one POST, keeps it, answers with what the test asks for.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// One request as it came over the wire.
#[derive(Debug)]
pub(crate) struct Received {
    /// The request line and the headers, lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Listens on a free port of the loopback interface for a single request.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    receiving: JoinHandle<Received>,
}

impl Collector {
    pub(crate) fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "the collector is another program")]
        let receiving = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            receive(stream, status)
        });
        Self { endpoint, receiving }
    }

    pub(crate) fn received(self) -> Received {
        self.receiving.join().unwrap()
    }
}

fn receive(stream: TcpStream, status: &str) -> Received {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "cut off after {head:?}");
    }
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map(|length| length.parse().unwrap())
        .unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
    Received { head, body }
}
