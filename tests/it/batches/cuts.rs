//! P10 for batches: however a sequence is cut into transactions, the same is counted.

use bytes::Bytes;
use rollcall::apply::Record;
use rollcall::contract::wire::{BatchRef, EnrollmentRequest};

use super::digest;
use crate::scene::{Scene, enrollment, item, partition, raw, record};

fn named(batch_id: Option<&str>, total_count: Option<i32>) -> Option<BatchRef> {
    batch_id.map(|batch_id| BatchRef { batch_id: batch_id.to_owned(), total_count })
}

/// Attempts, repeats, ids used again, letters before and after their messages, under one batch and another.
fn records() -> Vec<Record> {
    let at = partition(0);
    let mut records: Vec<Record> = Vec::new();
    let say = |records: &mut Vec<Record>, request: &EnrollmentRequest, batch| {
        let request = EnrollmentRequest { batch, ..request.clone() };
        let offset = records.len() as i64;
        records.push(record(&at, offset, &request));
    };
    let letter = |records: &mut Vec<Record>, message_id: &str, batch_id: &str| {
        let mut letter =
            raw(&at, records.len() as i64, None, Some(Bytes::from_static(b"no request")));
        letter.headers =
            [("ce_source", "registry"), ("ce_id", message_id), ("ce_batchid", batch_id)]
                .map(|(name, value)| {
                    (
                        name.as_bytes().to_vec().into(),
                        Some(Bytes::copy_from_slice(value.as_bytes())),
                    )
                })
                .into();
        records.push(letter);
    };
    let plain = |id: &str| enrollment(id, &format!("r-{id}"), "CASH");
    // Evaluated anew, under another batch: it stays in the first.
    let mut half = plain("m1");
    half.program_memberships.push(item("NOWHERE"));
    say(&mut records, &half, named(Some("a"), Some(6)));
    half.attempt = 2;
    say(&mut records, &half, named(Some("b"), Some(1)));
    // Taken first without a batch: of none, whatever comes.
    say(&mut records, &plain("m2"), None);
    say(&mut records, &plain("m2"), named(Some("a"), Some(99)));
    letter(&mut records, "m2", "a");
    // Held, then taken; held under another batch than it is taken.
    letter(&mut records, "m3", "a");
    letter(&mut records, "m3", "a");
    say(&mut records, &plain("m3"), named(Some("a"), None));
    letter(&mut records, "m4", "b");
    say(&mut records, &plain("m4"), named(Some("a"), None));
    letter(&mut records, "m4", "a");
    letter(&mut records, "m5", "a");
    // Used again for other content.
    say(&mut records, &enrollment("m3", "r-x", "FOOD"), named(Some("a"), None));
    // A total in a repeat; another total.
    say(&mut records, &plain("m6"), named(Some("b"), None));
    say(&mut records, &plain("m6"), named(Some("b"), Some(2)));
    say(&mut records, &enrollment("m7", "r-m6", "CASH"), named(Some("b"), Some(3)));
    // An id and a source that break their rules.
    say(&mut records, &plain("m 8"), named(Some("b"), None));
    let nobody = EnrollmentRequest { source: "no body".to_owned(), ..plain("m9") };
    say(&mut records, &nobody, named(Some("b"), None));
    records
}

/// Everything that is counted, without times.
async fn counted(scene: &Scene) -> String {
    scene
        .text(
            "SELECT concat_ws(E'\n',
                 (SELECT string_agg(concat_ws(' ', source, batch_id, total_count, total_count_conflict, applied_count,
                         unchanged_count, partial_count, rejected_count, held_count, letters_held, digest, positions),
                         E'\n' ORDER BY source, batch_id) FROM batches),
                 (SELECT string_agg(concat_ws(' ', message_id, batch_id), ', ' ORDER BY message_id) FROM batch_letters),
                 (SELECT string_agg(concat_ws(' ', message_id, batch_id, outcome), ', ' ORDER BY message_id) FROM inbox))",
        )
        .await
}

async fn cut(sizes: &[usize]) -> (Scene, String) {
    let scene = Scene::new().await;
    let fence = scene.lease(&partition(0)).await;
    let mut records = records();
    for size in sizes {
        let rest = records.split_off((*size).min(records.len()));
        if !records.is_empty() {
            Box::pin(scene.apply(fence, records)).await;
        }
        records = rest;
    }
    assert!(records.is_empty(), "everything was applied");
    let counted = counted(&scene).await;
    (scene, counted)
}

#[tokio::test(flavor = "multi_thread")]
async fn however_it_is_cut_the_same_is_counted() {
    let (scene, one_by_one) = cut(&[1; 18]).await;
    let batch = "SELECT concat_ws(' ', total_count, total_count_conflict, applied_count, unchanged_count, partial_count,
                 rejected_count, held_count, letters_held, encode(digest, 'hex')) FROM batches";
    let row = async |batch_id: &str| -> String {
        let sql = format!("{batch} WHERE source = 'registry' AND batch_id = '{batch_id}'");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&scene.pool).await.unwrap()
    };
    let of = |outcomes: &[(&str, &str)]| hex::encode(digest(outcomes.iter().copied()));
    let a = of(&[("m1", "partial"), ("m3", "applied"), ("m4", "applied"), ("m5", "held")]);
    assert_eq!(row("a").await, format!("6 f 2 0 1 0 1 1 {a}"), "{one_by_one}");
    let stand_in =
        "SELECT message_id FROM inbox WHERE message_id LIKE 'invalid:%' AND source = 'registry'";
    let stand_in: Option<String> =
        sqlx::query_scalar(stand_in).fetch_optional(&scene.pool).await.unwrap();
    let invalid = "SELECT message_id FROM inbox WHERE batch_id = 'b' AND outcome = 'R'";
    let invalid: String = sqlx::query_scalar(invalid).fetch_one(&scene.pool).await.unwrap();
    assert!(stand_in.is_none_or(|id| id == invalid));
    let b = of(&[("m4", "held"), ("m6", "applied"), ("m7", "unchanged"), (&invalid, "rejected")]);
    assert_eq!(row("b").await, format!("2 t 1 1 0 1 1 1 {b}"), "{one_by_one}");
    assert_eq!(scene.number("SELECT count(*) FROM batches").await, 2, "{one_by_one}");
    for sizes in
        [&[18][..], &[2; 9], &[3; 6], &[5, 1, 4, 8], &[6, 6, 6], &[9, 9], &[1, 17], &[7, 2, 2, 7]]
    {
        assert_eq!(cut(sizes).await.1, one_by_one, "cut {sizes:?}");
    }
}
