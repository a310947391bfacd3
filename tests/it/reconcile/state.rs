//! Lies of memberships, their history, and references.

use serde_json::json;

use super::{lie, seed, tell};
use crate::scene::{Scene, partition};

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_state_are_found() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    // Of r1: drafted, then enrolled.
    let id = scene.text("SELECT membership_id::text FROM memberships WHERE version = 2").await;
    let registrant =
        scene.text("SELECT registrant_id::text FROM memberships WHERE version = 2").await;
    let stream = 1000 + rollcall::contract::shard(id.as_bytes(), 12) as i16;
    let at = json!({"membership_id": id, "registrant_id": registrant});
    let of_membership = json!({"membership_id": id});
    let this = format!("WHERE membership_id = '{id}'");
    let history = |version: i32, state: &str| {
        format!(
            "INSERT INTO membership_history (membership_id, version, change, state, spell, registrant_id, program_id,
                 effective_date, channel, source, message_id, occurred_at, recorded_at)
             SELECT '{id}', {version}, 'CORRECTED', {state}, spell, registrant_id, program_id, effective_date, channel,
                 source, message_id, occurred_at, recorded_at FROM membership_history {this} AND version = 2;"
        )
    };
    tell(
        &scene,
        &[
            lie("history", "a state without event", at.clone(), format!("DELETE FROM membership_history {this}")),
            lie(
                "history",
                "a state without event",
                json!({"membership_id": "00000000-0000-0000-0000-000000000001"}),
                "INSERT INTO memberships SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), program_id,
                     state, spell, version, enrollment_date, exit_date, created_at, updated_at FROM memberships LIMIT 1",
            ),
            lie("history", "an event without state", of_membership.clone(), format!("DELETE FROM memberships {this}")),
            lie(
                "history",
                "the history has version 2 where 1 is due",
                of_membership.clone(),
                format!("DELETE FROM membership_history {this} AND version = 1"),
            ),
            lie(
                "history",
                "the state is not that of the last change: version 2 against 1, state ENROLLED against DRAFT",
                at.clone(),
                format!("DELETE FROM membership_history {this} AND version = 2"),
            ),
            lie(
                "history",
                "the state is not that of the last change: state PAUSED",
                at.clone(),
                format!("UPDATE memberships SET state = 'PAUSED' {this}"),
            ),
            lie(
                "history",
                "the state is not that of the last change: version 3 against 2",
                at.clone(),
                format!("UPDATE memberships SET version = 3 {this}"),
            ),
            lie(
                "history",
                "the state is not that of the last change: version 2 against 3, state ENROLLED against its removal",
                at.clone(),
                history(3, "NULL"),
            ),
            lie(
                "history",
                "the history goes on after the removal",
                of_membership.clone(),
                history(3, "NULL") + &history(4, "'DRAFT'"),
            ),
            lie(
                "history",
                "the history has",
                json!({"stream": stream}),
                history(3, "state") + &format!("UPDATE memberships SET version = 3, enrollment_date = NULL, exit_date = NULL {this}"),
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_references_are_found() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    let id = scene.text("SELECT membership_id::text FROM memberships WHERE version = 2").await;
    let registrant =
        scene.text("SELECT registrant_id::text FROM memberships WHERE version = 2").await;
    let at = json!({"membership_id": id, "registrant_id": registrant});
    let of_membership = json!({"membership_id": id});
    let owner = format!("WHERE registrant_id = '{registrant}'");
    tell(
        &scene,
        &[
            lie(
                "references",
                "an orphan: the membership's registrant",
                at.clone(),
                format!("DELETE FROM registrants {owner}"),
            ),
            lie(
                "references",
                "an orphan: the owner of a name",
                json!({"registrant_id": registrant, "source": "registry"}),
                format!("DELETE FROM registrants {owner}"),
            ),
            lie(
                "references",
                "an orphan: the membership's program",
                at,
                "DELETE FROM programs WHERE code = 'CASH'",
            ),
            lie(
                "references",
                "version 1 in the history",
                of_membership,
                "DELETE FROM programs WHERE code = 'CASH'",
            ),
            lie(
                "references",
                "a name without owner",
                json!({"source": "registry"}),
                format!("UPDATE names SET registrant_id = NULL {owner}"),
            ),
            lie(
                "references",
                "an orphan: the owner of a phone number",
                json!({"registrant_id": "00000000-0000-0000-0000-000000000001"}),
                "INSERT INTO phone_numbers (registrant_id, phone_no)
                 VALUES ('00000000-0000-0000-0000-000000000001', '+100')",
            ),
        ],
    )
    .await;
}
