//! Getting a file in parts, each small enough for a way out that bounds its answers, into memory or into a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fleetwright_provider::{HttpOut, HttpOutError};
use http::header::{CONTENT_RANGE, LOCATION, RANGE, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

use super::error::ReleaseError;
use super::mirror::Mirror;
use crate::hosts::{Digest, Fetched, Release, Stored};

/// What is asked for at once. A way out gives up after half a minute, which is then 70 KB a second.
const PART: u64 = 2 << 20;
/// GitHub needs one, sometimes two.
const MOST_REDIRECTS: usize = 3;
/// How often one part is asked for.
const TRIES: usize = 3;

/// One file that is wanted.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) url: Uri,
    pub(super) release: &'a Release,
    pub(super) folder: Option<&'a Path>,
    /// Most bytes that it may have.
    pub(super) most: u64,
}

pub(super) struct Fetcher(HttpOut);

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetcher")
    }
}

impl Fetcher {
    pub(super) fn new(http: HttpOut) -> Self {
        Self(http)
    }

    /// A whole text of at most `most` bytes.
    pub(super) async fn text(
        &self,
        url: &Uri,
        mirror: &Mirror,
        most: usize,
    ) -> Result<String, ReleaseError> {
        let (_, response) = self.follow(url, mirror, None).await?;
        if response.status() != StatusCode::OK {
            return Err(status(url, &response));
        }
        let body = response.into_body();
        if body.len() > most {
            let (bytes, most) = (body.len() as u64, most as u64);
            return Err(ReleaseError::TooLarge { url: shown(url), bytes, most });
        }
        String::from_utf8(body.to_vec()).map_err(|_why| ReleaseError::NoText { url: shown(url) })
    }

    /// A file, checked. One that lies in the folder and is right is not fetched again.
    pub(super) async fn file(
        &self,
        wish: &Wish<'_>,
        mirror: &Mirror,
    ) -> Result<Fetched, ReleaseError> {
        let mut sink = Sink::open(wish)?;
        if !sink.finished {
            self.fill(wish, mirror, &mut sink).await?;
        }
        sink.close(wish)
    }

    async fn fill(
        &self,
        wish: &Wish<'_>,
        mirror: &Mirror,
        sink: &mut Sink,
    ) -> Result<(), ReleaseError> {
        let url = shown(&wish.url);
        tracing::info!(%url, from_bytes = sink.bytes, "fetching a file of a release");
        // Where it was found: what signs it for some minutes need not be asked for each part.
        let mut at: Option<Uri> = None;
        let mut tries = 0;
        loop {
            let range = (sink.bytes, sink.bytes + PART - 1);
            let from = at.clone().unwrap_or_else(|| wish.url.clone());
            let answer = match self.follow(&from, mirror, Some(range)).await {
                Ok((found, response)) => {
                    let part = part(&url, range, response);
                    part.map(|part| (found, part))
                }
                Err(error) => Err(error),
            };
            let (found, part) = match answer {
                Ok(answer) => answer,
                // All of it was there before: we were cut off between the last part and its check.
                Err(ReleaseError::Status { status: 416, .. }) if sink.bytes > 0 => return Ok(()),
                Err(error) => {
                    tries += 1;
                    // An address that was signed may have run out meanwhile.
                    let signed_out = at.take().is_some()
                        && matches!(error, ReleaseError::Status { status: 400..=499, .. });
                    let again =
                        signed_out || error.class() == fleetwright_errclass::Class::Transient;
                    if again && tries < TRIES {
                        tracing::debug!(%url, %error, "asking again for a part of a file");
                        continue;
                    }
                    return Err(error);
                }
            };
            (tries, at) = (0, Some(found));
            if part.whole > wish.most {
                return Err(ReleaseError::TooLarge { url, bytes: part.whole, most: wish.most });
            }
            sink.add(&part.bytes)?;
            tracing::debug!(%url, bytes = sink.bytes, whole = part.whole, "fetched a part");
            if sink.bytes >= part.whole {
                return Ok(());
            }
        }
    }

    /// Asks, and follows where it leads as far as it may; also where it was found.
    async fn follow(
        &self,
        url: &Uri,
        mirror: &Mirror,
        range: Option<(u64, u64)>,
    ) -> Result<(Uri, Response<Bytes>), ReleaseError> {
        let mut at = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.ask(&at, range).await?;
            if !response.status().is_redirection() {
                return Ok((at, response));
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.unwrap_or_default();
            let next = absolute(&at, to).filter(|next| mirror.leads(next));
            at = next.ok_or_else(|| ReleaseError::Redirect {
                url: shown(&at),
                to: to.split('?').next().unwrap_or_default().chars().take(200).collect(),
            })?;
        }
        Err(ReleaseError::Redirect { url: shown(url), to: "more and more places".to_owned() })
    }

    async fn ask(
        &self,
        url: &Uri,
        range: Option<(u64, u64)>,
    ) -> Result<Response<Bytes>, ReleaseError> {
        let mut request = Request::get(url.clone()).header(USER_AGENT, "fleetwright");
        if let Some((from, until)) = range {
            request = request.header(RANGE, format!("bytes={from}-{until}"));
        }
        let no_answer = |error| ReleaseError::NoAnswer { url: shown(url), error };
        let request = request.body(Bytes::new());
        let request =
            request.map_err(|error| no_answer(HttpOutError::Forbidden(error.to_string())))?;
        self.0.clone().oneshot(request).await.map_err(no_answer)
    }
}

