//! Groups on a real Postgres: members, heads, and who is paid.

use rollcall::apply::{SliceOutcome, TopicPartition};
use rollcall::contract::decode_own;
use rollcall::contract::wire::{Action, GroupMembershipRequest, GroupMode, MembershipChanged};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scene::{
    Scene, batch, carrying, enrollment, group, item, member, partition, record, update,
};

struct Groups {
    scene: Scene,
    at: TopicPartition,
    offset: i64,
    fence: Uuid,
}

impl Groups {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let at = partition(0);
        let fence = scene.lease(&at).await;
        Self { scene, at, offset: 0, fence }
    }

    async fn say(&mut self, request: &GroupMembershipRequest) {
        let record = carrying(&self.at, self.offset, request.group.reference.as_deref(), request);
        self.offset += 1;
        assert_eq!(self.scene.apply(self.fence, vec![record]).await, [SliceOutcome::Committed]);
    }

    /// Events of groups' memberships in the order of versions: change, and where the payee is paid.
    async fn paid(&self) -> Vec<String> {
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT body FROM outbox JOIN outbox_runs USING (batch, stream) WHERE stream BETWEEN 1000 AND 1999
             ORDER BY first_seq, pos",
        )
        .fetch_all(&self.scene.pool)
        .await
        .unwrap();
        let mut events: Vec<MembershipChanged> =
            bodies.iter().map(|body| decode_own(body).unwrap()).collect();
        events.retain(|event| event.program.code == "HOUSE");
        events.sort_by_key(|event| event.version);
        events
            .iter()
            .map(|event| {
                let payee = event.payee.as_ref();
                let reference = payee.and_then(|payee| payee.reference.clone());
                let address = payee.and_then(|payee| payee.payment_address.clone());
                format!(
                    "{}:{:?}:{}:{}",
                    event.version,
                    event.change,
                    reference.as_deref().unwrap_or("nobody"),
                    address.as_deref().unwrap_or("-")
                )
            })
            .collect()
    }
}

