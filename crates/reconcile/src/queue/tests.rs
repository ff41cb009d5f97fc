//! Which key is given out, and when.

use super::*;

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("ns", name)
}

#[tokio::test(start_paused = true)]
async fn a_key_added_twice_is_due_once_and_at_the_earlier_time() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.add_after(key("a"), Duration::from_secs(9));
    queue.add_after(key("a"), Duration::from_secs(2));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed().as_secs(), 2);
    let nothing = tokio::time::timeout(Duration::from_secs(60), queue.next()).await;
    assert!(nothing.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_running_key_waits_for_its_own_end() {
    let queue = Queue::new();
    queue.add(key("a"));
    let running = queue.next().await;
    queue.add(key("a"));
    queue.add(key("b"));
    assert_eq!(queue.next().await, key("b"));
    assert!(tokio::time::timeout(Duration::from_secs(1), queue.next()).await.is_err());
    queue.done(&running, None, |_| None);
    assert_eq!(queue.next().await, key("a"));
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_counted_until_a_success() {
    let queue = Queue::new();
    let mut seen = Vec::new();
    for failed in [Some(Class::Bug), Some(Class::Refused), None, Some(Class::Bug)] {
        queue.add(key("a"));
        let running = queue.next().await;
        queue.done(&running, failed, |before| {
            seen.push(before);
            None
        });
    }
    assert_eq!(seen, [0, 1, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_does_not_shorten_a_backoff() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.add(key("a"));
    let running = queue.next().await;
    queue.nudge(key("a"));
    queue.done(&running, Some(Class::Transient), |_| Some(Duration::from_secs(30)));
    queue.nudge(key("a"));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed().as_secs(), 30);
    queue.nudge(key("a"));
    queue.done(&running, None, |_| Some(Duration::from_secs(60)));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed().as_secs(), 30, "after a success a nudge counts at once");
}

#[tokio::test(start_paused = true)]
async fn an_edit_does_shorten_a_backoff() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.add(key("a"));
    let running = queue.next().await;
    queue.done(&running, Some(Class::Transient), |_| Some(Duration::from_secs(30)));
    queue.add(key("a"));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_other_side_asked_for_holds_the_backoff_and_every_edit() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.add(key("a"));
    let running = queue.next().await;
    queue.add(key("a"));
    queue.hold(&running, Duration::from_secs(300));
    queue.done(&running, Some(Class::Transient), |_| Some(Duration::from_secs(1)));
    queue.add(key("a"));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed().as_secs(), 300);
    queue.done(&running, Some(Class::Transient), |_| Some(Duration::from_secs(1)));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed().as_secs(), 301, "asked once, held once");
}

#[tokio::test(start_paused = true)]
async fn what_was_added_while_its_object_seemed_gone_is_kept() {
    let queue = Queue::new();
    queue.add(key("a"));
    let gone = queue.next().await;
    queue.add(key("a"));
    queue.forget(&gone);
    assert_eq!(queue.next().await, key("a"));
}

const BACKOFF: Duration = Duration::from_secs(30);

/// Fails every key once, so that all are due again after [`BACKOFF`].
async fn fail_once(queue: &Queue, keys: &[ObjectKey]) {
    for name in keys {
        queue.add(name.clone());
        let running = queue.next().await;
        queue.done(&running, Some(Class::Transient), |_| Some(BACKOFF));
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_failed_take_no_more_than_their_places_and_the_others_pass_them() {
    let queue = Queue::new();
    let dead: Vec<ObjectKey> = (0..40).map(|number| key(&format!("dead-{number:02}"))).collect();
    fail_once(&queue, &dead).await;
    tokio::time::sleep(BACKOFF).await;
    for expected in &dead[..8] {
        assert_eq!(queue.next().await, *expected);
    }
    let ninth = tokio::time::timeout(Duration::from_secs(600), queue.next()).await;
    assert!(ninth.is_err(), "the ninth waits, for as long as it takes");
    queue.add(key("healthy"));
    assert_eq!(queue.next().await, key("healthy"));
    assert_eq!(queue.figures(), Figures { depth: 32, open: 0, delayed: 0 });
    queue.done(&dead[3], None, |_| None);
    assert_eq!(queue.next().await, dead[8]);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_holds_an_edit_until_its_one_try() {
    let queue = Queue::new();
    let start = Instant::now();
    for _ in 0..5 {
        fail_once(&queue, &[key("a")]).await;
    }
    assert_eq!(queue.figures(), Figures { depth: 0, open: 1, delayed: 0 });
    queue.add(key("a"));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed(), BACKOFF, "the edit waited");
    queue.add(key("a"));
    queue.done(&key("a"), Some(Class::Unknown), |_| Some(BACKOFF));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed(), BACKOFF * 2, "so did the one that came during the try");
    queue.done(&key("a"), None, |_| None);
    assert_eq!(queue.figures().open, 0);
    queue.add(key("a"));
    assert_eq!(queue.next().await, key("a"));
    assert_eq!(start.elapsed(), BACKOFF * 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_changes_all_the_time_is_put_off_and_counted() {
    let queue = Queue::new();
    let start = Instant::now();
    for _ in 0..12 {
        queue.add(key("hot"));
        queue.add(key("hot"));
        let running = queue.next().await;
        queue.done(&running, None, |_| None);
    }
    assert_eq!(start.elapsed().as_secs(), 6, "ten at once, and two more in three seconds each");
    assert_eq!(queue.figures(), Figures { depth: 0, open: 0, delayed: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_gone_key_leaves_nothing_behind() {
    let queue = Queue::new();
    queue.add(key("a"));
    let gone = queue.next().await;
    queue.forget(&gone);
    assert!(queue.lock().lanes.is_empty());
}
