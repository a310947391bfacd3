//! Records that wait (P8): what they are, what they occupy, and when they are to be looked at.

use super::letters::Headers;
use super::{Result, error::expect_rows};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// New numbers, ascending. To be taken under the locks of the names.
pub async fn next_ids(connection: &mut PgConnection, count: usize) -> Result<Vec<i64>> {
    let mut ids = sqlx::query_scalar!(
        r#"SELECT nextval('parked_id_seq') AS "id!" FROM generate_series(1, $1)"#,
        count as i64,
    )
    .fetch_all(connection)
    .await?;
    ids.sort_unstable();
    Ok(ids)
}

/// New waiting records, a column an element.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Rows<'a> {
    pub parked_ids: Vec<i64>,
    pub whys: Vec<&'static str>,
    pub programs: Vec<Option<&'a str>>,
    pub sources: Vec<&'a str>,
    pub message_ids: Vec<&'a str>,
    pub attempts: Vec<i32>,
    pub batch_ids: Vec<Option<&'a str>>,
    pub topics: Vec<&'a str>,
    pub partitions: Vec<i32>,
    pub offsets: Vec<i64>,
    pub record_timestamps: Vec<OffsetDateTime>,
    pub keys: Vec<Option<&'a [u8]>>,
    pub values: Vec<&'a [u8]>,
    pub due: Vec<Option<OffsetDateTime>>,
    /// Of a letter that was replayed and has to wait.
    pub letter_ids: Vec<Option<Uuid>>,
    /// The headers, by the record's place in these rows.
    pub headers: Headers,
}

/// Inserts waiting records.
pub async fn insert(
    tx: &mut Transaction<'_, Postgres>,
    rows: &Rows<'_>,
    recorded_at: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        r#"INSERT INTO parked_records (parked_id, why, program, source, message_id, attempt, batch_id, topic, partition,
               "offset", record_timestamp, key, value, due_at, letter_id, header_keys, header_values, state, parked_at)
           SELECT parked_id, why, program, source, message_id, attempt, batch_id, topic, partition, "offset",
                  record_timestamp, key, value, due_at, letter_id, coalesce(headers.keys, '{}'),
                  coalesce(headers.values, '{}'), 'WAITING', $19
           FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[],
                       $9::int[], $10::bigint[], $11::timestamptz[], $12::bytea[], $13::bytea[], $14::timestamptz[],
                       $15::uuid[])
             WITH ORDINALITY
             AS parked (parked_id, why, program, source, message_id, attempt, batch_id, topic, partition, "offset",
                        record_timestamp, key, value, due_at, letter_id, n)
           LEFT JOIN (
               SELECT header.n, array_agg(header.key ORDER BY header.place) AS keys,
                      array_agg(header.value ORDER BY header.place) AS values
               FROM UNNEST($16::int[], $17::bytea[], $18::bytea[]) WITH ORDINALITY AS header (n, key, value, place)
               GROUP BY header.n
           ) AS headers ON headers.n = parked.n - 1"#,
        &rows.parked_ids,
        &rows.whys as &[&str],
        &rows.programs as &[Option<&str>],
        &rows.sources as &[&str],
        &rows.message_ids as &[&str],
        &rows.attempts,
        &rows.batch_ids as &[Option<&str>],
        &rows.topics as &[&str],
        &rows.partitions,
        &rows.offsets,
        &rows.record_timestamps,
        &rows.keys as &[Option<&[u8]>],
        &rows.values as &[&[u8]],
        &rows.due as &[Option<OffsetDateTime>],
        &rows.letter_ids as &[Option<Uuid>],
        rows.headers.records(),
        rows.headers.keys(),
        rows.headers.values() as &[Option<Vec<u8>>],
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("parked records", rows.parked_ids.len(), done.rows_affected())
}

