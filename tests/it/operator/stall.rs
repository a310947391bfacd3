//! What fails the same way for `apply.stall_after` while others can write, and what fails while nobody can.

use std::sync::Arc;
use std::time::Duration;

use rollcall::apply::SliceOutcome;
use rollcall::lifecycle::clock::ManualClock;
use tokio_util::sync::CancellationToken;

use crate::scene::{SENT, Scene, applier_stalling, batch, enrollment, partition, record};
use crate::support::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_looks_like_an_outage_for_ever_is_a_letter() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    // Class 53: the system's, as far as its code goes. The canary has no name, so it passes.
    sqlx::raw_sql(
        "CREATE FUNCTION looks_busy() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.name LIKE '%poison%' THEN
                 RAISE EXCEPTION USING ERRCODE = '53400';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER looks_busy BEFORE INSERT ON registrants FOR EACH ROW EXECUTE FUNCTION looks_busy()",
    )
    .execute(&scene.pool)
    .await
    .unwrap();
    let names = ["r0", "r1", "poison", "r3"];
    let records = (0_i64..).zip(names).map(|(offset, reference)| {
        record(&at, offset, &enrollment(&format!("m{offset}"), reference, "CASH"))
    });
    let clock = Arc::new(ManualClock::new(SENT + time::Duration::DAY));
    let applier = applier_stalling(scene.pool.clone(), clock, Duration::from_millis(300));
    let batch = batch(&applier, fence, records.collect());
    let outcomes = applier.apply(batch, &CancellationToken::new()).await;
    assert!(matches!(outcomes[0].1, SliceOutcome::Committed), "{outcomes:?}");
    assert_eq!(scene.ledger().await, "AALA");
    let letter = "SELECT class || ' ' || code FROM dead_letters";
    assert_eq!(scene.text(letter).await, "failed apply_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_not_judged_while_the_system_is_away() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    // The canary has no name: it is told that the disk is full, and a sequence counts how often, for it is not rolled back.
    sqlx::raw_sql(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name NOT LIKE '%poison%');
         CREATE SEQUENCE canaries;
         CREATE FUNCTION is_away() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.name IS NULL THEN
                 PERFORM nextval('canaries');
                 RAISE EXCEPTION USING ERRCODE = '53100';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER is_away BEFORE INSERT ON registrants FOR EACH ROW EXECUTE FUNCTION is_away()",
    )
    .execute(&scene.pool)
    .await
    .unwrap();
    let clock = Arc::new(ManualClock::new(SENT + time::Duration::DAY));
    let applier = applier_stalling(scene.pool.clone(), clock, Duration::from_mins(5));
    let batch = batch(&applier, fence, vec![record(&at, 0, &enrollment("m0", "poison", "CASH"))]);
    let hard = CancellationToken::new();
    let comes_back = async {
        eventually(PATIENCE, "it was tried again", async || {
            let tried = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM canaries";
            (scene.number(tried).await > 1).then_some(())
        })
        .await;
        assert_eq!(scene.ledger().await, "");
        sqlx::raw_sql("DROP TRIGGER is_away ON registrants").execute(&scene.pool).await.unwrap();
    };
    let (outcomes, ()) = tokio::join!(applier.apply(batch, &hard), comes_back);
    assert!(matches!(outcomes[0].1, SliceOutcome::Committed), "{outcomes:?}");
    assert_eq!(scene.ledger().await, "L");
}
