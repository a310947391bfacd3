//! What is said of partitions: to `status` by rows, to Prometheus by gauges, to `/readyz` by a condition.

use crate::apply::{TopicPartition, leases};
use crate::lifecycle::clock::Clock;
use crate::lifecycle::health::Health;
use crate::telemetry::metrics::{self, PartitionState};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::OffsetDateTime;
use tokio::sync::Notify;

/// The condition of readiness that says that no partition is stopped.
const PARTITIONS: &str = "partitions";

/// Partitions that are or were this worker's.
#[derive(Debug)]
pub(super) struct Board {
    rows: Mutex<BTreeMap<TopicPartition, Row>>,
    changed: Notify,
    clock: Arc<dyn Clock>,
    health: Health,
}

#[derive(Debug, Clone)]
struct Row {
    state: PartitionState,
    low: Option<i64>,
    high: Option<i64>,
    position: Option<i64>,
    stop: Option<Stop>,
    since: OffsetDateTime,
}

/// Why and where a partition is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    /// A stable word and a sentence.
    pub(super) cause: String,
    /// The first offset that was not applied.
    pub(super) offset: Option<i64>,
}

impl Board {
    pub(super) fn new(clock: Arc<dyn Clock>, health: Health) -> Self {
        health.set_ready(PARTITIONS);
        Self { rows: Mutex::default(), changed: Notify::new(), clock, health }
    }

    pub(super) fn set(&self, at: &TopicPartition, state: PartitionState) {
        self.change(at, state, None);
    }

    pub(super) fn stop(&self, at: &TopicPartition, stop: Stop) {
        self.change(at, PartitionState::Stopped, Some(stop));
    }

    fn change(&self, at: &TopicPartition, state: PartitionState, stop: Option<Stop>) {
        let now = self.clock.now();
        let mut rows = self.rows();
        let row = rows.entry(at.clone()).or_insert_with(|| Row {
            state: PartitionState::Unowned,
            low: None,
            high: None,
            position: None,
            stop: None,
            since: now,
        });
        if row.state == state && row.stop == stop {
            return;
        }
        row.state = state;
        row.stop = stop;
        row.since = now;
        let stopped = rows.iter().find_map(|(at, row)| Some((at, row.stop.as_ref()?)));
        match stopped {
            None => self.health.set_ready(PARTITIONS),
            Some((at, stop)) => {
                let reason = format!("{} {} is stopped: {}", at.topic, at.partition, stop.cause);
                self.health.set_not_ready(PARTITIONS, reason);
            }
        }
        drop(rows);
        metrics::partition_state(&at.topic, at.partition, state);
        self.changed.notify_one();
    }

    /// Says where a partition's log begins and ends.
    pub(super) fn watermarks(&self, at: &TopicPartition, low: i64, high: i64) {
        if let Some(row) = self.rows().get_mut(at) {
            row.low = Some(low);
            row.high = Some(high);
            row.measure(at);
        }
    }

    /// Says how far a partition has been applied.
    pub(super) fn position(&self, at: &TopicPartition, position: i64) {
        if let Some(row) = self.rows().get_mut(at) {
            row.position = Some(position);
            row.measure(at);
        }
    }

    /// The partitions that are this worker's.
    pub(super) fn owned(&self) -> Vec<TopicPartition> {
        let rows = self.rows();
        let owned = rows.iter().filter(|(_, row)| row.state != PartitionState::Unowned);
        owned.map(|(at, _)| at.clone()).collect()
    }

    /// Waits for a change that is not written yet.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Writes what is known; partitions that are given up are then forgotten.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        owner: &str,
    ) -> Result<(), leases::Error> {
        let rows = self.rows().clone();
        let mut said = leases::StateRows::default();
        for (at, row) in &rows {
            said.topics.push(&at.topic);
            said.partitions.push(at.partition);
            said.states.push(row.state.name());
            said.lows.push(row.low);
            said.highs.push(row.high);
            said.causes.push(row.stop.as_ref().map(|stop| stop.cause.as_str()));
            said.offsets.push(row.stop.as_ref().and_then(|stop| stop.offset));
            said.sinces.push(row.since);
        }
        if !rows.is_empty() {
            leases::say_states(connection, owner, &said, self.clock.now()).await?;
        }
        let mut held = self.rows();
        for (at, written) in &rows {
            let given_up = written.state == PartitionState::Unowned;
            if given_up && held.get(at).is_some_and(|row| row.state == PartitionState::Unowned) {
                held.remove(at);
            }
        }
        Ok(())
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn measure(&self, at: &TopicPartition) {
        if let (Some(high), Some(position)) = (self.high, self.position) {
            let lag = u64::try_from(high - position).unwrap_or(0);
            metrics::intake_lag(&at.topic, at.partition, lag);
        }
    }
}
