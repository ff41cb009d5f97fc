//! Cases of fetching, from a server of our own behind the way out.

use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_provider::HttpOutError;
use http::{Request, Response, StatusCode};
use tower::util::BoxCloneSyncService;

use super::*;

/// What a server does besides giving files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Plain,
    /// Files are elsewhere, behind an address that is signed.
    Signed,
    /// It knows no parts.
    Whole,
    /// Every second answer is lost.
    Lossy,
    /// It leads away.
    Astray,
    /// Its files are not those that it lists.
    Wrong,
}

type Asked = Arc<Mutex<Vec<String>>>;

fn bytes() -> Vec<u8> {
    let mut bytes = (0..251).collect::<Vec<u8>>().repeat(20_000);
    bytes.truncate(5_000_000);
    bytes
}

/// A way out to a server with one release, and what was asked of it.
fn server(manner: Manner) -> (HttpOut, Asked) {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let serve = move |request: Request<Bytes>| {
        let mut log = log.lock().expect("lock");
        let range = request.headers().get("range").map(|range| range.to_str().expect("text"));
        let path = request.uri().path().to_owned();
        let said = format!("{} {}", request.uri(), range.unwrap_or("all"));
        log.push(said);
        let answer = if manner == Manner::Lossy && log.len() % 2 == 0 {
            Err(HttpOutError::Timeout("nothing for 30 s".to_owned()))
        } else {
            Ok(answer(manner, request.uri().query().is_some(), &path, range))
        };
        async { answer }
    };
    (BoxCloneSyncService::new(tower::service_fn(serve)), asked)
}

