//! A program under signals. The test binary starts itself again as that program, since both the
//! subscriber and the signal handlers belong to a whole process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

use fleetwright_telemetry::{Config, Format, InitError, Shutdown, init};

/// Tells the second process that it is the program.
const PROGRAM: &str = "FLEETWRIGHT_TEST_PROGRAM";

/// The program; run as a test, it has nothing to do.
#[tokio::test]
async fn program() {
    if std::env::var_os(PROGRAM).is_none() {
        return;
    }
    let mut config = Config::new("program", "1.2.3");
    config.format = Some(Format::Json);
    let guard = init(config.clone()).unwrap();
    assert!(matches!(init(config), Err(InitError::AlreadyInstalled)));
    let shutdown = Shutdown::on_signals().unwrap();
    tracing::info!(target: "fleetwright_program", clusters = 2, "ready");
    shutdown.requested().await;
    tracing::info!(target: "fleetwright_program", "draining");
    // Stuck for good, as a program may be that waits for a dead cluster.
    std::future::pending::<()>().await;
    drop(guard);
}

fn start() -> (Child, BufReader<ChildStderr>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["it::program::program", "--exact", "--nocapture"])
        .env(PROGRAM, "1")
        .env_remove("FLEETWRIGHT_LOG")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap());
    (child, lines)
}

fn signal(name: &str, child: &Child) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// The lines up to the first that holds `text`; ends with the process at the latest.
fn until(lines: &mut BufReader<ChildStderr>, text: &str) -> String {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "ended before {text:?}");
    }
    line
}

#[test]
fn the_first_signal_asks_and_the_second_ends_the_program() {
    let (mut child, mut lines) = start();
    let ready = until(&mut lines, "ready");
    assert!(ready.contains("\"message\":\"ready\""), "{ready}");
    assert!(ready.contains("\"clusters\":2"), "{ready}");
    assert!(ready.contains("\"target\":\"fleetwright_program\""), "{ready}");
    signal("-TERM", &child);
    until(&mut lines, "draining");
    assert_eq!(child.try_wait().unwrap(), None, "one signal must not end it");
    signal("-INT", &child);
    let status = child.wait().unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(status.code(), Some(130), "{rest}");
    assert!(rest.contains("\"signal\":\"SIGINT\""), "{rest}");
}
