//! A lane: one topic and partition on its way.

use super::board::Acks;
use super::route::Route;
use crate::telemetry::metrics;
use rdkafka::error::RDKafkaErrorCode;
use std::time::{Duration, Instant};

/// How far one topic and partition has come, in this session of leading.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) route: Route,
    /// As the database has it.
    pub(super) saved: i64,
    /// Acknowledged by Kafka without a gap.
    pub(super) acked: i64,
    /// Handed to the producer.
    pub(super) sent: i64,
    outstanding: usize,
    failed: bool,
    /// After a failure: how many records may be under way. It begins with one, so that what is refused again is not
    /// followed by thousands of repeats, and doubles until it is no limit.
    window: usize,
    retry_at: Option<Instant>,
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const NO_LIMIT: usize = 4096;

impl Lane {
    pub(super) const fn new(route: Route, acked: i64) -> Self {
        Self {
            route,
            saved: acked,
            acked,
            sent: acked,
            outstanding: 0,
            failed: false,
            window: NO_LIMIT,
            retry_at: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Takes over what the board says; true if the window has grown, so that there may be more to send.
    pub(super) fn update(
        &mut self,
        acks: Acks,
        restarted: Option<RDKafkaErrorCode>,
        now: Instant,
        cap: Duration,
    ) -> bool {
        let advanced = acks.acked > self.acked;
        if advanced {
            metrics::relay_published(&self.route.topic, (acks.acked - self.acked) as u64);
            self.acked = acks.acked;
            self.pause = FIRST_PAUSE;
        }
        self.outstanding = acks.outstanding;
        self.failed = acks.failed.is_some();
        if let Some(code) = restarted {
            tracing::warn!(
                topic = self.route.full_topic,
                partition = self.route.partition,
                sequence = self.acked + 1,
                "Kafka refused a record ({code}); everything from there is sent again"
            );
            // I5: also what was acknowledged behind the failure.
            self.sent = self.acked;
            self.window = 1;
            self.back_off(now, cap);
        } else if advanced && self.window < NO_LIMIT && self.sent == self.acked {
            self.window *= 2;
            return true;
        }
        false
    }

    /// Sends nothing for a while, longer each time.
    pub(super) fn back_off(&mut self, now: Instant, cap: Duration) {
        self.retry_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(cap);
    }

    /// Whether a record may be sent now.
    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        !self.failed && self.retry_at.is_none() && self.has_room()
    }

    /// Whether the window has room; it is no limit but after a failure.
    pub(super) const fn has_room(&self) -> bool {
        self.window >= NO_LIMIT || self.outstanding < self.window
    }

    /// When a pause ends.
    pub(super) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Notes that the number after the last was handed to the producer.
    pub(super) const fn count_sent(&mut self) {
        self.sent += 1;
        self.outstanding += 1;
    }

    /// Notes that the producer refused the next record for good.
    pub(super) const fn count_failed(&mut self) {
        self.failed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::Config;
    use crate::store::relay::Feed;

    const CAP: Duration = Duration::from_secs(1);

    fn lane() -> Lane {
        let feed = Feed {
            stream: 0,
            kind: "results".to_owned(),
            shard: 0,
            generation: 1,
            topic: "results".to_owned(),
            acked: 10,
            last_seq: 20,
        };
        Lane::new(Route::new(&feed, &Config::new("b:1", "t.", "o")).unwrap(), 10)
    }

    #[test]
    fn after_a_failure_it_waits_then_sends_one_then_more() {
        let (mut lane, start) = (lane(), Instant::now());
        for _ in 0..5 {
            lane.count_sent();
        }
        let failed = Acks { acked: 12, outstanding: 2, failed: Some(RDKafkaErrorCode::Fail) };
        lane.update(failed, None, start, CAP);
        assert!(!lane.is_ready(start), "two are under way");
        let drained = Acks { acked: 12, outstanding: 0, failed: None };
        lane.update(drained, Some(RDKafkaErrorCode::Fail), start, CAP);
        assert_eq!(lane.sent, 12);
        assert!(!lane.is_ready(start));
        let later = start + FIRST_PAUSE;
        assert!(lane.is_ready(later));
        lane.count_sent();
        assert!(!lane.is_ready(later), "the window is one");
        lane.update(Acks { acked: 13, outstanding: 0, failed: None }, None, later, CAP);
        lane.count_sent();
        assert!(lane.is_ready(later), "the window is two");
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        let (mut lane, now) = (lane(), Instant::now());
        for _ in 0..10 {
            lane.back_off(now, CAP);
        }
        assert_eq!(lane.retry_at(), Some(now + CAP));
    }
}
