//! Receipts of the real worker, on real servers.

use rollcall::contract::encode;
use rollcall::contract::wire::{Action, MembershipUpdateRequest, Millis, ReceiptStatus};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};

use super::{counts, digest, letter, of_batch, positions_hold, receipt, receipts};
use crate::scene::{item, update};
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, Worker};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_total_is_known_gets_one_receipt_that_holds() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    // m0 to m9 are applied, m10 says what m0 said, m11 is half refused, m12 whole; m3 comes twice.
    let mut requests: Vec<_> = (0..13).map(|n| of_batch(n, "b-1", Some(13))).collect();
    requests[10].registrant = requests[0].registrant.clone();
    requests[11].program_memberships.push(item("NOWHERE"));
    requests[12].program_memberships = vec![item("NOWHERE")];
    requests.insert(4, requests[3].clone());
    let records: Vec<_> = requests.iter().map(|request| record(None, request)).collect();
    // m0 and m10 have the same key, so the same partition: in this order.
    stage.topics.produce(REQUESTS, &records).await;
    let said = receipt(&stage, "b-1", 1).await;
    assert_eq!(said.status, ReceiptStatus::Complete);
    assert_eq!((said.total_count, counts(&said)), (Some(13), [10, 1, 1, 1, 0]));
    let words = |n| match n {
        0..10 => "applied",
        10 => "unchanged",
        11 => "partial",
        _ => "rejected",
    };
    let ids: Vec<_> = (0..13).map(|n| (format!("m{n}"), words(n))).collect();
    let expected = digest(ids.iter().map(|(id, word)| (id.as_str(), *word)));
    assert_eq!(said.digest.0, expected);
    assert!(said.completed_at.is_some());
    stage.prove(14).await;
    positions_hold(&stage, &said, 11).await;
    // Repeats change nothing and cause no revision.
    stage.topics.produce(REQUESTS, &records).await;
    stage.prove(28).await;
    let due = "SELECT count(*) FROM batches WHERE due_at IS NOT NULL OR revision <> 1";
    assert_eq!(stage.number(due).await, 0);
    let all = receipts(&stage, "b-1").await;
    let [(record, _)] = all.as_slice() else { panic!("one receipt: {all:?}") };
    assert_eq!(record.header("ce_type"), Some("org.rollcall.batch.receipt.v1"));
    assert_eq!(record.header("ce_subject"), Some("registry/b-1"));
    assert_eq!(record.header("ce_causationid"), None);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_come_late_and_those_that_do_not_fit_mark_the_batch() {
    let stage = Stage::new().await;
    let setup = stage.setup.clone().with("ROLLCALL_BATCHES__REVISE_AFTER", "0ms");
    let worker = Worker::start(&setup);
    let send = async |n: usize, total| {
        let requests = [record(None, &of_batch(n, "late", total))];
        stage.topics.produce(REQUESTS, &requests).await;
        stage.decided(n as i64 + 1).await;
    };
    let show = async || stage.json(&["batches", "show", "registry", "late"]).await.1;
    for n in 0..3 {
        send(n, None).await;
    }
    let open = show().await;
    assert_eq!((&open["state"], &open["due_at"]), (&"OPEN".into(), &serde_json::Value::Null));
    assert_eq!(stage.json(&["status"]).await.1["batches"]["open"], 1);
    send(3, Some(4)).await;
    let said = receipt(&stage, "late", 1).await;
    assert_eq!((said.total_count, counts(&said)), (Some(4), [4, 0, 0, 0, 0]));
    assert_eq!(show().await["total_count_conflict"], false);
    // One more than there should be, which says another total: the first stands.
    send(4, Some(9)).await;
    let said = receipt(&stage, "late", 2).await;
    assert_eq!(said.status, ReceiptStatus::Complete);
    assert_eq!((said.total_count, counts(&said)), (Some(4), [5, 0, 0, 0, 0]));
    let marked = show().await;
    assert_eq!((&marked["total_count_conflict"], &marked["revision"]), (&true.into(), &2.into()));
    stage.prove(5).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_says_what_there_is_and_late_comers_revise_it() {
    let stage = Stage::new().await;
    let setup = stage.setup.clone().with("ROLLCALL_BATCHES__REVISE_AFTER", "0ms");
    let worker = Worker::start(&setup);
    let send = async |numbers: std::ops::Range<usize>, batch, total| {
        let records: Vec<_> =
            numbers.clone().map(|n| record(None, &of_batch(n, batch, total))).collect();
        stage.topics.produce(REQUESTS, &records).await;
        stage.decided(numbers.end as i64).await;
    };
    let close = async |arguments: &[&str]| {
        let (code, batch) =
            stage.json(&[&["batches", "close", "registry"], arguments].concat()).await;
        assert_eq!(code, 0, "{batch}");
        batch
    };
    send(0..3, "no-total", None).await;
    close(&["no-total"]).await;
    let said = receipt(&stage, "no-total", 1).await;
    assert_eq!((said.status, said.total_count), (ReceiptStatus::Complete, None));

    send(3..6, "few", Some(5)).await;
    close(&["few"]).await;
    let said = receipt(&stage, "few", 1).await;
    assert_eq!((said.status, counts(&said)), (ReceiptStatus::Incomplete, [3, 0, 0, 0, 0]));
    // Closing again, and with another total, says nothing new.
    let again = close(&["few", "--total-count", "3"]).await;
    assert_eq!((&again["due_at"], &again["total_count"]), (&serde_json::Value::Null, &5.into()));
    assert_eq!(again["total_count_conflict"], true);
    send(6..8, "few", None).await;
    let mut last = receipt(&stage, "few", 2).await;
    if counts(&last)[0] < 5 {
        last = receipt(&stage, "few", 3).await;
    }
    assert_eq!((last.status, counts(&last)), (ReceiptStatus::Complete, [5, 0, 0, 0, 0]));
    positions_hold(&stage, &last, 5).await;

    send(8..9, "told", None).await;
    close(&["told", "--total-count", "2"]).await;
    let said = receipt(&stage, "told", 1).await;
    assert_eq!((said.status, said.total_count), (ReceiptStatus::Incomplete, Some(2)));
    for command in ["close", "show", "results"] {
        let (code, stdout, stderr) =
            stage.command(&["batches", command, "registry", "nobody"]).await;
        assert_eq!((code, &*stdout), (1, ""), "{stderr}");
        assert!(stderr.contains("nobody") && stderr.contains("has been seen"), "{stderr}");
    }
    stage.prove(9).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_letter_holds_comes_to_its_outcome_when_it_comes_again() {
    let stage = Stage::new().await;
    let setup = stage.setup.clone().with("ROLLCALL_BATCHES__REVISE_AFTER", "0ms");
    let worker = Worker::start(&setup);
    let first = record(Some(0), &of_batch(1, "held", Some(3)));
    let refused = {
        let mut request = of_batch(3, "held", Some(3));
        request.program_memberships = vec![item("NOWHERE")];
        record(Some(0), &request)
    };
    // m1 was taken before a letter of it came; m2 came as a letter twice.
    let garbage = [letter("m1", "held"), letter("m2", "held"), letter("m2", "held")];
    let mut records = vec![first];
    records.extend(garbage);
    records.push(refused);
    stage.topics.produce(REQUESTS, &records).await;
    let said = receipt(&stage, "held", 1).await;
    assert_eq!((said.status, counts(&said)), (ReceiptStatus::CompleteWithHeld, [1, 0, 0, 1, 1]));
    let words = [("m1", "applied"), ("m2", "held"), ("m3", "rejected")];
    assert_eq!(said.digest.0, digest(words));
    let results = async |arguments: &[&str]| {
        let (code, list) =
            stage.json(&[&["batches", "results", "registry", "held"], arguments].concat()).await;
        assert_eq!(code, 0, "{list}");
        let ids = list["items"].as_array().unwrap().iter();
        let ids: Vec<String> =
            ids.map(|item| item["message_id"].as_str().unwrap().to_owned()).collect();
        (ids.join(" "), list)
    };
    let (ids, list) = results(&["--outcome", "held"]).await;
    assert_eq!(ids, "m2");
    let held = &list["items"][0];
    assert_eq!((&held["status"], &held["held"]["why"]), (&"HELD".into(), &"DEAD_LETTERED".into()));
    assert!(held["held"]["letter_id"].is_string(), "{held}");
    stage.prove(5).await;

    stage.topics.produce(REQUESTS, &[record(Some(0), &of_batch(2, "held", None))]).await;
    let said = receipt(&stage, "held", 2).await;
    assert_eq!((said.status, counts(&said)), (ReceiptStatus::Complete, [2, 0, 0, 1, 0]));
    assert_eq!(said.digest.0, digest([("m1", "applied"), ("m2", "applied"), ("m3", "rejected")]));
    stage.prove(6).await;
    positions_hold(&stage, &said, 2).await;

    // In the order in which they were recorded, of which the first two may have one time.
    let mut paged = Vec::new();
    let mut cursor = None;
    for left in (0..3).rev() {
        let mut arguments = vec!["--limit", "1"];
        arguments.extend(cursor.iter().flat_map(|cursor: &String| ["--cursor", cursor]));
        let (id, list) = results(&arguments).await;
        paged.push(id);
        cursor = list["next_cursor"].as_str().map(str::to_owned);
        assert_eq!(cursor.is_some(), left > 0, "{list}");
    }
    assert_eq!(paged, ["m1", "m3", "m2"]);
    assert_eq!(results(&["--code", "rjct.program.not_found", "--limit", "1"]).await.0, "m3");
    assert_eq!(results(&["--outcome", "applied", "--code", "rjct.program.not_found"]).await.0, "");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_held_until_it_has_its_outcome() {
    let stage = Stage::new().await;
    let setup = stage.setup.clone().with("ROLLCALL_BATCHES__REVISE_AFTER", "0ms");
    let worker = Worker::start(&setup);
    // An update of whom nobody has heard, and an enrollment.
    let pause = MembershipUpdateRequest {
        sent_at: Millis::from(SystemClock.now()),
        batch: of_batch(1, "waits", Some(2)).batch,
        ..update("pause", "r2", "CASH", Action::Pause)
    };
    let pause = NewRecord {
        key: Some(b"r2".to_vec()),
        value: Some(encode(&pause).unwrap()),
        ..NewRecord::default()
    };
    stage.topics.produce("membership-updates", &[pause]).await;
    stage.topics.produce(REQUESTS, &[record(None, &of_batch(1, "waits", Some(2)))]).await;
    let said = receipt(&stage, "waits", 1).await;
    assert_eq!((said.status, counts(&said)), (ReceiptStatus::CompleteWithHeld, [1, 0, 0, 0, 1]));
    assert_eq!(said.digest.0, digest([("m1", "applied"), ("pause", "held")]));
    stage.topics.produce(REQUESTS, &[record(None, &request(2))]).await;
    let said = receipt(&stage, "waits", 2).await;
    assert_eq!((said.status, counts(&said)), (ReceiptStatus::Complete, [2, 0, 0, 0, 0]));
    assert_eq!(said.digest.0, digest([("m1", "applied"), ("pause", "applied")]));
    stage.prove(3).await;
    positions_hold(&stage, &said, 2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_listed_in_pages_the_latest_first() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    for n in 0..3 {
        let batch = format!("b{n}");
        let records = [record(Some(0), &of_batch(n, &batch, (n == 1).then_some(1)))];
        stage.topics.produce(REQUESTS, &records).await;
        stage.decided(n as i64 + 1).await;
    }
    receipt(&stage, "b1", 1).await;
    let list = async |arguments: &[&str]| {
        let (code, list) = stage.json(&[&["batches", "list"], arguments].concat()).await;
        assert_eq!(code, 0, "{list}");
        let ids = list["items"].as_array().unwrap().iter();
        let ids: Vec<_> = ids.map(|item| item["batch_id"].as_str().unwrap().to_owned()).collect();
        (ids.join(" "), list["next_cursor"].as_str().map(str::to_owned))
    };
    assert_eq!(list(&[]).await, ("b2 b1 b0".to_owned(), None));
    let (page, next) = list(&["--limit", "2"]).await;
    assert_eq!(page, "b2 b1");
    assert_eq!(list(&["--cursor", &next.unwrap()]).await, ("b0".to_owned(), None));
    assert_eq!(list(&["--state", "OPEN"]).await.0, "b2 b0");
    assert_eq!(list(&["--state", "COMPLETE", "--source", "registry"]).await.0, "b1");
    assert_eq!(list(&["--source", "other"]).await.0, "");
    for wrong in [&["--cursor", "x"][..], &["--state", "CLOSED"], &["--limit", "0"]] {
        let (code, _, stderr) = stage.command(&[&["batches", "list"], wrong].concat()).await;
        assert_eq!(code, 2, "{stderr}");
    }
    worker.stop().await;
}
