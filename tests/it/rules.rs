//! Rules of requests on a real Postgres: who is meant, within one batch and across transactions; what is too old; what
//! history keeps. All kinds come in one topic.

use rollcall::apply::{Record, SliceOutcome, TopicPartition};
use rollcall::contract::decode_own;
use rollcall::contract::wire::{
    Action, BatchRef, Day, EnrollmentRequest, IdentifierRef, MembershipUpdateRequest, Millis,
    ReasonIn, RequestResult,
};
use time::Duration;
use time::macros::date;
use uuid::Uuid;

use crate::scene::{
    NOW, SENT, Scene, carrying, enrollment, identifier, item, partition, record, update,
};

struct Requests {
    scene: Scene,
    at: TopicPartition,
    fence: Uuid,
}

impl Requests {
    async fn new() -> Self {
        let scene = Scene::without_grace().await;
        let at = partition(0);
        let fence = scene.lease(&at).await;
        Self { scene, at, fence }
    }

    async fn apply(&self, records: Vec<Record>) {
        assert_eq!(self.scene.apply(self.fence, records).await, [SliceOutcome::Committed]);
    }

    /// The last result of each request, in the order of the requests.
    async fn results(&self) -> Vec<RequestResult> {
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT DISTINCT ON (cause) body FROM outbox WHERE stream < 1000 ORDER BY cause, batch DESC, pos DESC",
        )
        .fetch_all(&self.scene.pool)
        .await
        .unwrap();
        bodies.iter().map(|body| decode_own(body).unwrap()).collect()
    }
}

/// Enrolls who has this reference (of another source, if one is named) and these identifiers.
fn enroll(
    message_id: &str,
    (source, reference): (Option<&str>, Option<&str>),
    ids: &[(&str, &str)],
    program: &str,
) -> EnrollmentRequest {
    let mut request = enrollment(message_id, "", program);
    request.registrant.source = source.map(str::to_owned);
    request.registrant.reference = reference.map(str::to_owned);
    request.registrant.ids =
        ids.iter().map(|(id_type, value)| identifier(id_type, value)).collect();
    request
}

/// An action on the membership in CASH of whom these names mean.
fn act(
    message_id: &str,
    (source, reference): (Option<&str>, Option<&str>),
    ids: &[(&str, &str)],
    action: Action,
) -> MembershipUpdateRequest {
    let mut request = update(message_id, "", "CASH", action);
    request.registrant.source = source.map(str::to_owned);
    request.registrant.reference = reference.map(str::to_owned);
    let id = |(id_type, value): &(&str, &str)| IdentifierRef {
        id_type: (*id_type).to_owned(),
        value: (*value).to_owned(),
    };
    request.registrant.ids = ids.iter().map(id).collect();
    request
}