/// Has waiting records looked at now; until then they wait for nothing else.
pub async fn wake(
    tx: &mut Transaction<'_, Postgres>,
    parked_ids: &[i64],
    now: OffsetDateTime,
) -> Result<()> {
    let waiting = lock(tx, parked_ids).await?;
    sqlx::query!(
        "UPDATE parked_records SET due_at = $2, why = 'BEHIND', program = NULL WHERE parked_id = ANY($1)",
        &waiting,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Puts waiting records off: `why` and `program` say what for, `due` until when (none: until the one before is through).
/// One that is released after it was read, and is first, is looked at again as the release says.
pub async fn put_off(
    tx: &mut Transaction<'_, Postgres>,
    parked_ids: &[i64],
    whys: &[&str],
    programs: &[Option<&str>],
    due: &[Option<OffsetDateTime>],
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE parked_records SET why = off.why, program = off.program,
             due_at = CASE WHEN released AND off.due_at IS NOT NULL THEN parked_records.due_at ELSE off.due_at END
         FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) AS off (parked_id, why, program, due_at)
         WHERE parked_records.parked_id = off.parked_id AND parked_records.state = 'WAITING'",
        parked_ids,
        whys as &[&str],
        programs as &[Option<&str>],
        due as &[Option<OffsetDateTime>],
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("parked records put off", parked_ids.len(), done.rows_affected())
}

/// Ends waiting records with their outcome, which is that of the letter too by whose replay one came to wait. Those that
/// did not become letters give up what they occupy, and who is behind them is looked at.
pub async fn resolve(
    tx: &mut Transaction<'_, Postgres>,
    parked_ids: &[i64],
    outcomes: &[&str],
    now: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE parked_records SET state = 'RESOLVED', outcome = came.outcome, resolved_at = $3, due_at = NULL
         FROM UNNEST($1::bigint[], $2::text[]) AS came (parked_id, outcome)
         WHERE parked_records.parked_id = came.parked_id AND parked_records.state = 'WAITING'
         RETURNING parked_records.letter_id, parked_records.outcome",
        parked_ids,
        outcomes as &[&str],
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    expect_rows("parked records resolved", parked_ids.len(), done.len() as u64)?;
    let mut came = (Vec::new(), Vec::new());
    for row in done {
        if let (Some(letter_id), Some(outcome)) = (row.letter_id, row.outcome)
            && outcome != "L"
        {
            came.0.push(letter_id);
            came.1.push(outcome);
        }
    }
    if !came.0.is_empty() {
        super::letters_replay::waited(tx, &came.0, &came.1, now).await?;
    }
    let through: Vec<i64> = parked_ids
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| **outcome != "L")
        .map(|(id, _)| *id)
        .collect();
    super::parked_names::vacate(tx, &through, now).await
}

/// A record that waits.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Waiting {
    pub parked_id: i64,
    pub source: String,
    pub message_id: String,
    pub attempt: i32,
    pub batch_id: Option<String>,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub record_timestamp: OffsetDateTime,
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
    pub header_keys: Vec<Vec<u8>>,
    pub header_values: Vec<Option<Vec<u8>>>,
    pub parked_at: OffsetDateTime,
    pub released: bool,
    pub letter_id: Option<Uuid>,
}

impl std::fmt::Debug for Waiting {
    /// P9: coordinates only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}-{}-{}", self.parked_id, self.topic, self.partition, self.offset)
    }
}

/// How much is taken out of the queue at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// So many records.
    pub records: i64,
    /// So many bytes of keys, values and headers.
    pub bytes: i64,
}

/// So many of the records that are to be looked at, and of those behind them, but for those at which processes died; one
/// at least, if there is one.
pub async fn due(
    connection: &mut PgConnection,
    now: OffsetDateTime,
    most: Most,
) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar!(
        r#"WITH due AS MATERIALIZED (
               SELECT parked_id FROM parked_records AS parked
               WHERE state = 'WAITING' AND due_at <= $1
                 AND NOT EXISTS (SELECT FROM parked_crashes AS suspect WHERE suspect.parked_id = parked.parked_id)
               ORDER BY parked_id LIMIT $2
           ), behind AS MATERIALIZED (
               SELECT DISTINCT others.parked_id
               FROM due JOIN parked_names AS own USING (parked_id)
               CROSS JOIN LATERAL (
                   SELECT names.parked_id FROM parked_names AS names
                   WHERE names.kind = own.kind AND names.scope = own.scope AND names.value = own.value
                     AND names.parked_id > own.parked_id
                   ORDER BY names.parked_id LIMIT $2
               ) AS others
           )
           SELECT parked_id AS "parked_id!"
           FROM (
               SELECT parked_id, size.bytes, (sum(size.bytes) OVER (ORDER BY parked_id))::bigint AS so_far
               FROM (
                   SELECT parked_id FROM (SELECT parked_id FROM due UNION SELECT parked_id FROM behind) AS meant
                   WHERE NOT EXISTS (SELECT FROM parked_crashes AS suspect WHERE suspect.parked_id = meant.parked_id)
                   ORDER BY parked_id LIMIT $2
               ) AS chosen
               CROSS JOIN LATERAL (
                   SELECT coalesce(octet_length(key), 0)::bigint + octet_length(value) + pg_column_size(header_keys)
                          + pg_column_size(header_values) AS bytes
                   FROM parked_records AS parked
                   WHERE parked.parked_id = chosen.parked_id AND parked.state = 'WAITING'
                   OFFSET 0
               ) AS size
           ) AS measured
           WHERE so_far <= $3 OR so_far = bytes ORDER BY parked_id"#,
        now,
        most.records,
        most.bytes,
    )
    .fetch_all(connection)
    .await?)
}

