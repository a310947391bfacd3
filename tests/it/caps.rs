//! Caps on dead letters where records fail for good only when they are applied.

use std::sync::Arc;

use bytes::Bytes;
use rollcall::apply::{Caps, SliceOutcome};
use rollcall::lifecycle::clock::ManualClock;
use tokio_util::sync::CancellationToken;

use crate::scene::{SENT, Scene, applier_capped, batch, enrollment, partition, raw, record};

/// Half of ten.
const HALF: Caps = Caps { max_consecutive: 0, max_ratio: 0.5, ratio_window: 10 };

#[tokio::test(flavor = "multi_thread")]
async fn their_share_counts_with_what_cannot_be_decoded() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name NOT LIKE '%poison%')",
    )
    .execute(&scene.pool)
    .await
    .unwrap();
    // g: garbage, p: poison, o: applied. Before the last p, five of the last nine are letters.
    let records = "oopgopogopop".chars().enumerate().map(|(n, kind)| {
        let offset = n as i64;
        if kind == 'g' {
            return raw(&at, offset, None, Some(Bytes::from_static(b"garbage")));
        }
        let reference = if kind == 'p' { format!("poison{n}") } else { format!("r{n}") };
        record(&at, offset, &enrollment(&format!("m{n}"), &reference, "CASH"))
    });
    let clock = Arc::new(ManualClock::new(SENT + time::Duration::DAY));
    let applier = applier_capped(scene.pool.clone(), clock, HALF);
    let batch = batch(&applier, fence, records.collect());
    let outcomes = applier.apply(batch, &CancellationToken::new()).await;
    let ledger = "SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger";
    assert_eq!(scene.text(ledger).await, "AALLALALALA");
    assert!(
        matches!(&outcomes[0].1, SliceOutcome::Stopped { offset: 11, cause } if cause.starts_with("dead_letter_cap")),
        "{outcomes:?}"
    );
}