/// Requests about two persons under many names, with what each should come to.
fn about_two(at: &TopicPartition) -> (Vec<Record>, Vec<&'static str>) {
    let r = |reference| (None, Some(reference));
    let nobody = (None, None);
    let (one, two, tax) = (("NID", "1"), ("NID", "2"), ("TAX", "9"));
    let enrollments = [
        (enroll("01", r("r1"), &[one], "CASH"), "1 SUCCEEDED"),
        // Known by its identifier: a reference of a source that it did not have is added.
        (enroll("02", (Some("other"), Some("o1")), &[one], "CASH"), "1 SUCCEEDED"),
        (enroll("03", r("r2"), &[two, tax], "CASH"), "2 SUCCEEDED"),
        (
            enroll("04", r("r1"), &[two], "FOOD"),
            "- REJECTED rjct.registrant.identity_conflict /registrant/ids/0",
        ),
        (
            enroll("05", nobody, &[one, tax], "FOOD"),
            "- REJECTED rjct.registrant.ambiguous /registrant/ids",
        ),
        // A second reference of the same source.
        (
            enroll("06", r("r3"), &[one], "FOOD"),
            "- REJECTED rjct.registrant.identity_conflict /registrant/reference",
        ),
        (enroll("07", nobody, &[one], "FOOD"), "1 SUCCEEDED"),
        (enroll("08", nobody, &[], "FOOD"), "- REJECTED rjct.registrant.unnamed /registrant"),
    ];
    let updates = [
        (act("09", (Some("other"), Some("o1")), &[], Action::Pause), "1 SUCCEEDED"),
        (act("10", nobody, &[two], Action::Pause), "2 SUCCEEDED"),
        (
            act("11", nobody, &[one, tax], Action::Resume),
            "- REJECTED rjct.registrant.ambiguous /registrant/ids",
        ),
        // Unknown identifiers aside; and the reference alone, if there is one.
        (act("12", nobody, &[one, ("X", "x")], Action::Resume), "1 SUCCEEDED"),
        (act("13", r("r2"), &[one], Action::Resume), "2 SUCCEEDED"),
        (
            act("14", r("r4"), &[one], Action::Pause),
            "- REJECTED rjct.registrant.not_found /registrant",
        ),
        (act("15", nobody, &[], Action::Pause), "- REJECTED rjct.registrant.unnamed /registrant"),
    ];
    let (mut records, mut expected) = (Vec::new(), Vec::new());
    for (request, outcome) in &enrollments {
        records.push(record(at, records.len() as i64, request));
        expected.push(*outcome);
    }
    for (request, outcome) in &updates {
        records.push(carrying(at, records.len() as i64, Some("k"), request));
        expected.push(*outcome);
    }
    (records, expected)
}

