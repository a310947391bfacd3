//! What an undisturbed relay publishes.

use rollcall::publish::Config;

use super::{
    LETTERS, MEMBERSHIP, RESULTS, all_published, expected_ids, ground, insert_run, is_complete,
    nothing_is_lost, seed, start,
};
use crate::support::{PATIENCE, Record};

#[tokio::test]
async fn everything_is_published_in_order_with_its_headers() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    for shard in 0..12 {
        for count in [1, 30, 400] {
            seed(pool, RESULTS + shard, count).await;
            seed(pool, MEMBERSHIP + shard, count).await;
        }
    }
    let mut relay = start(&ground.config, pool);
    all_published(pool).await;
    seed(pool, MEMBERSHIP + 4, 3).await;
    relay.poke.notify_one();
    all_published(pool).await;
    let calm = relay.stats.wait_for(|stats| stats.leading && stats.pending_records == 0);
    tokio::time::timeout(PATIENCE, calm).await.unwrap().unwrap();
    relay.stop().await;

    let prefix = &ground.config.topic_prefix;
    let (results, events, states) = (
        ground.topics.read("results").await,
        ground.topics.read("membership-events").await,
        ground.topics.read("membership-state").await,
    );
    for shard in 0..12_i16 {
        let partition = i32::from(shard);
        let of = |records: &[Record]| -> Vec<Record> {
            records.iter().filter(|record| record.partition == partition).cloned().collect()
        };
        let (results, events, states) = (of(&results), of(&events), of(&states));
        is_complete(&results, &expected_ids(&ground, RESULTS + shard).await);
        let expected = expected_ids(&ground, MEMBERSHIP + shard).await;
        is_complete(&events, &expected);
        is_complete(&states, &expected);
        assert_eq!(events.len(), states.len());
        for (event, state) in events.iter().zip(&states) {
            assert_eq!(
                (&event.key, event.header("ce_sequence"), event.header("ce_id")),
                (&state.key, state.header("ce_sequence"), state.header("ce_id")),
            );
        }
        let event = &events[3];
        assert_eq!(
            event.header("ce_source").unwrap(),
            format!("urn:rollcall/{prefix}membership-events/{shard}")
        );
        assert_eq!(event.header("ce_dataschema"), Some("0102030405060708"));
        assert_eq!(event.header("ce_subject").map(str::as_bytes), event.key.as_deref());
        assert!(event.header("ce_sequence").is_some_and(|sequence| sequence.len() == 20));
        assert!(
            states
                .iter()
                .any(|state| state.value.is_none() && state.header("ce_dataschema").is_none())
        );
    }
    let leases: i64 =
        sqlx::query_scalar("SELECT count(*) FROM relay_lease").fetch_one(pool).await.unwrap();
    assert_eq!(leases, 0, "the lease was given back");
}

#[tokio::test]
async fn what_was_committed_before_the_stop_is_published() {
    let ground = ground().await;
    let mut relay =
        start(&Config { poll_interval: PATIENCE, ..ground.config.clone() }, &ground.db.pool);
    relay.leads().await;
    for _ in 0..20 {
        seed(&ground.db.pool, RESULTS, 100).await;
    }
    relay.stop().await;
    let records = nothing_is_lost(&ground, RESULTS, "results", 0).await;
    assert_eq!(records.len(), 2_000, "an undisturbed relay does not repeat");
}

#[tokio::test]
async fn a_letter_leaves_with_its_own_headers_first_and_its_bytes() {
    let ground = ground().await;
    let mut tx = ground.db.pool.begin().await.unwrap();
    let letters = "INSERT INTO outbox (batch, stream, pos, id, key, cause, body, header_keys, header_values)
         SELECT nextval('outbox_batch_seq'), 3000, 0, gen_random_uuid(), NULL, '', body,
                ARRAY['a', 'a', 'rollcall.dlq.id']::bytea[], ARRAY['\\x00ff', NULL, '\\x41']::bytea[]
         FROM (VALUES ('\\x'::bytea), (NULL), ('\\x00ff80')) AS bodies (body)
         RETURNING batch";
    let batches: Vec<i64> = sqlx::query_scalar(letters).fetch_all(&mut *tx).await.unwrap();
    for batch in batches {
        insert_run(&mut tx, LETTERS, 1, batch).await;
    }
    tx.commit().await.unwrap();
    let relay = start(&ground.config, &ground.db.pool);
    all_published(&ground.db.pool).await;
    relay.stop().await;

    let records = ground.topics.read_partition("dead-letters", 0).await;
    let values: Vec<Option<&[u8]>> = records.iter().map(|record| record.value.as_deref()).collect();
    assert_eq!(values, [Some(&b""[..]), None, Some(&[0, 0xff, 0x80][..])]);
    assert!(records.iter().all(|record| record.key.is_none()));
    let expected = [
        ("a", Some(&[0, 0xff][..])),
        ("a", None),
        ("rollcall.dlq.id", Some(b"A")),
        ("rollcall.dlq.sequence", Some(b"00000000000000000002")),
        ("rollcall.dlq.generation", Some(b"1")),
    ];
    let headers = records[1].headers.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
    assert_eq!(headers.collect::<Vec<_>>(), expected);
}
