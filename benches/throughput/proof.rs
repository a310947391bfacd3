//! *reconcile*: the proof over everything that a run wrote, its topics whole: how long, and with how much memory.

use crate::kafka::Topics;
use crate::options::Options;
use crate::process::peak_memory;
use crate::worker::command;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What the proof took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Proof {
    pub(crate) seconds: f64,
    /// Resident memory at its highest, in bytes.
    pub(crate) peak_memory: u64,
}

/// Proves what the tables and topics hold; anything but "proved" is an error.
pub(crate) async fn run(options: &Options, topics: &Topics, database_url: &str) -> Result<Proof> {
    eprintln!("reconcile …");
    let started = Instant::now();
    let mut child = command(options, topics, database_url)
        .args(["reconcile", "--full"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("reconcile does not start")?;
    let pid = child.id().context("it has just started")?;
    let mut peak = 0;
    let status = loop {
        // Read while it lives: the figure ends with the process.
        peak = peak.max(peak_memory(pid).unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    ensure!(status.success(), "reconcile ended with {status}");
    Ok(Proof { seconds: started.elapsed().as_secs_f64(), peak_memory: peak })
}
