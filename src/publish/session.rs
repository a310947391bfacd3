//! A session of leading: from taking the lease to losing or giving it back.

use super::Config;
use super::board::Board;
use super::check::routes;
use super::envelope::ce_time;
use super::lane::Lane;
use super::produce::produce;
use super::producer::{Producer, remind};
use crate::store;
use crate::store::relay::{Cursor, Feed, OutboxRow, Position, feeds, read_runs, renew_and_move};
use crate::telemetry::metrics;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Told to stop, and everything is published.
    Flushed,
    /// Told to end at once.
    Aborted,
    /// Another relay has the lease, or could have it.
    LeaseLost,
    /// The producer cannot go on; another one can.
    ProducerFailed(RDKafkaErrorCode),
}

/// Cursors are saved this often under load; at once when nothing is under way.
const SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// Numbers asked for in a round, over all streams.
const ROUND_NUMBERS: i64 = 4096;
/// Bytes that a round should bring, by the size of the records seen so far.
const ROUND_BYTES: usize = 4 << 20;

/// What a session works with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tools<'a> {
    pub(super) config: &'a Config,
    pub(super) poke: &'a Notify,
    pub(super) stop: &'a CancellationToken,
    pub(super) hard: &'a CancellationToken,
}

pub(super) struct Session<'a> {
    tools: Tools<'a>,
    /// Its own: reading and renewing never wait for another's use of the pool.
    db: PgConnection,
    fence: Uuid,
    producer: &'a Producer,
    board: Arc<Board>,
    lanes: Vec<Lane>,
    /// When the last renewal that succeeded was asked for.
    confirmed: Instant,
    saved_at: Instant,
    /// Whether there may be something to read.
    hungry: bool,
    /// Once told to stop: the last number of each lane's stream then. What others commit later is theirs to publish.
    targets: Option<Vec<i64>>,
    /// Streams that had something in the last round, and the mean size of a record.
    busy: i64,
    mean_bytes: usize,
}