/// These and all who share a key with one of them, or with one of those, and so on: whole queues, with the letters in
/// them. None if that is more than `most`, or processes died at one of them.
pub async fn queues_of(
    connection: &mut PgConnection,
    parked_ids: &[i64],
    most: Most,
) -> Result<Option<Vec<i64>>> {
    let involved = sqlx::query!(
        r#"WITH RECURSIVE involved (parked_id) AS (
               SELECT UNNEST($1::bigint[])
               UNION
               SELECT other.parked_id
               FROM involved
               JOIN parked_names AS own USING (parked_id)
               JOIN parked_names AS other
                 ON other.kind = own.kind AND other.scope = own.scope AND other.value = own.value
           )
           SELECT parked_id AS "parked_id!",
                  EXISTS (SELECT FROM parked_crashes AS suspect WHERE suspect.parked_id = involved.parked_id) AS "suspect!",
                  (SELECT coalesce(octet_length(key), 0)::bigint + octet_length(value) + pg_column_size(header_keys)
                          + pg_column_size(header_values)
                   FROM parked_records AS parked
                   WHERE parked.parked_id = involved.parked_id AND parked.state = 'WAITING') AS bytes
           FROM involved LIMIT $2"#,
        parked_ids,
        most.records + 1,
    )
    .fetch_all(connection)
    .await?;
    let bytes: i64 = involved.iter().filter_map(|row| row.bytes).sum();
    let fits = involved.len() as i64 <= most.records && bytes <= most.bytes;
    let all = fits && involved.iter().all(|row| !row.suspect);
    Ok(all.then(|| involved.into_iter().map(|row| row.parked_id).collect()))
}

/// Those of the records that wait, in order.
pub async fn read(connection: &mut PgConnection, parked_ids: &[i64]) -> Result<Vec<Waiting>> {
    Ok(sqlx::query_as!(
        Waiting,
        r#"SELECT parked_id, source, message_id, attempt, batch_id, topic, partition, "offset", record_timestamp, key, value,
                  header_keys, header_values AS "header_values: Vec<Option<Vec<u8>>>", parked_at, released, letter_id
           FROM parked_records WHERE parked_id = ANY($1) AND state = 'WAITING' ORDER BY parked_id"#,
        parked_ids,
    )
    .fetch_all(connection)
    .await?)
}

/// Locks those of the records that still wait, by id; gives them.
pub async fn lock(tx: &mut Transaction<'_, Postgres>, parked_ids: &[i64]) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar!(
        "SELECT parked_id FROM parked_records WHERE parked_id = ANY($1) AND state = 'WAITING'
         ORDER BY parked_id FOR UPDATE",
        parked_ids,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Puts off records that cannot be looked at, without a word on what they wait for.
pub async fn postpone(
    connection: &mut PgConnection,
    parked_ids: &[i64],
    until: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE parked_records SET due_at = $2 WHERE parked_id = ANY($1) AND state = 'WAITING'",
        parked_ids,
        until,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes under which number letters occupy their names.
pub async fn letters(
    tx: &mut Transaction<'_, Postgres>,
    letter_ids: &[Uuid],
    parked_ids: &[i64],
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE dead_letters SET parked_id = occupies.parked_id
         FROM UNNEST($1::uuid[], $2::bigint[]) AS occupies (letter_id, parked_id)
         WHERE dead_letters.letter_id = occupies.letter_id",
        letter_ids,
        parked_ids,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("letters that occupy", letter_ids.len(), done.rows_affected())
}

/// Closes open letters that occupy their names, because the same request was said again and applied; who is behind them is
/// looked at.
pub async fn supersede(
    tx: &mut Transaction<'_, Postgres>,
    parked_ids: &[i64],
    outcomes: &[&str],
    now: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE dead_letters SET state = 'RESOLVED', outcome = came.outcome, resolved_at = $3
         FROM UNNEST($1::bigint[], $2::text[]) AS came (parked_id, outcome)
         WHERE dead_letters.parked_id = came.parked_id AND dead_letters.state = 'OPEN'",
        parked_ids,
        outcomes as &[&str],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("letters superseded", parked_ids.len(), done.rows_affected())?;
    super::parked_names::vacate(tx, parked_ids, now).await
}

/// How many records wait.
pub async fn count(connection: &mut PgConnection) -> Result<u64> {
    let waiting = sqlx::query_scalar!(
        r#"SELECT count(*) AS "waiting!" FROM parked_records WHERE state = 'WAITING'"#
    )
    .fetch_one(connection)
    .await?;
    Ok(waiting as u64)
}
