//! Releases of K3s as GitHub and mirrors have them: `…/<version>/<file>`. Small files whose text says what they are.

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use super::state::{minor, sha256};

/// Minor versions that have releases.
const MINORS: std::ops::RangeInclusive<u32> = 30..=36;
/// Architectures with the ends of their binaries' names.
const ARCHES: [(&str, &str); 3] = [("amd64", "k3s"), ("arm64", "k3s-arm64"), ("arm", "k3s-armhf")];
const PACKINGS: [&str; 3] = ["tar.zst", "tar.gz", "tar"];

/// The binary of a release.
pub(super) fn binary(version: &str, arch: &str) -> String {
    filled(&format!("simulated k3s {version} {arch}\n"))
}

/// Text of 1 KiB, so that it takes a few parts to bring it over a slow line.
fn filled(first: &str) -> String {
    let rest = "#".repeat(1024_usize.saturating_sub(first.len() + 1));
    format!("{first}{rest}\n")
}

fn images(version: &str, arch: &str, packing: &str) -> String {
    filled(&format!("simulated images {version} {arch} {packing}\n"))
}

fn is_release(version: &str) -> bool {
    let mut parts = version.split("+k3s");
    let core = parts.next().unwrap_or_default();
    let numbers = core.strip_prefix('v').unwrap_or_default().split('.');
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let revision = parts.next().is_some_and(plain);
    revision
        && parts.next().is_none()
        && numbers.clone().count() == 3
        && numbers.clone().all(plain)
        && core.starts_with("v1.")
        && MINORS.contains(&minor(version))
}

/// A file of a release; `None`: there is no such one.
fn file(version: &str, name: &str) -> Option<String> {
    if !is_release(version) {
        return None;
    }
    if let Some((arch, _)) = ARCHES.iter().find(|(_, file)| *file == name) {
        return Some(binary(version, arch));
    }
    for (arch, file) in ARCHES {
        if name == format!("sha256sum-{arch}.txt") {
            let mut text = String::new();
            for packing in PACKINGS {
                let digest = sha256(images(version, arch, packing).as_bytes());
                text.push_str(&format!("{digest}  k3s-airgap-images-{arch}.{packing}\n"));
            }
            let digest = sha256(binary(version, arch).as_bytes());
            return Some(format!("{text}{digest}  {file}\n"));
        }
        let packing = name.strip_prefix(&format!("k3s-airgap-images-{arch}."));
        if let Some(packing) = packing.filter(|packing| PACKINGS.contains(packing)) {
            return Some(images(version, arch, packing));
        }
    }
    None
}

/// Answers any request; whatever host it names, the last two parts of its path say what it is for.
pub(crate) fn answer(request: &Request<Bytes>) -> Response<Bytes> {
    let path = percent_encoding::percent_decode_str(request.uri().path()).decode_utf8_lossy();
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
    }
    let mut parts = path.rsplit('/');
    let (name, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let script = name == "install.sh" || path == "/";
    let found = if script {
        Some("#!/bin/sh\n# simulated install script of K3s\n".to_owned())
    } else {
        file(version, name)
    };
    let Some(content) = found else {
        return plain(StatusCode::NOT_FOUND, Bytes::from_static(b"Not Found"));
    };
    let content = Bytes::from(content);
    let total = content.len();
    let asked = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let range = asked.and_then(|range| part(range, total));
    let mut response = match range {
        Some((from, to)) => {
            let mut response = plain(StatusCode::PARTIAL_CONTENT, content.slice(from..to));
            let shown = format!("bytes {from}-{}/{total}", to - 1);
            if let Ok(shown) = HeaderValue::from_str(&shown) {
                response.headers_mut().insert(CONTENT_RANGE, shown);
            }
            response
        }
        None => plain(StatusCode::OK, content),
    };
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if request.method() == Method::HEAD {
        let length = response.body().len();
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Bytes::new();
    }
    response
}

/// From and to, the latter not included, of `bytes=0-1023`.
fn part(range: &str, total: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = to.parse::<usize>().map_or(total, |last| last.saturating_add(1)).min(total);
    (from < to).then_some((from, to))
}

fn plain(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, range: Option<&str>) -> (u16, String) {
        let mut request = Request::get(format!("https://github.com{path}"));
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let response = answer(&request.body(Bytes::new()).expect("a request"));
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).expect("text"))
    }

    #[test]
    fn a_binary_has_the_digest_that_its_list_says() {
        let folder = "/k3s-io/k3s/releases/download/v1.34.2%2Bk3s1";
        let (status, binary) = get(&format!("{folder}/k3s"), None);
        assert_eq!((status, binary.len()), (200, 1024));
        assert!(binary.starts_with("simulated k3s v1.34.2+k3s1 amd64\n"));
        let (_, list) = get(&format!("{folder}/sha256sum-amd64.txt"), None);
        assert!(list.contains(&format!("{}  k3s\n", sha256(binary.as_bytes()))), "{list}");
        assert_eq!(get(&format!("{folder}/k3s"), Some("bytes=0-8")), (206, "simulated".to_owned()));
        assert_eq!(get(&format!("{folder}/k3s-riscv64"), None).0, 404);
        assert_eq!(get("/mirror/v1.99.0+k3s1/k3s", None).0, 404);
        assert_eq!(get("/mirror/v1.34/k3s", None).0, 404);
    }
}