impl<'a> Session<'a> {
    /// `confirmed`: before the lease was taken.
    pub(super) fn new(
        tools: Tools<'a>,
        fence: Uuid,
        confirmed: Instant,
        (producer, board, db): (&'a Producer, Arc<Board>, PgConnection),
        feeds: &[Feed],
    ) -> Self {
        let acked = feeds.iter().map(|feed| feed.acked);
        let lanes = routes(feeds, tools.config)
            .into_iter()
            .zip(acked)
            .map(|(route, acked)| Lane::new(route, acked));
        Self {
            tools,
            db,
            fence,
            producer,
            board,
            lanes: lanes.collect(),
            confirmed,
            saved_at: confirmed,
            hungry: true,
            targets: None,
            // Until a round has shown otherwise, as many as wait: after an outage that may be all of them.
            busy: feeds.iter().filter(|feed| feed.last_seq > feed.acked).count() as i64,
            mean_bytes: 1024,
        }
    }

    /// Publishes until something ends it. An error of the database ends it too: behind a lost connection may be a
    /// failover, so that everything has to be looked at anew.
    pub(super) async fn lead(mut self) -> store::Result<End> {
        loop {
            if self.tools.hard.is_cancelled() {
                return Ok(End::Aborted);
            }
            if self.tools.stop.is_cancelled() && self.targets.is_none() {
                self.targets = Some(self.last_numbers().await?);
                self.hungry = true;
            }
            if let Some(end) = self.collect() {
                return Ok(end);
            }
            if !self.keep_lease().await? {
                return Ok(End::LeaseLost);
            }
            if self.is_flushed() {
                return Ok(End::Flushed);
            }
            let read = if self.hungry && self.has_room() { self.round().await? } else { false };
            if !read {
                self.wait().await;
            }
        }
    }

    /// Takes over what has been acknowledged.
    fn collect(&mut self) -> Option<End> {
        let (lanes, now, cap) = (&mut self.lanes, Instant::now(), self.tools.config.retry_max);
        let (mut failure, mut grown) = (None, false);
        self.board.collect(|lane, acks, restarted| {
            failure = failure.or(restarted).or(acks.failed);
            if let Some(lane) = lanes.get_mut(lane) {
                grown |= lane.update(acks, restarted, now, cap);
            }
        });
        self.hungry |= grown;
        remind(self.producer, &self.tools.config.bootstrap_servers);
        failure?;
        let (code, _) = self.producer.client().fatal_error()?;
        Some(End::ProducerFailed(code))
    }

    /// Saves cursors and renews the lease when it is time; false if it is lost.
    async fn keep_lease(&mut self) -> store::Result<bool> {
        let asked = Instant::now();
        let at_rest = self.board.under_way().0 == 0;
        let dirty = self.lanes.iter().any(|lane| lane.acked > lane.saved);
        let save = dirty && (at_rest || self.saved_at.elapsed() >= SAVE_INTERVAL);
        if !save && self.confirmed.elapsed() < self.tools.config.lease / 3 {
            return Ok(true);
        }
        let moved: Vec<Cursor> = self
            .lanes
            .iter()
            .filter(|lane| lane.acked > lane.saved)
            .map(|lane| Cursor {
                stream: lane.route.stream,
                topic: lane.route.topic.clone(),
                acked: lane.acked,
            })
            .collect();
        let left = self.lease_left();
        let renewed = renew_and_move(&mut self.db, self.fence, &moved);
        // A database that does not answer cannot say that the lease is still held.
        let Ok(renewed) = timeout(left, renewed).await else {
            return Ok(false);
        };
        if !renewed? {
            return Ok(false);
        }
        (self.confirmed, self.saved_at) = (asked, asked);
        for lane in &mut self.lanes {
            lane.saved = lane.acked;
        }
        Ok(true)
    }

    /// How long the lease holds for certain; when nothing is left, nothing may be sent.
    fn lease_left(&self) -> Duration {
        self.tools.config.lease.saturating_sub(self.confirmed.elapsed())
    }

    fn has_room(&self) -> bool {
        let (records, bytes) = self.board.under_way();
        records <= self.tools.config.max_in_flight_records / 2
            && bytes <= self.tools.config.max_in_flight_bytes / 2
    }

    /// Reads what comes next of each stream that can go on, and sends it; false if there was nothing.
    async fn round(&mut self) -> store::Result<bool> {
        let (now, lease_left) = (Instant::now(), self.lease_left());
        let mut ready = vec![false; self.lanes.len()];
        let mut positions: BTreeMap<i16, i64> = BTreeMap::new();
        for (lane, ready) in self.lanes.iter_mut().zip(&mut ready) {
            *ready = lane.is_ready(now);
            if *ready {
                // Two topics of one stream go side by side; the one behind is waited for.
                let after = positions.entry(lane.route.stream).or_insert(lane.sent);
                *after = (*after).min(lane.sent);
            }
        }
        self.hungry = false;
        if positions.is_empty() {
            return Ok(false);
        }
        let by_bytes = (ROUND_BYTES / self.mean_bytes.max(1)) as i64;
        let numbers = (ROUND_NUMBERS.min(by_bytes) / self.busy.max(1)).max(1);
        let wanted: Vec<Position> =
            positions.iter().map(|(&stream, &after)| Position { stream, after }).collect();
        let read = read_runs(&mut self.db, &wanted, numbers);
        let Ok(rows) = timeout(lease_left, read).await else {
            self.hungry = true;
            return Ok(false);
        };
        let rows = rows?;
        if rows.is_empty() {
            return Ok(false);
        }
        self.measure(&rows);
        let sent = self.send_all(rows, &ready).await;
        metrics::stage("publish", now.elapsed());
        self.hungry = sent;
        Ok(sent)
    }

    fn measure(&mut self, rows: &[OutboxRow]) {
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let bytes: usize =
            rows.iter().map(|row| 256 + size(&row.body) + size(&row.state_body)).sum();
        self.mean_bytes = bytes / rows.len().max(1);
        let mut streams: Vec<i16> = rows.iter().map(|row| row.stream).collect();
        streams.dedup();
        streams.sort_unstable();
        streams.dedup();
        self.busy = streams.len() as i64;
    }

    /// Sends the rows of these runs, each stream's in its order; false if none was sent.
    async fn send_all(&mut self, mut rows: Vec<OutboxRow>, ready: &[bool]) -> bool {
        rows.sort_unstable_by_key(|row| (row.stream, row.first_seq, row.pos));
        let mut sent = false;
        for run in rows.chunk_by(|a, b| (a.stream, a.first_seq) == (b.stream, b.first_seq)) {
            let Some(first) = run.first() else { continue };
            let complete = run.len() as i64 == i64::from(first.count) && first.pos.is_some();
            let (now, cap) = (Instant::now(), self.tools.config.retry_max);
            for (index, ready) in ready.iter().enumerate() {
                let Some(lane) = self.lanes.get_mut(index) else {
                    continue;
                };
                // A window that has closed meanwhile opens again in a later round.
                if !ready || lane.route.stream != first.stream || !lane.is_ready(now) {
                    continue;
                }
                if !complete || first.first_seq > lane.sent + 1 {
                    // Its partition may be detached at the moment (I6). Numbers are never skipped.
                    tracing::error!(
                        stream = first.stream,
                        first_seq = first.first_seq,
                        "rows of a run cannot be seen"
                    );
                    lane.back_off(now, cap);
                    continue;
                }
                match self.send_run(index, run).await {
                    Some(any) => sent |= any,
                    None => return sent,
                }
            }
        }
        sent
    }

    /// Sends what a lane has not yet sent of a run; whether there was any; none if everything must stop.
    async fn send_run(&mut self, index: usize, run: &[OutboxRow]) -> Option<bool> {
        let (first_seq, time) = run.first().map(|row| (row.first_seq, ce_time(row.recorded_at)))?;
        let mut any = false;
        for (sequence, row) in (first_seq..).zip(run) {
            let lane = self.lanes.get(index)?;
            if sequence != lane.sent + 1 {
                continue;
            }
            if !lane.has_room() {
                break;
            }
            if !self.send(index, sequence, row, &time).await? {
                break;
            }
            any = true;
        }
        Some(any)
    }

    /// Hands a record to the producer, waiting while its queue is full; false if it refused it, none if everything
    /// must stop.
    async fn send(
        &mut self,
        index: usize,
        sequence: i64,
        row: &OutboxRow,
        time: &str,
    ) -> Option<bool> {
        loop {
            if self.lease_left().is_zero() || self.tools.hard.is_cancelled() {
                return None;
            }
            let lane = self.lanes.get_mut(index)?;
            match produce(self.producer, &self.board, (index, lane), sequence, row, time) {
                Ok(()) => {
                    lane.count_sent();
                    return Some(true);
                }
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => {}
                Err(_) => {
                    lane.count_failed();
                    return Some(false);
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The last number of each lane's stream, as the database has it now.
    async fn last_numbers(&mut self) -> store::Result<Vec<i64>> {
        let feeds = feeds(&mut self.db).await?;
        let last = |lane: &Lane| {
            let of_lane =
                |feed: &&Feed| feed.stream == lane.route.stream && feed.topic == lane.route.topic;
            feeds.iter().find(of_lane).map_or(lane.acked, |feed| feed.last_seq)
        };
        Ok(self.lanes.iter().map(last).collect())
    }

    /// Whether shutdown was asked for and everything is published that had been committed by then.
    fn is_flushed(&self) -> bool {
        self.targets.as_ref().is_some_and(|targets| {
            self.lanes.iter().zip(targets).all(|(lane, target)| lane.saved >= *target)
        })
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        let config = self.tools.config;
        let now = Instant::now();
        let mut until = now + config.poll_interval;
        let renewal = self.confirmed + config.lease / 3;
        until = until.min(renewal.max(now));
        if self.has_room() {
            let retries = self.lanes.iter().filter_map(Lane::retry_at);
            until = retries.fold(until, Instant::min).max(now);
        }
        let dirty = self.lanes.iter().any(|lane| lane.acked > lane.saved);
        if dirty {
            until = until.min((self.saved_at + SAVE_INTERVAL).max(now));
        }
        let full = self.hungry && !self.has_room();
        tokio::select! {
            () = self.board.changed.notified() => {}
            () = self.tools.poke.notified(), if !full => self.hungry = true,
            () = tokio::time::sleep_until(until.into()) => self.hungry = true,
            () = self.tools.stop.cancelled(), if self.targets.is_none() => {}
            () = self.tools.hard.cancelled() => {}
        }
    }
}
