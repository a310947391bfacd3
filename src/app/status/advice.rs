//! What to do, by what was found.

use super::Status;
use crate::lifecycle::clock::moment;
use crate::store::status::{Cursor, GONE_AFTER_SECONDS};
use std::time::Duration;
use time::OffsetDateTime;

/// Unpublished records older than this, in seconds, mean that publishing has stopped.
const STUCK_AFTER_SECONDS: f64 = 60.0;

/// A record that waits longer than this past its grace, in seconds, waits for more than its grace.
const OVERDUE_AFTER_SECONDS: f64 = 300.0;

/// Records wait, and nothing was committed for longer, in seconds: something stands still that says nothing.
const IDLE_AFTER_SECONDS: i64 = 60;

/// Adds advice and says whether all is well.
pub(super) fn add(status: &mut Status, grace: Duration, now: OffsetDateTime) {
    let mut advice = Vec::new();
    let mut healthy = status.kafka.reachable;
    for halt in &status.halts {
        healthy = false;
        advice.push(format!(
            "Nothing is applied or published since {}: {} ({}). Find out why before anything else.",
            moment(halt.since),
            halt.cause,
            halt.name
        ));
    }
    if !status.kafka.missing_topics.is_empty() {
        healthy = false;
        let missing = status.kafka.missing_topics.join(", ");
        advice.push(format!("Topics are missing: {missing}. Create them: rollcall topics apply."));
    }
    if !status.workers.iter().any(crate::store::status::Worker::is_alive) {
        healthy = false;
        advice.push(format!(
            "No worker has been seen for {GONE_AFTER_SECONDS:.0} seconds. Start one: rollcall run."
        ));
    }
    healthy &= partitions(status, &mut advice);
    healthy &= commits(status, now, &mut advice);
    healthy &= relay(status, &mut advice);
    letters(status, &mut advice);
    healthy &= parked(status, grace, &mut advice);
    if !status.database.synchronous_standby {
        advice.push(
            "Postgres has no synchronous standby: a failover can lose commits that were answered. Set \
             synchronous_standby_names where that matters."
                .to_owned(),
        );
    }
    status.healthy = healthy;
    status.advice.append(&mut advice);
}

fn partitions(status: &Status, advice: &mut Vec<String>) -> bool {
    let mut healthy = true;
    for partition in &status.partitions {
        let (topic, number) = (&partition.topic, partition.partition);
        if partition.state == "STOPPED" {
            healthy = false;
            let cause = partition.cause.as_deref().unwrap_or("no cause was given");
            let at =
                partition.offset.map(|offset| format!(" at offset {offset}")).unwrap_or_default();
            advice.push(format!(
                "{topic} {number} is stopped{at}: {cause}. Remove the cause, then: rollcall partitions resume {topic} \
                 {number} --reason TEXT{}.",
                way_out(cause)
            ));
        }
        if partition.state == "PAUSED" {
            let since = partition.since.map(|since| format!(" since {}", moment(since)));
            let since = since.unwrap_or_default();
            let reason = partition.cause.as_deref().unwrap_or_default();
            advice.push(format!(
                "{topic} {number} is paused{since} ({reason}). When that is over: rollcall partitions resume {topic} \
                 {number} --reason TEXT."
            ));
        }
    }
    let behind = |state: &str| {
        let lags = status.partitions.iter().filter(|partition| partition.state == state);
        lags.filter_map(|partition| partition.lag)
            .filter(|lag| *lag > 0)
            .fold((0, 0), |(n, sum), lag| (n + 1, sum + lag))
    };
    let (unowned, lag) = behind("UNOWNED");
    if unowned > 0 {
        healthy = false;
        advice.push(format!(
            "{lag} records wait in {unowned} partitions that no worker has. Start a worker: rollcall run."
        ));
    }
    let (waiting, lag) = behind("WAITING");
    if waiting > 0 {
        healthy = false;
        advice.push(format!(
            "{lag} records wait in {waiting} partitions whose workers wait for a server; see their cause and the log."
        ));
    }
    healthy
}

fn commits(status: &Status, now: OffsetDateTime, advice: &mut Vec<String>) -> bool {
    let running = status.partitions.iter().filter(|partition| partition.state == "RUNNING");
    let lag: i64 = running.filter_map(|partition| partition.lag).sum();
    let idle = status.last_commit.map(|last| (now - last).whole_seconds());
    let Some(idle) = idle.filter(|idle| lag > 0 && *idle > IDLE_AFTER_SECONDS) else {
        return true;
    };
    advice.push(format!(
        "{lag} records wait in partitions that are read, and nothing was committed for {idle} seconds; see the log of their \
         workers, and /readyz of each."
    ));
    false
}