/// Whom it concerns (the first, the second), status, code and pointer of the first error.
fn in_words(results: &[RequestResult]) -> Vec<String> {
    let mut known: Vec<&str> = Vec::new();
    let mut words = Vec::new();
    for result in results {
        let whom = result.registrant_id.as_deref().map(|id| {
            let place = known.iter().position(|one| *one == id).unwrap_or_else(|| {
                known.push(id);
                known.len() - 1
            });
            (place + 1).to_string()
        });
        let status = serde_json::to_value(result.status).unwrap();
        let mut said = vec![whom.as_deref().unwrap_or("-"), status.as_str().unwrap()];
        said.extend(result.errors.iter().flat_map(|error| [&*error.code, &*error.pointer]));
        words.push(said.join(" "));
    }
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn names_mean_the_same_within_one_batch_and_across_transactions() {
    let (whole, apart) = tokio::join!(Requests::new(), Requests::new());
    let (records, expected) = about_two(&whole.at);
    whole.apply(records.clone()).await;
    for record in records {
        apart.apply(vec![record]).await;
    }
    for requests in [whole, apart] {
        assert_eq!(in_words(&requests.results().await), expected);
        assert_eq!(requests.scene.number("SELECT count(*) FROM registrants").await, 2);
        let names = requests.scene.text(
            "SELECT string_agg(kind || ' ' || scope || ' ' || value, ', ' ORDER BY kind, scope, value) FROM names",
        );
        assert_eq!(
            names.await,
            "IDENTIFIER NID 1, IDENTIFIER NID 2, IDENTIFIER TAX 9, REFERENCE other o1, REFERENCE registry r1, \
             REFERENCE registry r2"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_the_inbox_begins_is_refused() {
    let requests = Requests::new().await;
    let late = NOW - Duration::days(400);
    let sent = |message_id: &str, at| EnrollmentRequest {
        sent_at: Millis::from(at),
        ..enrollment(message_id, message_id, "CASH")
    };
    let at = &requests.at;
    requests.apply(vec![record(at, 0, &sent("first", late))]).await;
    requests.apply(vec![record(at, 1, &sent("too-late", late - Duration::SECOND))]).await;
    // The same a second later: nobody would know any more what it was answered.
    requests.scene.clock.advance(Duration::SECOND);
    requests.apply(vec![record(at, 2, &sent("first", late))]).await;
    assert_eq!(requests.scene.ledger().await, "ARR");
    let expired = "- REJECTED rjct.request.expired /sent_at";
    assert_eq!(in_words(&requests.results().await), [expired, expired]);
    assert_eq!(requests.scene.number("SELECT count(*) FROM memberships").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_keeps_who_when_whence_and_why_of_every_change() {
    let requests = Requests::new().await;
    let at = &requests.at;
    let mut enroll = enrollment("enroll", "r1", "CASH");
    enroll.actor = Some("clerk-1".to_owned());
    enroll.batch = Some(BatchRef { batch_id: "b1".to_owned(), total_count: None });
    enroll.program_memberships[0].enrollment_date = Some(Day::from(date!(2026 - 02 - 01)));
    let mut pause = update("pause", "r1", "CASH", Action::Pause);
    pause.actor = Some("clerk-2".to_owned());
    pause.sent_at = Millis::from(SENT + Duration::HOUR);
    pause.effective_date = Some(Day::from(date!(2026 - 02 - 15)));
    let reason = ReasonIn { code: "AWAY".to_owned(), note: Some("came back late".to_owned()) };
    pause.reason = Some(reason);
    let mut account = enrollment("account", "r1", "CASH");
    account.registrant.payment_address = Some("acct:2".to_owned());
    account.program_memberships.clear();
    requests.apply(vec![record(at, 0, &enroll)]).await;
    requests.scene.clock.advance(Duration::MINUTE);
    requests.apply(vec![carrying(at, 1, None, &pause), record(at, 2, &account)]).await;
    let rows = "SELECT concat_ws(' ', version, change, coalesce(previous_state, '-'), coalesce(state, '-'), spell,
                       enrollment_date, effective_date, coalesce(reason_code, '-'), coalesce(reason_note, '-'), channel,
                       source, message_id, coalesce(actor, '-'), coalesce(batch_id, '-'), topic, partition, \"offset\",
                       to_char(occurred_at AT TIME ZONE 'UTC', 'HH24:MI'), to_char(recorded_at AT TIME ZONE 'UTC', 'HH24:MI'))
                FROM membership_history ORDER BY recorded_at, membership_id, version";
    let rows = async || -> Vec<String> {
        sqlx::query_scalar(rows).fetch_all(&requests.scene.pool).await.unwrap()
    };
    let three = [
        "1 ENROLLED - ENROLLED 1 2026-02-01 2026-02-01 - - KAFKA registry enroll clerk-1 b1 \
         rollcall.enrollment-requests 0 0 08:30 00:00",
        "2 PAUSED ENROLLED PAUSED 1 2026-02-01 2026-02-15 AWAY came back late KAFKA registry pause clerk-2 - \
         rollcall.enrollment-requests 0 1 09:30 00:01",
        "3 PAYEE_CHANGED PAUSED PAUSED 1 2026-02-01 2026-03-01 - - KAFKA registry account - - \
         rollcall.enrollment-requests 0 2 08:30 00:01",
    ];
    assert_eq!(rows().await, three);
    // What follows adds to it: a membership that is removed, and one that is made anew.
    requests.scene.clock.advance(Duration::MINUTE);
    let remove = update("remove", "r1", "CASH", Action::Remove);
    let mut again = enrollment("again", "r1", "CASH");
    again.program_memberships = vec![item("CASH")];
    requests.apply(vec![carrying(at, 3, None, &remove), record(at, 4, &again)]).await;
    let all = rows().await;
    assert_eq!(all[..3], three);
    let rest: Vec<_> = all[3..].iter().map(|row| &row[..row.find(" 2026").unwrap()]).collect();
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(rest.contains(&"4 REMOVED PAUSED - 1"), "{rest:?}");
    assert!(rest.contains(&"1 ENROLLED - ENROLLED 1"), "{rest:?}");
}
