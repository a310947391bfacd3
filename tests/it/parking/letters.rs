//! Records that wait behind letters of stage apply, and leave no trace when these are closed.

use rollcall::contract::wire::{Action, IdentifierRef};

use super::waiting::Waiting;
use crate::scene::{carrying, enrollment, identifier, update};

/// A letter whose request was said again and waits itself; who is behind the letter is looked at by the drain that closes it.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_behind_a_letter_that_a_drain_closes_is_not_stranded() {
    let mut w = Waiting::new().await;
    w.sql("ALTER TABLE parked_records ADD CONSTRAINT no_u CHECK (message_id <> 'u')").await;
    w.act("u", "r1", Action::Pause).await;
    w.sql("ALTER TABLE parked_records DROP CONSTRAINT no_u").await;
    assert_eq!(w.scene.ledger().await, "L");
    w.act("u", "r1", Action::Pause).await;
    w.enroll("e", "r1").await;
    assert_eq!(w.parked().await, "u WAITING REGISTRANT -, e WAITING BEHIND -");
    w.scene.clock.advance(time::Duration::seconds(61));
    w.scene.drain().await;
    w.scene.drain().await;
    assert_eq!(w.parked().await, "u RESOLVED REGISTRANT R, e RESOLVED BEHIND A");
    w.nobody_waits().await;
}

/// A letter occupies the person, not only the name by which its record called them.
#[tokio::test(flavor = "multi_thread")]
async fn another_name_of_the_same_person_does_not_overtake_a_letter() {
    let mut w = Waiting::new().await;
    let mut enroll = enrollment("enroll", "r1", "CASH");
    enroll.registrant.ids.push(identifier("NATIONAL", "1"));
    let enroll = w.enrollment(&enroll);
    w.apply(enroll).await;
    w.sql("ALTER TABLE membership_history ADD CONSTRAINT never_paused CHECK (change <> 'PAUSED')")
        .await;
    w.act("pause", "r1", Action::Pause).await;
    assert_eq!(w.scene.number("SELECT count(*) FROM dead_letters").await, 1);
    let (at, offset) = w.updates.clone();
    w.updates.1 += 1;
    let mut exit = update("exit", "-", "CASH", Action::Exit);
    exit.registrant.reference = None;
    exit.registrant.ids =
        vec![IdentifierRef { id_type: "NATIONAL".to_owned(), value: "1".to_owned() }];
    w.apply(carrying(&at, offset, None, &exit)).await;
    assert_eq!(w.parked().await, "exit WAITING BEHIND -");
    w.sql("ALTER TABLE membership_history DROP CONSTRAINT never_paused").await;
    w.act("pause", "r1", Action::Pause).await;
    w.scene.drain().await;
    assert_eq!(w.history().await, "enroll:ENROLLED:1 pause:PAUSED:2 exit:EXITED:3");
    w.nobody_waits().await;
}
