//! Logs with everything that Kafka, its compaction and retention, and a relay that fails can do to them.

use super::logs::{Story, log};
use super::{CONSUMERS, Printed};
use crate::support::{self, Topics, unique_prefix};

const STATE: &str = "membership-state";
const EVENTS: &str = "membership-events";
const LAST: i64 = 150;

async fn topics(prefix: &str) -> Topics {
    let topics = support::kafka().await.topics(prefix);
    topics.create(STATE, 12, &[]).await;
    topics.create(EVENTS, 12, &[]).await;
    topics
}

/// What stands in a partition's two logs: numbers in log order.
fn logs(partition: i32, story: &Story) -> (Vec<i64>, Vec<i64>) {
    let all = log(&[1..=LAST]);
    let compacted = |log: &[i64]| story.compacted(log, true);
    match partition {
        // Nothing happened, and compaction has not come by yet.
        0 => (all.clone(), all),
        // Only the last of each is left; then also the tombstones' time is over, and of the events.
        1 => (compacted(&all), all),
        2 => (story.compacted(&all, false), log(&[120..=LAST])),
        // 61 was refused while 62 to 70 were under way: all of it again.
        3 => {
            let refused = log(&[1..=60, 62..=70, 61..=LAST]);
            (compacted(&refused), refused)
        }
        // A relay took over from one whose cursor was behind what it had written.
        4 => {
            let taken_over = log(&[1..=90, 55..=LAST]);
            (compacted(&taken_over), taken_over)
        }
        // The consumer comes in the middle of such repeats: the last number in the log is not the greatest.
        5 => (compacted(&log(&[1..=LAST, 100..=110])), log(&[1..=LAST, 100..=120])),
        // A relay that was frozen and thawed writes what it had queued, between what the new one writes; compaction
        // takes what was newer before it.
        6 => {
            let thawed = log(&[1..=90, 40..=60, 91..=LAST]);
            (compacted(&thawed), thawed)
        }
        // The same, last of all.
        7 => (compacted(&log(&[1..=LAST, 40..=60])), log(&[1..=LAST, 45..=58])),
        // The consumer comes while 130 is refused on one topic, and not on the other.
        8 => (log(&[1..=129, 131..=140]), all),
        // One topic is ahead of the other.
        9 => (compacted(&log(&[1..=80])), all),
        10 => (compacted(&all), log(&[1..=130])),
        // Retention has cut the events amid a repeat.
        11 => (compacted(&all), log(&[20..=25, 101..=LAST])),
        _ => unreachable!("there are twelve"),
    }
}

#[tokio::test]
async fn whatever_stands_in_the_logs_the_table_is_right() {
    let kafka = support::kafka().await;
    let prefix = unique_prefix();
    let topics = topics(&prefix).await;
    let (mut states, mut events, mut expected) = (Vec::new(), Vec::new(), Printed::default());
    for partition in 0..12 {
        let story = Story::tell(partition, LAST as usize);
        let (state_log, event_log) = logs(partition, &story);
        states.extend(story.states(&state_log));
        events.extend(story.events(&event_log));
        story.expect(&mut expected);
    }
    assert!(states.iter().any(|record| record.value.is_none()), "there are tombstones");
    topics.produce(STATE, &states).await;
    topics.produce(EVENTS, &events).await;
    for consumer in CONSUMERS {
        let (printed, is_content, said) = consumer.until_end(kafka, &prefix).await;
        assert!(is_content, "{consumer:?}: {said}");
        assert_eq!(printed.seen, expected.seen, "{consumer:?}");
        for (id, member) in &expected.members {
            assert_eq!(printed.members.get(id), Some(member), "{consumer:?}");
        }
        assert_eq!(printed, expected, "{consumer:?}");
    }
}

#[tokio::test]
async fn where_a_number_is_missing_nothing_after_it_counts_and_it_is_said() {
    let kafka = support::kafka().await;
    let prefix = unique_prefix();
    let topics = topics(&prefix).await;
    let (whole, beginning) = (Story::tell(5, 20), Story::tell(5, 11));
    topics.produce(STATE, &whole.states(&log(&[1..=8]))).await;
    topics.produce(EVENTS, &whole.events(&log(&[1..=11, 13..=20]))).await;
    let mut expected = Printed::default();
    beginning.expect(&mut expected);
    for consumer in CONSUMERS {
        let (printed, is_content, said) = consumer.until_end(kafka, &prefix).await;
        assert!(!is_content, "{consumer:?}");
        assert!(said.contains("partition 5: the number after 11 is not there yet"), "{said}");
        assert_eq!(printed, expected, "{consumer:?}");
    }
}