/// A part of a file, and how long the whole is.
struct Part {
    bytes: Bytes,
    whole: u64,
}

/// RFC 9110, 14.4 and 15.3.7.
fn part(
    url: &str,
    (from, until): (u64, u64),
    response: Response<Bytes>,
) -> Result<Part, ReleaseError> {
    let wrong = |said: String| ReleaseError::Parts { url: url.to_owned(), said };
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        // A server that does not know parts, and a file that fits all the same.
        StatusCode::OK if from == 0 => {
            let bytes = response.into_body();
            return Ok(Part { whole: bytes.len() as u64, bytes });
        }
        StatusCode::OK => return Err(wrong("it gave all of it".to_owned())),
        other => return Err(ReleaseError::Status { url: url.to_owned(), status: other.as_u16() }),
    }
    let said = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let said = said.unwrap_or("no Content-Range").to_owned();
    let numbers = said.strip_prefix("bytes ").and_then(|text| {
        let (range, whole) = text.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, whole.parse::<u64>().ok()?))
    });
    let bytes = response.into_body();
    match numbers {
        Some((first, last, whole))
            if first == from
                && last <= until
                && last < whole
                && bytes.len() as u64 == last + 1 - first =>
        {
            Ok(Part { bytes, whole })
        }
        _ => Err(wrong(said)),
    }
}

/// What arrives, with its digest so far.
struct Sink {
    bytes: u64,
    hash: Sha256,
    place: Place,
    /// All of it is there already.
    finished: bool,
}

enum Place {
    Memory(Vec<u8>),
    Folder { part: PathBuf, done: PathBuf, file: Option<File> },
}

impl Sink {
    fn open(wish: &Wish<'_>) -> Result<Self, ReleaseError> {
        let (bytes, hash) = (0, Sha256::new());
        let Some(folder) = wish.folder else {
            let place = Place::Memory(Vec::new());
            return Ok(Self { bytes, hash, place, finished: false });
        };
        let name = wish.release.digest.as_str();
        let (part, done) = (folder.join(format!("{name}.part")), folder.join(name));
        kept(folder, fs::create_dir_all(folder))?;
        let finished = done.is_file();
        let place = Place::Folder { part: part.clone(), done: done.clone(), file: None };
        let mut sink = Self { bytes, hash, place, finished };
        let there = if finished { done } else { part };
        if there.is_file() {
            let mut file = kept(&there, File::open(&there))?;
            let mut piece = vec![0; 1 << 20];
            loop {
                let read = kept(&there, file.read(&mut piece))?;
                if read == 0 {
                    break;
                }
                sink.hash.update(&piece[..read]);
                sink.bytes += read as u64;
            }
        }
        Ok(sink)
    }

    fn add(&mut self, bytes: &Bytes) -> Result<(), ReleaseError> {
        match &mut self.place {
            Place::Memory(all) => all.extend_from_slice(bytes),
            Place::Folder { part, file, .. } => {
                let opened = match file {
                    Some(file) => file,
                    None => {
                        let opened = OpenOptions::new().create(true).append(true).open(&part);
                        file.insert(kept(part, opened)?)
                    }
                };
                kept(part, opened.write_all(bytes))?;
            }
        }
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Checks what is there; what is wrong is thrown away.
    fn close(self, wish: &Wish<'_>) -> Result<Fetched, ReleaseError> {
        let Release { arch, digest } = wish.release;
        let got = Digest::of_finished(self.hash);
        let right = got == *digest;
        let stored = match self.place {
            Place::Memory(all) => Stored::memory(all),
            Place::Folder { part, done, file } => {
                let there = if self.finished { &done } else { &part };
                if !right {
                    kept(there, fs::remove_file(there))?;
                } else if !self.finished {
                    if let Some(file) = file {
                        kept(&part, file.sync_all())?;
                    }
                    kept(&done, fs::rename(&part, &done))?;
                }
                Stored::file(&done, self.bytes)
            }
        };
        if !right {
            let (got, expected) = (got.to_string(), digest.to_string());
            return Err(ReleaseError::Digest { url: shown(&wish.url), got, expected });
        }
        Ok(Fetched::checked(*arch, digest.clone(), stored))
    }
}

fn kept<T>(path: &Path, done: std::io::Result<T>) -> Result<T, ReleaseError> {
    done.map_err(|source| ReleaseError::Folder { path: path.display().to_string(), source })
}

fn status(url: &Uri, response: &Response<Bytes>) -> ReleaseError {
    ReleaseError::Status { url: shown(url), status: response.status().as_u16() }
}

/// An address without its query, which may sign the request.
fn shown(url: &Uri) -> String {
    url.to_string().split('?').next().unwrap_or_default().to_owned()
}

/// Where a redirect leads: an address, or a path on the same host.
fn absolute(from: &Uri, to: &str) -> Option<Uri> {
    if to.starts_with('/') && !to.starts_with("//") {
        return format!("https://{}{to}", from.authority()?).parse().ok();
    }
    to.parse().ok()
}
