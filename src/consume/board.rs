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
use uuid::Uuid;

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

type Rows<'a> = MutexGuard<'a, BTreeMap<TopicPartition, Row>>;

#[derive(Debug, Clone)]
struct Row {
    state: PartitionState,
    low: Option<i64>,
    high: Option<i64>,
    position: Option<i64>,
    /// And the fence of the lease under which it was found to be so.
    stop: Option<(Stop, Uuid)>,
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

    /// The partition is this worker's from now on.
    pub(super) fn begin(&self, at: &TopicPartition) {
        let (state, since) = (PartitionState::Waiting, self.clock.now());
        let row = Row { state, low: None, high: None, position: None, stop: None, since };
        self.put(self.rows(), at, row);
    }

    /// Says what a partition does. What is said late, of one that was given up meanwhile, is not heard.
    pub(super) fn set(&self, at: &TopicPartition, state: PartitionState) {
        self.change(at, state, None);
    }

    /// Says that a partition is stopped, as found while its lease had this fence; not heard of one that was given up
    /// meanwhile.
    pub(super) fn stop(&self, at: &TopicPartition, fence: Uuid, stop: Stop) {
        self.change(at, PartitionState::Stopped, Some((stop, fence)));
    }

    fn change(&self, at: &TopicPartition, state: PartitionState, stop: Option<(Stop, Uuid)>) {
        let rows = self.rows();
        let Some(row) = rows.get(at).filter(|row| row.is_owned()) else {
            return;
        };
        if row.state != state || row.stop != stop {
            let row = Row { state, stop, since: self.clock.now(), ..row.clone() };
            self.put(rows, at, row);
        }
    }

    fn put(&self, mut rows: Rows<'_>, at: &TopicPartition, row: Row) {
        let state = row.state;
        rows.insert(at.clone(), row);
        let stopped = rows.iter().find_map(|(at, row)| Some((at, row.stop.as_ref()?)));
        match stopped {
            None => self.health.set_ready(PARTITIONS),
            Some((at, (stop, _))) => {
                let reason = format!("{} {} is stopped: {}", at.topic, at.partition, stop.cause);
                self.health.set_not_ready(PARTITIONS, reason);
            }
        }
        // Before others may change the row: gauges show what was put last.
        metrics::partition_state(&at.topic, at.partition, state);
        if state == PartitionState::Unowned {
            // Whoever has it now shows its lag.
            metrics::intake_lag(&at.topic, at.partition, 0);
        }
        drop(rows);
        self.changed.notify_one();
    }

    /// Says where a partition's log begins and ends.
    pub(super) fn watermarks(&self, at: &TopicPartition, low: i64, high: i64) {
        if let Some(row) = self.rows().get_mut(at).filter(|row| row.is_owned()) {
            row.low = Some(low);
            row.high = Some(high);
            row.measure(at);
        }
    }

    /// Says how far a partition has been applied.
    pub(super) fn position(&self, at: &TopicPartition, position: i64) {
        if let Some(row) = self.rows().get_mut(at).filter(|row| row.is_owned()) {
            row.position = Some(position);
            row.measure(at);
        }
    }

    /// The partitions that are this worker's.
    pub(super) fn owned(&self) -> Vec<TopicPartition> {
        let rows = self.rows();
        let owned = rows.iter().filter(|(_, row)| row.is_owned());
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
            said.causes.push(row.stop.as_ref().map(|(stop, _)| stop.cause.as_str()));
            said.offsets.push(row.stop.as_ref().and_then(|(stop, _)| stop.offset));
            said.fences.push(row.stop.as_ref().map(|(_, fence)| *fence));
            said.sinces.push(row.since);
        }
        if !rows.is_empty() {
            leases::say_states(connection, owner, &said, self.clock.now()).await?;
        }
        let mut held = self.rows();
        for (at, written) in &rows {
            if !written.is_owned() && held.get(at).is_some_and(|row| !row.is_owned()) {
                held.remove(at);
            }
        }
        Ok(())
    }

    fn rows(&self) -> Rows<'_> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn is_owned(&self) -> bool {
        self.state != PartitionState::Unowned
    }

    fn measure(&self, at: &TopicPartition) {
        if let (Some(high), Some(position)) = (self.high, self.position) {
            let lag = u64::try_from(high - position).unwrap_or(0);
            metrics::intake_lag(&at.topic, at.partition, lag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::clock::ManualClock;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn a_partition_that_was_given_up_stays_so_whatever_is_said_late() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let figures = recorder.handle();
        let at = TopicPartition { topic: "t".into(), partition: 3 };
        let gauge = |name: &str, labels: &str| {
            let line = format!("rollcall_{name}{{topic=\"t\",partition=\"3\"{labels}}} ");
            let text = figures.render();
            text.lines().find_map(|text| text.strip_prefix(&line)).map(str::to_owned)
        };
        let states = || {
            ["WAITING", "RUNNING", "STOPPED", "UNOWNED"]
                .map(|state| gauge("partition_state", &format!(",state=\"{state}\"")).unwrap())
        };
        ::metrics::with_local_recorder(&recorder, || {
            let clock = ManualClock::new(OffsetDateTime::UNIX_EPOCH);
            let board = Board::new(Arc::new(clock), Health::default());
            let late = |board: &Board| {
                board.set(&at, PartitionState::Waiting);
                board.stop(&at, Uuid::nil(), Stop { cause: "late".to_owned(), offset: None });
                board.position(&at, 1);
                board.watermarks(&at, 0, 900);
            };
            late(&board);
            assert_eq!(gauge("intake_lag_records", ""), None, "never ours");
            board.begin(&at);
            board.set(&at, PartitionState::Running);
            board.position(&at, 10);
            board.watermarks(&at, 0, 25);
            assert_eq!(gauge("intake_lag_records", "").as_deref(), Some("15"));
            assert_eq!(states(), ["0", "1", "0", "0"]);
            board.set(&at, PartitionState::Unowned);
            late(&board);
            assert_eq!(gauge("intake_lag_records", "").as_deref(), Some("0"));
            assert_eq!(states(), ["0", "0", "0", "1"]);
            assert_eq!(board.owned(), []);
            board.begin(&at);
            assert_eq!(states(), ["1", "0", "0", "0"]);
            assert_eq!(board.owned().len(), 1);
        });
    }
}