fn answer(manner: Manner, signed: bool, path: &str, range: Option<&str>) -> Response<Bytes> {
    let digest = if manner == Manner::Wrong { Digest::of("other") } else { Digest::of(bytes()) };
    let list = format!(
        "{}  k3s-arm64\n{digest}  k3s\n{digest} *k3s-airgap-images-amd64.tar.zst\n",
        Digest::of("")
    );
    let say = |status, body: Vec<u8>| {
        Response::builder().status(status).body(Bytes::from(body)).expect("answer")
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let lead = |to: &str| {
        let answer = Response::builder().status(StatusCode::FOUND).header("location", to);
        answer.body(Bytes::new()).expect("answer")
    };
    match (name, range) {
        ("sha256sum-amd64.txt", _) => say(StatusCode::OK, list.into_bytes()),
        ("install.sh", _) => say(StatusCode::OK, b"#!/bin/sh\n".to_vec()),
        (_, Some(_)) if manner == Manner::Astray => lead("https://elsewhere.example/k3s?sig=x"),
        (_, Some(_)) if manner == Manner::Signed && !signed => lead("/store/k3s?sig=x"),
        ("k3s" | "k3s-airgap-images-amd64.tar.zst", Some(_)) if manner == Manner::Whole => {
            say(StatusCode::OK, bytes())
        }
        ("k3s" | "k3s-airgap-images-amd64.tar.zst", Some(range)) => {
            let whole = bytes();
            let (from, until) = range.trim_start_matches("bytes=").split_once('-').expect("range");
            let from: usize = from.parse().expect("number");
            let until = until.parse::<usize>().expect("number").min(whole.len() - 1);
            if from >= whole.len() {
                return say(StatusCode::RANGE_NOT_SATISFIABLE, Vec::new());
            }
            Response::builder()
                .status(StatusCode::PARTIAL_CONTENT)
                .header("content-range", format!("bytes {from}-{until}/{}", whole.len()))
                .body(Bytes::from(whole[from..=until].to_vec()))
                .expect("answer")
        }
        _ => say(StatusCode::NOT_FOUND, Vec::new()),
    }
}

fn version() -> K3sVersion {
    K3sVersion::parse("v1.34.2+k3s1").expect("version")
}

fn mirror() -> Mirror {
    Mirror::at("https://artifacts.example/k3s").expect("mirror")
}

async fn binary(releases: &Releases) -> Result<Fetched, ReleaseError> {
    releases.binary(version(), Arch::Amd64, &mirror()).await
}

fn read(fetched: &Fetched) -> Vec<u8> {
    fetched.stored().part(0, usize::MAX >> 1).expect("bytes").bytes().to_vec()
}

#[tokio::test]
async fn a_binary_comes_in_parts_and_is_held() {
    let (http, asked) = server(Manner::Plain);
    let releases = Releases::new(http, None);
    let fetched = binary(&releases).await.expect("fetched");
    assert_eq!(read(&fetched), bytes());
    assert_eq!(*fetched.digest(), Digest::of(bytes()));
    assert_eq!(binary(&releases).await.expect("held"), fetched);
    let images = releases.images(version(), Arch::Amd64, &mirror()).await.expect("images");
    assert_eq!(images.digest(), fetched.digest(), "the same bytes are not fetched twice");
    assert_eq!(
        *asked.lock().expect("lock"),
        [
            "https://artifacts.example/k3s/v1.34.2%2Bk3s1/sha256sum-amd64.txt all",
            "https://artifacts.example/k3s/v1.34.2%2Bk3s1/k3s bytes=0-2097151",
            "https://artifacts.example/k3s/v1.34.2%2Bk3s1/k3s bytes=2097152-4194303",
            "https://artifacts.example/k3s/v1.34.2%2Bk3s1/k3s bytes=4194304-6291455",
        ]
    );
    let script = releases.install_script(version(), &mirror()).await.expect("script");
    assert_eq!(script.text().expose(), "#!/bin/sh\n");
}

#[tokio::test]
async fn a_signed_address_is_asked_for_once() {
    let (http, asked) = server(Manner::Signed);
    let fetched = binary(&Releases::new(http, None)).await.expect("fetched");
    assert_eq!(read(&fetched), bytes());
    let asked = asked.lock().expect("lock");
    let files: Vec<&str> =
        asked.iter().skip(1).map(|line| line.split(' ').next().unwrap_or("")).collect();
    let (first, store) = (
        "https://artifacts.example/k3s/v1.34.2%2Bk3s1/k3s",
        "https://artifacts.example/store/k3s?sig=x",
    );
    assert_eq!(files, [first, store, store, store]);
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_and_other_servers_do_without_parts() {
    for manner in [Manner::Lossy, Manner::Whole] {
        let (http, _) = server(manner);
        assert_eq!(read(&binary(&Releases::new(http, None)).await.expect("fetched")), bytes());
    }
}

#[tokio::test]
async fn a_folder_keeps_what_arrived_and_goes_on_from_there() {
    let folder = tempfile::tempdir().expect("folder");
    let digest = Digest::of(bytes());
    let (part, done) =
        (folder.path().join(format!("{digest}.part")), folder.path().join(digest.as_str()));
    std::fs::write(&part, &bytes()[..3_000_000]).expect("part");
    let (http, asked) = server(Manner::Plain);
    let releases = Releases::new(http, Some(folder.path().to_owned()));
    let fetched = binary(&releases).await.expect("fetched");
    assert_eq!((read(&fetched), fetched.stored().len()), (bytes(), 5_000_000));
    assert!(done.exists() && !part.exists());
    let log = asked.lock().expect("lock").clone();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[1].ends_with("bytes=3000000-5097151"), "{log:?}");
    assert_eq!(binary(&releases).await.expect("kept"), fetched);
    assert_eq!(asked.lock().expect("lock").len(), 2, "nothing was asked for again");
    // Cut off between the last part and its check.
    std::fs::rename(&done, &part).expect("renamed");
    assert_eq!(read(&binary(&releases).await.expect("checked")), bytes());
    // Somebody changed what lies there.
    std::fs::write(&done, "changed").expect("changed");
    let wrong = binary(&releases).await.expect_err("changed").to_string();
    assert!(wrong.contains("it is thrown away, and fetched again later"), "{wrong}");
    assert_eq!(read(&binary(&releases).await.expect("fetched again")), bytes());
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_told_and_thrown_away() {
    let said = async |manner, arch| {
        let (http, _) = server(manner);
        let releases = Releases::new(http, None);
        let error = releases.binary(version(), arch, &mirror()).await.expect_err("refused");
        (error.to_string(), error.class())
    };
    let file = "https://artifacts.example/k3s/v1.34.2%2Bk3s1/k3s";
    assert_eq!(
        said(Manner::Astray, Arch::Amd64).await,
        (
            format!(
                "{file} leads to https://elsewhere.example/k3s, which is not followed: only https, and only to the host of the \
                 mirror or those of GitHub"
            ),
            Class::Refused
        )
    );
    let (wrong, class) = said(Manner::Wrong, Arch::Amd64).await;
    assert!(wrong.starts_with(&format!("{file} has digest {}", Digest::of(bytes()))), "{wrong}");
    assert_eq!(class, Class::Refused);
    let list = "https://artifacts.example/k3s/v1.34.2%2Bk3s1/sha256sum-arm.txt";
    assert_eq!(
        said(Manner::Plain, Arch::Arm).await,
        (
            format!(
                "cannot fetch {list}: the server answers 404; is that a version of K3s, and has the mirror it"
            ),
            Class::Refused
        )
    );
}
