//! Records that wait, as commands say them, and their release.

use crate::apply::Verdict;
use crate::contract::wire::Millis;
use crate::store::parked_list::{self, Filter, Listed, Outcome};
use crate::store::{Result, drains};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;

/// Records that are released in one transaction, at most: their queues stand still meanwhile.
const AT_ONCE: usize = 500;

/// A waiting record as `--json` says it.
pub fn object(parked: &Listed) -> Value {
    json!({
        "parked_id": parked.parked_id,
        "source": parked.source,
        "message_id": parked.message_id,
        "attempt": parked.attempt,
        "batch_id": parked.batch_id,
        "why": parked.why,
        "program": parked.program,
        "topic": parked.topic,
        "partition": parked.partition,
        "offset": parked.offset,
        "parked_at": Millis::from(parked.parked_at),
        "due_at": parked.due_at.map(Millis::from),
        "released": parked.released,
    })
}

/// Who lets records go, why, and when.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Who, if that is known.
    pub actor: Option<&'a str>,
    /// Why.
    pub reason: &'a str,
    /// When.
    pub at: OffsetDateTime,
}

/// Releases these records, as far as they wait. One that was given up, because processes died even of making it a letter,
/// is tried anew.
///
/// # Errors
/// When the database fails; what was released before stays so.
pub async fn release(
    connection: &mut PgConnection,
    parked_ids: &[i64],
    order: Order<'_>,
) -> Result<Outcome> {
    let mut all = Outcome::default();
    for some in parked_ids.chunks(AT_ONCE) {
        let others = release_some(connection, some, order, &mut all).await?;
        for one in others {
            release_some(connection, &[one], order, &mut all).await?;
        }
    }
    Ok(all)
}

/// Releases all records that wait now and are meant.
///
/// # Errors
/// As [`release`].
pub async fn release_all(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    order: Order<'_>,
) -> Result<Outcome> {
    let mut parked_ids = Vec::new();
    loop {
        let after = parked_ids.last().copied().unwrap_or(i64::MIN);
        let page = parked_list::list(connection, filter, after, AT_ONCE as i64).await?;
        parked_ids.extend(page.iter().map(|parked| parked.parked_id));
        if page.len() < AT_ONCE {
            return release(connection, &parked_ids, order).await;
        }
    }
}

/// In one transaction; gives those that it did not get hold of.
async fn release_some(
    connection: &mut PgConnection,
    parked_ids: &[i64],
    Order { actor, reason, at }: Order<'_>,
    all: &mut Outcome,
) -> Result<Vec<i64>> {
    let mut tx = connection.begin().await?;
    let (done, others) = parked_list::release(&mut tx, parked_ids, actor, reason, at).await?;
    drains::forgive(&mut tx, parked_ids, Verdict::HOPELESS).await?;
    tx.commit().await?;
    all.released += done.released;
    all.behind += done.behind;
    all.before += done.before;
    Ok(others)
}
