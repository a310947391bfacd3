//! Records that wait (P8): for what they name, or behind an earlier record of the same person.

mod again;
mod deaths;
mod desk;
mod letters;
mod locks;
mod receipts;
mod replays;
mod waiting;

use rollcall::contract::wire::{Action, EnrollmentRequest, HeldWhy, RequestResult, ResultStatus};
use tokio_util::sync::CancellationToken;

use crate::scene::{batch, carrying, enrollment, group, identifier, item, member, update};
use waiting::Waiting;

fn statuses(results: &[RequestResult]) -> Vec<(ResultStatus, bool, bool)> {
    results.iter().map(|result| (result.status, result.r#final, result.duplicate)).collect()
}

const HELD: (ResultStatus, bool, bool) = (ResultStatus::Held, false, false);
const DONE: (ResultStatus, bool, bool) = (ResultStatus::Succeeded, true, false);
const REFUSED: (ResultStatus, bool, bool) = (ResultStatus::Rejected, true, false);

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_overtook_its_enrollment_waits_for_it() {
    let mut w = Waiting::new().await;
    w.act("pause", "r1", Action::Pause).await;
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause WAITING REGISTRANT -");
    assert_eq!(w.scene.number("SELECT count(*) FROM names").await, 0, "a claim that nobody owns");
    w.enroll("enroll", "r1").await;
    w.scene.drain().await;
    assert_eq!(w.history().await, "enroll:ENROLLED:1 pause:PAUSED:2");
    let results = w.results("pause").await;
    assert_eq!(statuses(&results), [HELD, DONE]);
    assert_eq!(results[0].held.as_ref().unwrap().why, HeldWhy::Parked);
    assert_eq!(results[1].items[0].pointer, "");
    assert_eq!(w.scene.ledger().await, "AK");
    assert_eq!(w.parked().await, "pause RESOLVED REGISTRANT A");
    w.nobody_waits().await;
    let ids = w
        .scene
        .number("SELECT count(DISTINCT id) FROM outbox WHERE cause = 'pause' AND stream < 1000")
        .await;
    assert_eq!(ids, 2, "each answer has its own id");
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_batch_too() {
    let mut w = Waiting::new().await;
    let records = vec![
        w.update("pause", "r1", Action::Pause),
        w.enrollment(&enrollment("enroll", "r1", "CASH")),
        w.update("resume", "r1", Action::Resume),
    ];
    w.scene.apply(w.fence, records).await;
    w.scene.drain().await;
    assert_eq!(w.history().await, "enroll:ENROLLED:1 pause:PAUSED:2 resume:RESUMED:3");
    w.nobody_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_that_is_not_there_yet_is_waited_for() {
    let mut w = Waiting::new().await;
    let other = w.enrollment(&enrollment("food", "r1", "FOOD"));
    w.apply(other).await;
    w.act("exit", "r1", Action::Exit).await;
    w.act("reenroll", "r1", Action::Reenroll).await;
    // It tells of the same registrant, and would not create what the first waits for.
    let facts = w.enrollment(&EnrollmentRequest {
        program_memberships: Vec::new(),
        ..enrollment("facts", "r1", "CASH")
    });
    w.apply(facts).await;
    w.scene.drain().await;
    assert_eq!(
        w.parked().await,
        "exit WAITING MEMBERSHIP -, reenroll WAITING BEHIND -, facts WAITING BEHIND -"
    );
    w.enroll("cash", "r1").await;
    w.scene.drain().await;
    let cash = w
        .scene
        .text(
            "SELECT string_agg(message_id || ':' || change || ':' || version, ' ' ORDER BY version)
             FROM membership_history WHERE message_id <> 'food'",
        )
        .await;
    assert_eq!(cash, "cash:ENROLLED:1 exit:EXITED:2 reenroll:REENROLLED:3");
    w.nobody_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_keeps_its_order_and_its_end_of_grace() {
    let mut w = Waiting::new().await;
    for (message, action) in
        [("1", Action::Pause), ("2", Action::Resume), ("3", Action::Exit), ("4", Action::Remove)]
    {
        w.act(message, "r1", action).await;
    }
    w.scene.drain().await;
    assert_eq!(
        w.scene.number("SELECT count(*) FROM parked_records WHERE state = 'WAITING'").await,
        4
    );
    // "At the end of the grace the first is decided as it stands, then the queue goes on."
    w.scene.clock.advance(time::Duration::seconds(61));
    w.scene.drain().await;
    for message in ["1", "2", "3", "4"] {
        let results = w.results(message).await;
        assert_eq!(statuses(&results), [HELD, REFUSED], "{message}");
        assert_eq!(results[1].errors[0].code, "rjct.registrant.not_found");
        assert_eq!(results[1].errors[0].pointer, "/registrant");
    }
    w.nobody_waits().await;
    // Refused, so a greater attempt is evaluated anew: it waits again, and comes through.
    let (at, offset) = w.updates.clone();
    w.updates.1 += 1;
    let mut again = update("1", "r1", "CASH", Action::Pause);
    again.attempt = 2;
    w.apply(carrying(&at, offset, Some("r1"), &again)).await;
    w.enroll("enroll", "r1").await;
    w.scene.drain().await;
    assert_eq!(w.history().await, "enroll:ENROLLED:1 1:PAUSED:2");
    let attempts = "SELECT string_agg(outcome, '' ORDER BY inbox_attempt_id) FROM inbox_attempts WHERE message_id = '1'";
    assert_eq!(w.scene.text(attempts).await, "KRK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_that_never_comes_is_refused_and_a_copy_hears_held() {
    let mut w = Waiting::new().await;
    let other = w.enrollment(&enrollment("food", "r1", "FOOD"));
    w.apply(other).await;
    w.act("pause", "r1", Action::Pause).await;
    w.act("pause", "r1", Action::Pause).await;
    w.scene.clock.advance(time::Duration::seconds(59));
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause WAITING MEMBERSHIP -");
    w.scene.clock.advance(time::Duration::seconds(1));
    w.scene.drain().await;
    w.act("pause", "r1", Action::Pause).await;
    let results = w.results("pause").await;
    let copy = (ResultStatus::Held, false, true);
    let late = (ResultStatus::Rejected, true, true);
    assert_eq!(statuses(&results), [HELD, copy, REFUSED, late]);
    assert_eq!(results[2].errors[0].code, "rjct.membership.not_found");
    assert_eq!(w.scene.ledger().await, "AKDD");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_nobody_is_refused_at_once() {
    let mut w = Waiting::new().await;
    w.refused_at_once("free").await;
    w.nobody_waits().await;
    // Its name is occupied: by who waits for it, and by who is behind that one.
    w.act("pause", "r1", Action::Pause).await;
    w.refused_at_once("behind-one").await;
    w.act("resume", "r1", Action::Resume).await;
    w.refused_at_once("behind-two").await;
    assert_eq!(w.parked().await, "pause WAITING REGISTRANT -, resume WAITING BEHIND -");
    w.enroll("enroll", "r1").await;
    w.scene.drain().await;
    assert_eq!(w.history().await, "enroll:ENROLLED:1 pause:PAUSED:2 resume:RESUMED:3");
    w.nobody_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_others_do_not_wait_and_another_name_of_the_same_person_does() {
    let mut w = Waiting::new().await;
    w.act("pause", "r1", Action::Pause).await;
    w.enroll("other", "r2").await;
    // r1 comes with an identifier; what names the person by it alone must not overtake.
    let mut enroll = enrollment("enroll", "r1", "CASH");
    enroll.registrant.ids.push(identifier("NATIONAL", "1"));
    let enroll = w.enrollment(&enroll);
    w.apply(enroll).await;
    let (at, offset) = w.updates.clone();
    w.updates.1 += 1;
    let mut resume = update("resume", "-", "CASH", Action::Resume);
    resume.registrant.reference = None;
    resume.registrant.ids = vec![rollcall::contract::wire::IdentifierRef {
        id_type: "NATIONAL".to_owned(),
        value: "1".to_owned(),
    }];
    w.apply(carrying(&at, offset, None, &resume)).await;
    assert_eq!(w.parked().await, "pause RESOLVED REGISTRANT A");
    let r1 = w
        .scene
        .text(
            "SELECT string_agg(message_id || ':' || version, ' ' ORDER BY version) FROM membership_history
             WHERE message_id <> 'other'",
        )
        .await;
    assert_eq!(r1, "enroll:1 pause:2 resume:3");
    w.nobody_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_waits_for_each_of_its_members() {
    let mut w = Waiting::new().await;
    w.act("pause", "r2", Action::Pause).await;
    let (at, offset) = w.enrollments.clone();
    w.enrollments.1 += 1;
    // It would create r2, but in another program: the first waits on for the membership.
    let mut household = group("household", "g1", &[("r1", &["Head"]), ("r2", &[])]);
    household.members[1].program_memberships.push(item("FOOD"));
    w.apply(carrying(&at, offset, Some("g1"), &household)).await;
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause WAITING MEMBERSHIP -");
    let (at, offset) = w.enrollments.clone();
    w.enrollments.1 += 1;
    let mut second = group("second", "g1", &[]);
    second.members = vec![member("r2", &["Spouse"])];
    w.apply(carrying(&at, offset, Some("g1"), &second)).await;
    assert_eq!(w.parked().await, "pause WAITING MEMBERSHIP -, second WAITING BEHIND -");
    w.enroll("enroll", "r2").await;
    w.scene.drain().await;
    w.nobody_waits().await;
    assert_eq!(
        w.scene.text("SELECT string_agg(array_to_string(kinds, ','), ' ' ORDER BY kinds) FROM group_members").await,
        "Head Spouse"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_never_strand_a_record() {
    // I4: one sees no registrant and parks, the other makes the registrant and sees nothing parked.
    let mut w = Waiting::new().await;
    for round in 0..60 {
        let reference = format!("r{round}");
        let update = w.update(&format!("pause{round}"), &reference, Action::Pause);
        let enroll = w.enrollment(&enrollment(&format!("enroll{round}"), &reference, "CASH"));
        let (none, fence) = (CancellationToken::new(), w.fence);
        let applier = &w.scene.applier;
        tokio::join!(
            applier.apply(batch(applier, fence, vec![update]), &none),
            applier.apply(batch(applier, fence, vec![enroll]), &none),
        );
    }
    w.scene.drain().await;
    w.nobody_waits().await;
    let paused = "SELECT count(*) FROM memberships WHERE state = 'PAUSED' AND version = 2";
    assert_eq!(w.scene.number(paused).await, 60);
}

/// More than a transaction takes: whoever frees them leaves them to the drain, which takes so many at once, in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_is_emptied_in_bounded_steps_and_in_order() {
    let mut w = Waiting::new().await;
    let updates = (0..450)
        .map(|n| {
            let action = if n % 2 == 0 { Action::Pause } else { Action::Resume };
            w.update(&format!("{n:03}"), "r1", action)
        })
        .collect();
    w.scene.apply(w.fence, updates).await;
    w.enroll("enroll", "r1").await;
    let waiting = "SELECT count(*) FROM parked_records WHERE state = 'WAITING'";
    assert_eq!(w.scene.number(waiting).await, 450, "left to the drain");
    let mut steps = Vec::new();
    loop {
        match w.scene.applier.drain_some(&CancellationToken::new()).await.unwrap() {
            0 => break,
            looked_at => steps.push(looked_at),
        }
    }
    assert!(steps.len() >= 3 && steps.iter().all(|step| *step <= 200), "{steps:?}");
    w.nobody_waits().await;
    let in_order = "SELECT count(*) FROM membership_history
                    WHERE message_id = CASE version WHEN 1 THEN 'enroll' ELSE lpad((version - 2)::text, 3, '0') END";
    assert_eq!(w.scene.number(in_order).await, 451);
}

/// Whole records are read back: large ones in smaller steps, and one that is too large alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_large_records_is_emptied_in_steps_of_so_many_bytes() {
    let mut w = Waiting::new().await;
    let updates = (0..10)
        .map(|n| {
            let action = if n % 2 == 0 { Action::Pause } else { Action::Resume };
            w.update(&format!("{n:03}"), "r1", action)
        })
        .collect();
    w.scene.apply(w.fence, updates).await;
    let three =
        "SELECT 3 * max(octet_length(key) + octet_length(value) + pg_column_size(header_keys)
                                + pg_column_size(header_values))::bigint FROM parked_records";
    let three = usize::try_from(w.scene.number(three).await).unwrap();
    w.scene.applier = w.scene.applier_of_bytes(three);
    w.enroll("enroll", "r1").await;
    let waiting = "SELECT count(*) FROM parked_records WHERE state = 'WAITING'";
    assert_eq!(w.scene.number(waiting).await, 10, "left to the drain");
    let mut steps = Vec::new();
    for max_bytes in [three, three, 1, 1, three, three] {
        let applier = w.scene.applier_of_bytes(max_bytes);
        steps.push(applier.drain_some(&CancellationToken::new()).await.unwrap());
    }
    assert_eq!(steps, [3, 3, 1, 1, 2, 0]);
    w.nobody_waits().await;
    let in_order = "SELECT count(*) FROM membership_history
                    WHERE message_id = CASE version WHEN 1 THEN 'enroll' ELSE lpad((version - 2)::text, 3, '0') END";
    assert_eq!(w.scene.number(in_order).await, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_who_empty_the_queue_at_once_do_it_once() {
    let mut w = Waiting::new().await;
    for round in 0..30 {
        let reference = format!("r{round}");
        w.act(&format!("pause{round}"), &reference, Action::Pause).await;
        w.act(&format!("resume{round}"), &reference, Action::Resume).await;
    }
    let records = (0..30)
        .map(|n| w.enrollment(&enrollment(&format!("e{n}"), &format!("r{n}"), "CASH")))
        .collect();
    w.scene.apply(w.fence, records).await;
    futures::future::join_all((0..3).map(|_| w.scene.drain())).await;
    w.scene.drain().await;
    w.nobody_waits().await;
    let versions = "SELECT count(*) FROM memberships WHERE state = 'ENROLLED' AND version = 3";
    assert_eq!(w.scene.number(versions).await, 30);
    assert_eq!(w.scene.number("SELECT count(*) FROM membership_history").await, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_stage_apply_blocks_its_persons_until_the_request_is_said_again() {
    let mut w = Waiting::new().await;
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name poison')",
    )
    .execute(&w.scene.pool)
    .await
    .unwrap();
    w.enroll("failed", "poison").await;
    assert_eq!(w.scene.ledger().await, "L");
    w.act("pause", "poison", Action::Pause).await;
    w.enroll("other", "r1").await;
    // Another request that would make the same registrant must not overtake it.
    w.enroll("later", "poison").await;
    w.scene.clock.advance(time::Duration::hours(1));
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause WAITING BEHIND -, later WAITING BEHIND -");
    sqlx::query("ALTER TABLE registrants DROP CONSTRAINT no_poison")
        .execute(&w.scene.pool)
        .await
        .unwrap();
    // "A resend applies."
    w.enroll("failed", "poison").await;
    assert_eq!(
        w.scene.text("SELECT state || ' ' || outcome FROM dead_letters").await,
        "RESOLVED A"
    );
    w.scene.drain().await;
    w.nobody_waits().await;
    let poison = w
        .scene
        .text(
            "SELECT string_agg(message_id || ':' || version, ' ' ORDER BY version) FROM membership_history
             WHERE message_id <> 'other'",
        )
        .await;
    assert_eq!(poison, "failed:1 pause:2");
    assert_eq!(w.results("later").await[1].errors[0].code, "rjct.state_transition.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_record_that_fails_for_good_becomes_a_letter_and_blocks_on() {
    let mut w = Waiting::new().await;
    w.act("pause", "r1", Action::Pause).await;
    w.act("resume", "r1", Action::Resume).await;
    sqlx::query(
        "ALTER TABLE membership_history ADD CONSTRAINT never_paused CHECK (change <> 'PAUSED')",
    )
    .execute(&w.scene.pool)
    .await
    .unwrap();
    w.enroll("enroll", "r1").await;
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause RESOLVED BEHIND L, resume WAITING BEHIND -");
    assert_eq!(
        w.scene.text("SELECT class || ' ' || stage FROM dead_letters").await,
        "failed apply"
    );
    let results = w.results("pause").await;
    assert_eq!(results[1].held.as_ref().unwrap().why, HeldWhy::DeadLettered);
    assert_eq!(w.scene.ledger().await, "AKK");
}
