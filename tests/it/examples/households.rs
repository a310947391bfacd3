//! The households of `docs/PAYMENTS.md`: the requests that it tells of make the events that it shows.

use std::collections::VecDeque;

use rollcall::apply::{Record, SliceOutcome, TopicPartition};
use rollcall::contract::decode_own;
use rollcall::contract::wire::{
    Action, EnrollmentRequest, GroupMembershipRequest, GroupMode, MembershipChanged, Payee,
};
use uuid::Uuid;

use crate::scene::{SENT, Scene, carrying, enrollment, group, item, member, partition, update};

/// A row of a table of the page: event of; version and change; state; payee.
type Row = [String; 4];

/// The tables under the page's heading, in order.
fn tables() -> VecDeque<Vec<Row>> {
    let page = include_str!("../../../docs/PAYMENTS.md");
    let (_, section) = page.split_once("\n## Households\n").expect("the heading");
    let mut tables = VecDeque::new();
    for line in section.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", "event of", ..] => tables.push_back(Vec::new()),
            ["", rule, ..] if rule.starts_with("---") => {}
            ["", of, change, state, payee, ""] => {
                let row = [of, change, state, payee].map(|cell| (*cell).to_owned());
                tables.back_mut().expect("a head").push(row);
            }
            _ => {}
        }
    }
    tables
}

/// As the page says it: by name, and with the address where it matters.
fn paid(payee: Option<&Payee>) -> String {
    let Some(payee) = payee else { return "null: hold the payment".to_owned() };
    let name = payee.reference.as_deref().expect("a name");
    match payee.payment_address.as_deref() {
        Some("acct:1") => format!("{name}, her address"),
        Some("acct:2") => format!("{name}, her new address"),
        _ => name.to_owned(),
    }
}

struct Registry {
    scene: Scene,
    at: TopicPartition,
    offset: i64,
    fence: Uuid,
    seen: usize,
    tables: VecDeque<Vec<Row>>,
}

impl Registry {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let at = partition(0);
        let fence = scene.lease(&at).await;
        Self { scene, at, offset: 0, fence, seen: 0, tables: tables() }
    }

    async fn say(&mut self, record: Record) {
        self.offset += 1;
        assert_eq!(self.scene.apply(self.fence, vec![record]).await, [SliceOutcome::Committed]);
        assert!(self.scene.ledger().await.chars().all(|byte| byte == 'A'), "all of it is applied");
    }

    async fn enroll(&mut self, request: &EnrollmentRequest) {
        self.say(crate::scene::record(&self.at, self.offset, request)).await;
    }

    async fn tell(&mut self, request: &GroupMembershipRequest) {
        let key = request.group.reference.as_deref();
        self.say(carrying(&self.at, self.offset, key, request)).await;
    }

    /// The events since the last look, as the page shows them.
    async fn events(&mut self) -> Vec<Row> {
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT body FROM outbox WHERE stream BETWEEN 1000 AND 1999 ORDER BY batch, stream, pos",
        )
        .fetch_all(&self.scene.pool)
        .await
        .unwrap();
        let new = bodies.iter().skip(self.seen).map(|body| {
            let event: MembershipChanged = decode_own(body).unwrap();
            let symbol = |value: serde_json::Value| value.as_str().unwrap().to_owned();
            let (of, program) = (event.registrant.reference.unwrap(), event.program.code);
            [
                format!("{of} in {program}"),
                format!(
                    "{} {}",
                    event.version,
                    symbol(serde_json::to_value(event.change).unwrap())
                ),
                symbol(serde_json::to_value(event.state).unwrap()),
                paid(event.payee.as_ref()),
            ]
        });
        let mut new: Vec<Row> = new.collect();
        self.seen = bodies.len();
        new.sort();
        new
    }

    /// The events since the last look are those of the page's next table.
    async fn as_shown(&mut self) {
        let mut shown = self.tables.pop_front().expect("a table more");
        shown.sort();
        assert_eq!(self.events().await, shown);
    }
}

/// A request for a household in HOUSE.
fn founded(
    message_id: &str,
    reference: &str,
    members: &[(&str, &[&str])],
) -> GroupMembershipRequest {
    let mut request = group(message_id, reference, members);
    request.program_memberships.push(item("HOUSE"));
    request
}

/// A request for HH-1 in which this member has ended.
fn ended(message_id: &str, name: &str) -> GroupMembershipRequest {
    let mut request = group(message_id, "HH-1", &[(name, &["Head"])]);
    request.members[0].kinds = None;
    request.members[0].ended_date = Some(SENT.date().into());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_households_are_as_the_page_shows_them() {
    let mut r = Registry::new().await;
    let mut amara = enrollment("amara", "Amara", "CASH");
    amara.registrant.payment_address = Some("acct:1".to_owned());
    amara.program_memberships.push(item("FOOD"));
    r.enroll(&amara).await;
    let exit = update("exit", "Amara", "FOOD", Action::Exit);
    r.say(carrying(&r.at, r.offset, Some("Amara"), &exit)).await;
    assert_eq!(r.events().await.len(), 3);

    let four = [("Amara", &["Head"][..]), ("Juan", &[]), ("Rosa", &[]), ("Lina", &[])];
    r.tell(&founded("head", "HH-1", &four)).await;
    r.as_shown().await;

    let mut account = enrollment("account", "Amara", "CASH");
    account.registrant.payment_address = Some("acct:2".to_owned());
    account.program_memberships.clear();
    r.enroll(&account).await;
    r.as_shown().await;

    r.tell(&founded("another", "HH-2", &[("Juan", &["Head"])])).await;
    r.as_shown().await;
    let places =
        "SELECT count(*) FROM group_members JOIN names ON names.registrant_id = individual_id
                  WHERE names.value = 'Juan' AND ended_date IS NULL";
    assert_eq!(r.scene.number(places).await, 2, "Juan is in two groups");

    r.tell(&founded("split", "HH-3", &[("Lina", &["Head"])])).await;
    r.tell(&ended("leaves", "Lina")).await;
    r.as_shown().await;

    r.tell(&ended("death", "Amara")).await;
    r.as_shown().await;
    r.tell(&group("heir", "HH-1", &[("Rosa", &["Head"])])).await;
    r.as_shown().await;

    let mut rest = group("rest", "HH-1", &[]);
    rest.mode = GroupMode::Replace;
    rest.members = vec![member("Juan", &[])];
    r.tell(&rest).await;
    r.as_shown().await;
    assert!(r.tables.is_empty(), "the page shows more: {:?}", r.tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_and_an_heir_in_one_request_are_one_event() {
    let mut r = Registry::new().await;
    r.tell(&founded("head", "HH-1", &[("Amara", &["Head"]), ("Rosa", &[])])).await;
    r.events().await;
    let mut request = ended("death", "Amara");
    request.members.push(member("Rosa", &["Head"]));
    r.tell(&request).await;
    let shown = ["HH-1 in HOUSE", "2 PAYEE_CHANGED", "ENROLLED", "Rosa"];
    assert_eq!(r.events().await, [shown.map(str::to_owned)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_in_the_other_order_says_the_same() {
    let mut r = Registry::new().await;
    r.tell(&founded("head", "HH-1", &[("Amara", &["Head"]), ("Lina", &[])])).await;
    r.events().await;
    r.tell(&ended("leaves", "Lina")).await;
    assert!(r.events().await.is_empty());
    r.tell(&founded("split", "HH-3", &[("Lina", &["Head"])])).await;
    let shown = ["HH-3 in HOUSE", "1 ENROLLED", "ENROLLED", "Lina"];
    assert_eq!(r.events().await, [shown.map(str::to_owned)]);
}
