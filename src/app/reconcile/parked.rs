//! Records that wait against the ledger, the inbox and what they occupy (P8).

use super::Unchecked;
use super::report::{Check, Finding};
use super::walk::{LEDGER_PAGE, PAGE, Walk};
use crate::store::reconcile::{self as read, LedgerRow, ParkedName, ParkedRow};

impl Walk<'_> {
    /// Each page is one statement, so one snapshot, and what is compared in it moves in one transaction. Rows of
    /// `parked_records` never go, so the row of a byte that was read before is there.
    pub(super) async fn parked(&self) -> Result<Check, Unchecked> {
        const NAME: &str = "parked";
        let mut check = Check::new(NAME);
        let mut connection = self.pool.acquire().await?;
        let mut after = (String::new(), -1, -1);
        loop {
            let key = (after.0.as_str(), after.1, after.2);
            let page = read::ledger_with_after(&mut connection, b'K', key, LEDGER_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = (last.topic.clone(), last.partition, last.first_offset);
            for places in places(&page).chunks(PAGE) {
                check.checked += places.len() as u64;
                let places = places.iter().copied().collect();
                let missing = read::never_parked(&mut connection, &places).await?;
                for (topic, partition, offset) in missing {
                    let what = "the ledger says K, parked_records has no row for it";
                    check.find(Finding::at_offset(what, &topic, partition, offset));
                }
            }
            (self.watch)(NAME, 0);
        }
        let mut after = i64::MIN;
        loop {
            let page = read::parked_after(&mut connection, after, PAGE as i64).await?;
            let Some(last) = page.last() else { break };
            after = last.parked_id;
            for row in &page {
                judge(row, &mut check);
            }
            (self.watch)(NAME, page.len() as u64);
        }
        let mut after = (String::new(), String::new(), String::new(), i64::MIN);
        loop {
            let key = (after.0.as_str(), after.1.as_str(), after.2.as_str(), after.3);
            let page = read::parked_names_after(&mut connection, key, PAGE as i64).await?;
            for name in &page {
                occupied(name, &mut check);
            }
            (self.watch)(NAME, page.len() as u64);
            let Some(last) = page.into_iter().next_back() else { break };
            after = (last.kind, last.scope, last.value, last.parked_id);
        }
        Ok(check)
    }
}

/// The offsets of these rows that were parked.
fn places(rows: &[LedgerRow]) -> Vec<(&str, i32, i64)> {
    rows.iter()
        .flat_map(|row| {
            let bytes = (row.first_offset..).zip(&row.outcomes);
            bytes
                .filter(|(_, byte)| **byte == b'K')
                .map(|(offset, _)| (row.topic.as_str(), row.partition, offset))
        })
        .collect()
}

fn judge(row: &ParkedRow, check: &mut Check) {
    check.checked += 1;
    let mut find = |what: &str| {
        check.find(Finding {
            parked_id: Some(row.parked_id),
            source: Some(row.source.clone()),
            message_id: Some(row.message_id.clone()),
            ..Finding::at_offset(what, &row.topic, row.partition, row.offset)
        });
    };
    match row.byte.and_then(|byte| u8::try_from(byte).ok()) {
        None if row.is_http => {}
        // A letter that is replayed may have to wait too.
        Some(b'K' | b'L' | b'S') => {}
        Some(byte) => {
            find(&format!("a parked record of which the ledger says {}", byte as char));
        }
        None => find("a parked record for an offset that the ledger does not have"),
    }
    if row.state == "WAITING" {
        if !row.is_held {
            find("a record waits, and the inbox does not hold its request");
        }
        if !row.occupies {
            find("a record waits and occupies nothing: others may overtake it");
        } else if !row.is_looked_at {
            find("a record waits for nothing: nobody is before it, and it is never looked at");
        }
        return;
    }
    if row.is_held {
        find("a parked record is through, and the inbox still holds its request");
    }
    match row.outcome.as_deref() {
        Some("L") if !row.is_letter => find("a parked record became a letter that is not there"),
        Some("A" | "U" | "P" | "R" | "L") if !row.has_end => {
            find("a parked record is through, and does not say since when");
        }
        Some("A" | "U" | "P" | "R" | "L") => {}
        _ => find("a parked record is through without an outcome"),
    }
}

/// Values are persons' (P9): a finding names the record.
fn occupied(name: &ParkedName, check: &mut Check) {
    check.checked += 1;
    let mut find = |what: &str| {
        check.find(Finding { parked_id: Some(name.parked_id), ..Finding::new(what) });
    };
    if !name.has_occupant {
        find("a name is occupied by no record that waits and no open letter");
    }
    if !name.has_registrant {
        find("an orphan: a registrant that is occupied does not exist");
    }
}