/// A household of three, enrolled in HOUSE; its head is paid at `acct:1`.
fn household() -> GroupMembershipRequest {
    let mut request =
        group("made", "g1", &[("ann", &["Head"]), ("bob", &["Spouse"]), ("cid", &[])]);
    request.members[0].individual.payment_address = Some("acct:1".to_owned());
    request.program_memberships.push(item("HOUSE"));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_household_is_paid_through_its_head() {
    let mut g = Groups::new().await;
    g.say(&household()).await;
    g.say(&household()).await;
    // The head's own facts change by an enrollment of the person.
    let mut moved = enrollment("moved", "ann", "CASH");
    moved.registrant.payment_address = Some("acct:2".to_owned());
    let moved = record(&g.at, g.offset, &moved);
    g.offset += 1;
    g.scene.apply(g.fence, vec![moved]).await;
    // The head dies: nobody is paid until there is another one.
    let mut death = group("death", "g1", &[("ann", &["Head"])]);
    death.members[0].ended_date = Some(crate::scene::SENT.date().into());
    g.say(&death).await;
    let mut heir = group("heir", "g1", &[("bob", &["Head", "Spouse"])]);
    heir.members[0].individual.payment_address = Some("acct:3".to_owned());
    g.say(&heir).await;
    assert_eq!(
        g.paid().await,
        [
            "1:Enrolled:ann:acct:1",
            "2:PayeeChanged:ann:acct:2",
            "3:PayeeChanged:nobody:-",
            "4:PayeeChanged:bob:acct:3",
        ]
    );
    assert_eq!(g.scene.ledger().await, "ADAAA");
    let members = g
        .scene
        .text(
            "SELECT string_agg(value || ' ' || array_to_string(kinds, '+') || ' ' || is_head || ' ' ||
                    coalesce(ended_date::text, '-'), ', ' ORDER BY value)
             FROM group_members JOIN names ON names.registrant_id = individual_id",
        )
        .await;
    assert_eq!(members, "ann Head false 2026-03-01, bob Head+Spouse true -, cid  false -");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_swapped_in_one_request_and_twice_in_one_batch() {
    let mut g = Groups::new().await;
    g.say(&household()).await;
    let swap = |message: &str, head: &'static str, other: &'static str| {
        group(message, "g1", &[(other, &["Member"]), (head, &["Head"])])
    };
    g.say(&swap("1", "bob", "ann")).await;
    let records = [swap("2", "ann", "bob"), swap("3", "cid", "ann")]
        .iter()
        .enumerate()
        .map(|(n, request)| carrying(&g.at, g.offset + n as i64, Some("g1"), request))
        .collect();
    g.offset += 2;
    assert_eq!(g.scene.apply(g.fence, records).await, [SliceOutcome::Committed]);
    assert_eq!(
        g.paid().await,
        [
            "1:Enrolled:ann:acct:1",
            "2:PayeeChanged:bob:-",
            "3:PayeeChanged:ann:acct:1",
            "4:PayeeChanged:cid:-",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_household_splits_and_an_action_on_it_names_the_head() {
    let mut g = Groups::new().await;
    g.say(&household()).await;
    // Bob and Cid leave and are a household of their own; "REPLACE ends the members that are not named".
    let mut rest = group("rest", "g1", &[("ann", &["Head"])]);
    rest.mode = GroupMode::Replace;
    g.say(&rest).await;
    let mut split = group("split", "g2", &[("bob", &["Head"]), ("cid", &[])]);
    split.members[1] = member("cid", &["Child"]);
    split.program_memberships.push(item("HOUSE"));
    g.say(&split).await;
    let pause = update("pause", "g1", "HOUSE", Action::Pause);
    let pause = carrying(&g.at, g.offset, Some("g1"), &pause);
    g.offset += 1;
    g.scene.apply(g.fence, vec![pause]).await;
    assert_eq!(
        g.paid().await,
        ["1:Enrolled:ann:acct:1", "1:Enrolled:bob:-", "2:Paused:ann:acct:1"]
    );
    assert_eq!(
        g.scene.number("SELECT count(*) FROM group_members WHERE ended_date IS NULL").await,
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_changes_while_its_facts_change_is_never_paid_by_old_facts() {
    // One transaction makes a person the head, another changes where that person is paid: whichever comes second must
    // see the other, so the last event always names the last address.
    let mut g = Groups::new().await;
    g.say(&household()).await;
    let other = partition(1);
    sqlx::query("INSERT INTO partition_leases SELECT topic, 1, fence, owner, cluster_id, group_id, taken_at FROM partition_leases")
        .execute(&g.scene.pool)
        .await
        .unwrap();
    for round in 0..40 {
        let (head, left) = if round % 2 == 0 { ("bob", "ann") } else { ("ann", "bob") };
        let swap = group(&format!("swap{round}"), "g1", &[(left, &[]), (head, &["Head"])]);
        let swap = carrying(&g.at, g.offset, Some("g1"), &swap);
        g.offset += 1;
        let mut moved = enrollment(&format!("moved{round}"), head, "CASH");
        moved.program_memberships.clear();
        moved.registrant.payment_address = Some(format!("acct:{round}"));
        let moved = record(&other, round, &moved);
        let (none, applier) = (CancellationToken::new(), &g.scene.applier);
        tokio::join!(
            applier.apply(batch(applier, g.fence, vec![swap]), &none),
            applier.apply(batch(applier, g.fence, vec![moved]), &none),
        );
        let last = g.paid().await.pop().unwrap();
        assert!(last.ends_with(&format!(":{head}:acct:{round}")), "{round}: {last}");
    }
    let versions = g.scene.text(
        "SELECT (max(version) = count(*))::text FROM membership_history JOIN programs USING (program_id) WHERE code = 'HOUSE'",
    );
    assert_eq!(versions.await, "true");
}