/// What else may be done about a partition that is stopped for this cause.
fn way_out(cause: &str) -> &'static str {
    match cause.split(':').next() {
        Some("records_lost") => {
            "; if nobody has the records any more, with --accept-loss, which reconcile reports for ever"
        }
        Some("cluster_changed" | "group_changed") => {
            "; if it is the same log under another name, with --accept-loss, which has the ledger go on with it"
        }
        Some("apply_failed" | "crashed" | "dead_letter_cap") => {
            "; or have its next record made a letter: rollcall partitions skip, with the offset"
        }
        _ => "",
    }
}

fn letters(status: &Status, advice: &mut Vec<String>) {
    let letters = &status.letters.counts;
    if letters.open > 0 {
        let classes: Vec<_> =
            letters.by_class.iter().map(|(class, count)| format!("{count} {class}")).collect();
        advice.push(format!(
            "{} dead letters are open ({}). Look at them: rollcall dead-letters groups, then show one of them; when the \
             cause is removed: rollcall dead-letters preflight, then replay.",
            letters.open,
            classes.join(", ")
        ));
    }
    for run in &status.interrupted_runs {
        advice.push(format!(
            "The replay {run} was interrupted. Go on: rollcall dead-letters runs resume {run}; or end it with cancel."
        ));
    }
}

fn relay(status: &Status, advice: &mut Vec<String>) -> bool {
    let cursors = || status.streams.iter().flat_map(|stream| &stream.topics);
    let pending: i64 = cursors().map(|cursor: &Cursor| cursor.pending).sum();
    let oldest =
        cursors().filter_map(|cursor| cursor.oldest_unpublished_seconds).fold(0.0, f64::max);
    let led =
        status.relay.as_ref().is_some_and(|relay| relay.renewed_seconds <= GONE_AFTER_SECONDS);
    if pending > 0 && !led {
        advice.push(format!(
            "{pending} records are to be published and no relay leads. Start one: rollcall run."
        ));
        return false;
    }
    if oldest > STUCK_AFTER_SECONDS {
        advice.push(format!(
            "{pending} records are to be published, the oldest for {oldest:.0} seconds; see the log of the relay's worker."
        ));
        return false;
    }
    true
}

fn parked(status: &Status, grace: Duration, advice: &mut Vec<String>) -> bool {
    let Some(oldest) = &status.parked.oldest else { return true };
    if oldest.waiting_seconds <= grace.as_secs_f64() + OVERDUE_AFTER_SECONDS {
        return true;
    }
    let count = status.parked.count;
    let (topic, partition, offset) = (&oldest.topic, oldest.partition, oldest.offset);
    let waits = format!(
        "{count} records wait, the first ({topic} {partition} offset {offset}) for {:.0} seconds",
        oldest.waiting_seconds
    );
    if let Some(letter) = oldest.letter_id {
        advice.push(format!(
            "{waits}, behind the dead letter {letter}. Replay or discard it, or have its sender send the same request \
             again; those behind it are shown by: rollcall parked list."
        ));
        return true;
    }
    advice.push(format!(
        "{waits}, with nothing before it. Look at it: rollcall parked list, and at the log of a worker; if its grace was \
         longer when it came: rollcall parked release {} --reason TEXT.",
        oldest.parked_id
    ));
    false
}

#[cfg(test)]
mod tests {
    use super::super::{Batches, Kafka, Letters, unowned};
    use super::*;
    use crate::store::parked_list::{Oldest, Summary};
    use crate::store::status::{Database, Worker};
    use time::macros::datetime;

    const GRACE: Duration = Duration::from_mins(1);
    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn status() -> Status {
        let now = NOW;
        let mut partition = unowned("rollcall.enrollment-requests", 3);
        partition.state = "RUNNING".to_owned();
        partition.position = Some(70);
        partition.set_watermarks(10, 100);
        Status {
            healthy: false,
            advice: Vec::new(),
            last_commit: Some(NOW),
            partitions: vec![partition],
            streams: Vec::new(),
            relay: None,
            letters: Letters::default(),
            parked: Summary::default(),
            batches: Batches::default(),
            interrupted_runs: Vec::new(),
            workers: vec![Worker {
                owner: "w".to_owned(),
                build: "1".to_owned(),
                started_at: now,
                seen_at: now,
                seen_seconds: 1.0,
            }],
            halts: Vec::new(),
            database: Database {
                schema_version: 1,
                min_worker: 1,
                server_version: "15".to_owned(),
                synchronous_commit: "on".to_owned(),
                synchronous_standby: true,
            },
            kafka: Kafka { reachable: true, missing_topics: Vec::new() },
        }
    }

