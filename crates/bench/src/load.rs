//! Many clients at once: what they do, counted and timed.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::samples::Samples;

/// What a run of operations took.
#[derive(Debug)]
pub(crate) struct Took {
    pub(crate) samples: Samples,
    pub(crate) whole: Duration,
    /// CPU time of the server for each operation, in milliseconds.
    pub(crate) cpu_each_ms: f64,
}

impl Took {
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn per_second(&self) -> f64 {
        self.samples.len() as f64 / self.whole.as_secs_f64()
    }

    /// `rate, p50, p99, server CPU`, for a table.
    pub(crate) fn row(&self, what: &str) -> String {
        format!(
            "| {what} | {:.0}/s | {:.2} ms | {:.2} ms | {:.3} ms |",
            self.per_second(),
            self.samples.percentile(0.5),
            self.samples.percentile(0.99),
            self.cpu_each_ms
        )
    }
}

/// `clients` do `each` operations apiece, one after the other; `operation` gets the client's number and that of the operation.
pub(crate) async fn run(
    hub: &Hub,
    (clients, each): (usize, usize),
    operation: impl AsyncFn(usize, usize) -> Result<()>,
) -> Result<Took> {
    let operation = &operation;
    let cpu = hub.cpu_ms()?;
    let began = Instant::now();
    let parts = try_join_all((0..clients).map(|client| async move {
        let mut samples = Samples::default();
        for number in 0..each {
            let began = Instant::now();
            operation(client, number).await?;
            samples.add(began.elapsed());
        }
        anyhow::Ok(samples)
    }))
    .await?;
    let whole = began.elapsed();
    let mut samples = Samples::default();
    for part in parts {
        samples.extend(part);
    }
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let cpu_each_ms = (hub.cpu_ms()? - cpu) / samples.len() as f64;
    Ok(Took { samples, whole, cpu_each_ms })
}
