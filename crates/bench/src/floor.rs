//! What the machine itself allows in this minute: a durable write of the disk, and the load.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use crate::samples::Samples;

/// Appends of 2 KB, each made durable, as a journal would.
pub(crate) fn durable_appends(folder: &Path, count: usize) -> Result<Samples> {
    let path = folder.join("floor");
    let mut file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    let block = [7_u8; 2048];
    let mut samples = Samples::default();
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        samples.add(began.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(samples)
}

/// The load average of the last minute, as the kernel tells it.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}
