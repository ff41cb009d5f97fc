//! The loop: takes what is due, reconciles up to a bound at a time, and decides when to look again.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_clock::Ids;
use fleetwright_errclass::{Class, Retry, backoff};
use fleetwright_names::ObjectKey;
use tokio::task::JoinSet;

use crate::{Cache, Context, Controller, Figures, Queue, Verdict, once};

/// After a lost race: long enough for the watch to deliver what we lost against.
const AFTER_CONFLICT: Duration = Duration::from_millis(50);
/// How often the queue's figures are published while all places are taken.
const PUBLISH: Duration = Duration::from_secs(5);

/// Reconciles what `queue` says is due, for ever. Dropping the future aborts all reconciles at their next await: that is
/// how a crash looks, and every step is made for it.
pub async fn run<C>(
    controller: Arc<C>,
    context: Context,
    cache: Arc<Cache<C::Object>>,
    queue: Arc<Queue>,
) where
    C: Controller,
{
    let mut running: JoinSet<(ObjectKey, Verdict)> = JoinSet::new();
    let mut keys = std::collections::BTreeMap::new();
    let mut told = Figures::default();
    loop {
        if let Some(metrics) = &context.metrics {
            let before = std::mem::replace(&mut told, queue.figures());
            metrics.queue(controller.name(), before, told);
        }
        tokio::select! {
            biased;
            Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                let (id, verdict) = match ended {
                    Ok((id, (_, verdict))) => (id, verdict),
                    Err(error) => {
                        tracing::error!(controller = controller.name(), %error, "a reconcile panicked");
                        (error.id(), Verdict { requeue: None, failed: Some(Class::Bug) })
                    }
                };
                if let Some(key) = keys.remove(&id) {
                    schedule(&queue, &key, &verdict, context.ids.as_ref());
                }
            }
            key = queue.next(), if running.len() < queue.pace().at_once => {
                let Some(object) = cache.get(&key) else {
                    queue.forget(&key);
                    continue;
                };
                let (controller, context, name) = (Arc::clone(&controller), context.clone(), key.clone());
                let handle = running.spawn(async move {
                    let verdict = once(controller.as_ref(), &context, object).await;
                    (name, verdict)
                });
                keys.insert(handle.id(), key);
            }
            () = tokio::time::sleep(PUBLISH), if context.metrics.is_some() && !running.is_empty() => {}
        }
    }
}

fn schedule(queue: &Queue, key: &ObjectKey, verdict: &Verdict, ids: &dyn Ids) {
    if let (Some(asked), Some(_failed)) = (verdict.requeue, verdict.failed) {
        // Never sooner; many who were told the same do not come back at the same instant.
        queue.hold(key, asked.mul_f64(1.0 + ids.jitter() / 5.0));
    }
    queue.done(key, verdict.failed, |failures| match verdict.failed.map(Class::retry) {
        None => verdict.requeue.map(|delay| delay.mul_f64(0.9 + ids.jitter() / 5.0)),
        Some(Retry::OnChange) => None,
        Some(Retry::Now) => Some(AFTER_CONFLICT.saturating_mul(failures.clamp(1, 20))),
        Some(Retry::Backoff { first, most }) => Some(backoff(first, most, failures, ids.jitter())),
    });
}