    #[test]
    fn all_well_needs_no_advice() {
        let mut status = status();
        add(&mut status, GRACE, NOW);
        assert_eq!((status.healthy, status.advice.as_slice()), (true, [].as_slice()));
    }

    #[test]
    fn the_object_has_the_fields_of_the_contract() {
        let json = serde_json::to_value(status()).unwrap();
        assert_eq!(
            json["partitions"][0],
            serde_json::json!({
                "topic": "rollcall.enrollment-requests", "partition": 3, "state": "RUNNING", "owner": null,
                "position": 70, "low": 10, "high": 100, "lag": 30, "cause": null, "offset": null, "since": null,
            })
        );
        for key in [
            "streams",
            "relay",
            "letters",
            "parked",
            "batches",
            "workers",
            "advice",
            "healthy",
            "last_commit",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
    }

    #[test]
    fn what_stands_still_is_not_healthy() {
        let mut stopped = status();
        stopped.partitions[0].state = "STOPPED".to_owned();
        stopped.partitions[0].cause = Some("low watermark past the position".to_owned());
        let mut nobody = status();
        nobody.workers.clear();
        let mut missing = status();
        missing.kafka.missing_topics.push("rollcall.results".to_owned());
        let mut unowned = status();
        unowned.partitions[0].state = "UNOWNED".to_owned();
        for (mut status, word) in [
            (stopped, "low watermark"),
            (nobody, "rollcall run"),
            (missing, "topics apply"),
            (unowned, "30 records"),
        ] {
            add(&mut status, GRACE, NOW);
            assert!(!status.healthy);
            assert!(status.advice.iter().any(|line| line.contains(word)), "{:?}", status.advice);
        }
    }

    #[test]
    fn what_waits_while_nothing_is_committed_is_not_healthy() {
        let mut status = status();
        status.last_commit = Some(NOW - time::Duration::seconds(90));
        add(&mut status, GRACE, NOW);
        assert!(!status.healthy && status.advice.concat().contains("for 90 seconds"));
        status.partitions[0].set_watermarks(10, 70);
        status.advice.clear();
        add(&mut status, GRACE, NOW);
        assert_eq!((status.healthy, status.advice.len()), (true, 0), "nothing waits");
    }

    #[test]
    fn a_stopped_partition_has_its_command_and_its_way_out() {
        for (cause, way) in [
            ("records_lost: x", "--accept-loss"),
            ("cluster_changed: x", "--accept-loss"),
            ("group_changed: x", "--accept-loss"),
            ("apply_failed: x", "rollcall partitions skip"),
            ("dead_letter_cap: x", "rollcall partitions skip"),
        ] {
            let mut status = status();
            status.partitions[0].state = "STOPPED".to_owned();
            status.partitions[0].cause = Some(cause.to_owned());
            add(&mut status, GRACE, NOW);
            let advice = status.advice.concat();
            let resume = "rollcall partitions resume rollcall.enrollment-requests 3 --reason TEXT";
            assert!(!status.healthy && advice.contains(resume) && advice.contains(way), "{advice}");
        }
    }

    #[test]
    fn who_waits_far_longer_than_its_grace_is_spoken_of() {
        let waiting = |seconds, letter_id| {
            let mut status = status();
            status.parked = Summary {
                count: 3,
                by_why: [("BEHIND".to_owned(), 3)].into(),
                oldest: Some(Oldest {
                    parked_id: 7,
                    topic: "rollcall.membership-updates".to_owned(),
                    partition: 2,
                    offset: 11,
                    why: "BEHIND".to_owned(),
                    parked_at: datetime!(2026-03-01 11:00 UTC),
                    waiting_seconds: seconds,
                    letter_id,
                }),
            };
            add(&mut status, GRACE, NOW);
            (status.healthy, status.advice.concat())
        };
        assert_eq!(waiting(350.0, None), (true, String::new()));
        let (healthy, advice) = waiting(3_600.0, None);
        assert!(!healthy && advice.contains("rollcall parked release 7"), "{advice}");
        let letter = uuid::Uuid::from_u128(5);
        let (healthy, advice) = waiting(3_600.0, Some(letter));
        assert!(healthy && advice.contains(&letter.to_string()), "{advice}");
        assert!(advice.contains("rollcall parked list"), "{advice}");
    }
}
