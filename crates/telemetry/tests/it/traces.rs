//! Spans on the wire.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use fleetwright_telemetry::{Config, detached};

use super::collector::Collector;

/// A length-delimited protobuf field: its tag (number << 3 | 2), the length, the bytes.
fn field(number: u8, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[number << 3 | 2, length], text.as_bytes()].concat()
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

fn emit_one_span(dispatch: &tracing::Dispatch) {
    tracing::dispatcher::with_default(dispatch, || {
        let span = tracing::info_span!(target: "fleetwright_test", "reconcile", kind = "Cluster");
        span.in_scope(|| tracing::info!(target: "fleetwright_test", "looked"));
        drop(tracing::debug_span!(target: "fleetwright_test", "too-fine").entered());
        drop(tracing::info_span!(target: "somebody_else", "not-ours").entered());
    });
}

#[test]
fn one_span_reaches_the_collector_with_its_resource() {
    let collector = Collector::answering("200 OK");
    let config = Config::new("fleetwright-test", "1.2.3");
    let (dispatch, guard) = detached(&config, Some(&collector.endpoint)).unwrap();
    emit_one_span(&dispatch);
    let registry = guard.registry();
    guard.shutdown(Duration::from_secs(20)).unwrap();
    let received = collector.received();
    assert!(received.head.starts_with("post /v1/traces http/1.1\r\n"), "{}", received.head);
    assert!(received.head.contains("content-type: application/x-protobuf\r\n"));
    // opentelemetry/proto/trace/v1: Span.name is field 5; common/v1: KeyValue.key is field 1 and
    // AnyValue.string_value is field 1.
    assert!(holds(&received.body, &field(5, "reconcile")));
    for text in ["kind", "Cluster", "service.name", "fleetwright-test", "service.version", "1.2.3"]
    {
        assert!(holds(&received.body, &field(1, text)), "{text} is missing");
    }
    assert!(!holds(&received.body, b"too-fine"));
    assert!(!holds(&received.body, b"not-ours"));
    assert_eq!(
        registry.render().lines().last(),
        Some("fleetwright_otlp_requests_total{outcome=\"success\"} 1")
    );
}

#[test]
fn spans_leave_even_when_shutdown_blocks_the_only_thread_of_the_runtime() {
    let collector = Collector::answering("200 OK");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let config = Config::new("fleetwright-test", "1.2.3");
        let (dispatch, guard) = detached(&config, Some(&collector.endpoint)).unwrap();
        emit_one_span(&dispatch);
        guard.shutdown(Duration::from_secs(20)).unwrap();
    });
    assert!(holds(&collector.received().body, &field(5, "reconcile")));
}

#[test]
fn a_guard_that_is_dropped_sends_what_is_queued() {
    let collector = Collector::answering("200 OK");
    let config = Config::new("fleetwright-test", "1.2.3");
    let (dispatch, guard) = detached(&config, Some(&collector.endpoint)).unwrap();
    emit_one_span(&dispatch);
    let registry = guard.registry();
    drop(guard);
    // Counted by now, and not only when the batch would have left by itself seconds later.
    assert_eq!(
        registry.render().lines().last(),
        Some("fleetwright_otlp_requests_total{outcome=\"success\"} 1")
    );
    assert!(holds(&collector.received().body, &field(5, "reconcile")));
    drop(dispatch);
}

#[test]
fn a_collector_that_refuses_is_counted_and_stops_nothing() {
    let collector = Collector::answering("400 Bad Request");
    let config = Config::new("fleetwright-test", "1.2.3");
    let (dispatch, guard) = detached(&config, Some(&collector.endpoint)).unwrap();
    emit_one_span(&dispatch);
    let registry = guard.registry();
    // The SDK reports a failed last batch or swallows it; either way we are done.
    drop(guard.shutdown(Duration::from_secs(20)));
    drop(collector.received());
    assert_eq!(
        registry.render().lines().last(),
        Some("fleetwright_otlp_requests_total{outcome=\"failure\"} 1")
    );
}

#[test]
fn a_collector_that_never_answers_holds_the_program_no_longer_than_the_deadline() {
    // Connections queue in the backlog and are never accepted.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", silent.local_addr().unwrap());
    let config = Config::new("fleetwright-test", "1.2.3");
    let (dispatch, guard) = detached(&config, Some(&endpoint)).unwrap();
    emit_one_span(&dispatch);
    #[expect(clippy::disallowed_methods, reason = "real time is what is under test")]
    let began = Instant::now();
    let outcome = guard.shutdown(Duration::from_millis(200));
    assert_eq!(outcome.unwrap_err().deadline_ms, 200);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
