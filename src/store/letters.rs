//! Dead letters: the row, and the record to publish, in the transaction that moves the position past them.

use super::{Result, error::expect_rows};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// Headers of several records, flat: which record, name, value. Their order within a record is kept.
#[derive(Debug, Default)]
pub struct Headers {
    records: Vec<i32>,
    keys: Vec<Vec<u8>>,
    values: Vec<Option<Vec<u8>>>,
}

impl Headers {
    /// Appends a header of the record with this number.
    pub fn push(&mut self, record: i32, key: &[u8], value: Option<&[u8]>) {
        self.records.push(record);
        self.keys.push(key.to_vec());
        self.values.push(value.map(<[u8]>::to_vec));
    }
}

impl Headers {
    pub(super) fn records(&self) -> &[i32] {
        &self.records
    }

    pub(super) fn keys(&self) -> &[Vec<u8>] {
        &self.keys
    }

    pub(super) fn values(&self) -> &[Option<Vec<u8>>] {
        &self.values
    }
}

/// Records that could not be understood or failed for good, as they came; a column an element.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Rows<'a> {
    pub letter_ids: Vec<Uuid>,
    pub classes: Vec<&'static str>,
    pub stages: Vec<&'static str>,
    pub codes: Vec<&'a str>,
    pub details: Vec<&'a str>,
    pub attempts: Vec<i32>,
    pub topics: Vec<&'a str>,
    pub partitions: Vec<i32>,
    pub offsets: Vec<i64>,
    pub record_timestamps: Vec<OffsetDateTime>,
    pub keys: Vec<Option<&'a [u8]>>,
    pub values: Vec<Option<&'a [u8]>>,
    pub sources: Vec<Option<Vec<u8>>>,
    pub message_ids: Vec<Option<Vec<u8>>>,
    pub batch_ids: Vec<Option<Vec<u8>>>,
    pub schemas: Vec<Option<Vec<u8>>>,
    /// The original headers, by the letter's place in these rows.
    pub headers: Headers,
}

/// Inserts letters.
pub async fn insert(
    tx: &mut Transaction<'_, Postgres>,
    rows: &Rows<'_>,
    recorded_at: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        r#"INSERT INTO dead_letters (letter_id, class, stage, code, detail, attempts, topic, partition, "offset",
               record_timestamp, key, value, source, message_id, batch_id, schema, header_keys, header_values, state,
               first_failed_at, last_failed_at)
           SELECT letter_id, class, stage, code, detail, attempts, topic, partition, "offset", record_timestamp, key,
                  value, source, message_id, batch_id, schema, coalesce(headers.keys, '{}'),
                  coalesce(headers.values, '{}'), 'OPEN', $20, $20
           FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::int[],
                       $9::bigint[], $10::timestamptz[], $11::bytea[], $12::bytea[], $13::bytea[], $14::bytea[],
                       $15::bytea[], $16::bytea[]) WITH ORDINALITY
             AS letter (letter_id, class, stage, code, detail, attempts, topic, partition, "offset", record_timestamp,
                        key, value, source, message_id, batch_id, schema, n)
           LEFT JOIN (
               SELECT header.n, array_agg(header.key ORDER BY header.place) AS keys,
                      array_agg(header.value ORDER BY header.place) AS values
               FROM UNNEST($17::int[], $18::bytea[], $19::bytea[]) WITH ORDINALITY AS header (n, key, value, place)
               GROUP BY header.n
           ) AS headers ON headers.n = letter.n - 1"#,
        &rows.letter_ids,
        &rows.classes as &[&str],
        &rows.stages as &[&str],
        &rows.codes as &[&str],
        &rows.details as &[&str],
        &rows.attempts,
        &rows.topics as &[&str],
        &rows.partitions,
        &rows.offsets,
        &rows.record_timestamps,
        &rows.keys as &[Option<&[u8]>],
        &rows.values as &[Option<&[u8]>],
        &rows.sources as &[Option<Vec<u8>>],
        &rows.message_ids as &[Option<Vec<u8>>],
        &rows.batch_ids as &[Option<Vec<u8>>],
        &rows.schemas as &[Option<Vec<u8>>],
        &rows.headers.records,
        &rows.headers.keys,
        &rows.headers.values as &[Option<Vec<u8>>],
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("dead letters", rows.letter_ids.len(), done.rows_affected())
}

/// Letters as they are published: a column an element, sorted by stream and position.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct OutboxRows<'a> {
    pub streams: Vec<i16>,
    pub positions: Vec<i32>,
    pub letter_ids: Vec<Uuid>,
    pub keys: Vec<Option<&'a [u8]>>,
    pub bodies: Vec<Option<&'a [u8]>>,
    /// The original headers, then Rollcall's but for the numbers; by the letter's place in these rows.
    pub headers: Headers,
}

/// Inserts the records on `dead-letters`.
pub async fn publish(
    tx: &mut Transaction<'_, Postgres>,
    batch: i64,
    rows: &OutboxRows<'_>,
) -> Result<()> {
    let done = sqlx::query!(
        "INSERT INTO outbox (batch, stream, pos, id, key, cause, body, header_keys, header_values)
         SELECT $1, stream, pos, id, key, '', body, headers.keys, headers.values
         FROM UNNEST($2::smallint[], $3::int[], $4::uuid[], $5::bytea[], $6::bytea[]) WITH ORDINALITY
           AS letter (stream, pos, id, key, body, n)
         LEFT JOIN (
             SELECT header.n, array_agg(header.key ORDER BY header.place) AS keys,
                    array_agg(header.value ORDER BY header.place) AS values
             FROM UNNEST($7::int[], $8::bytea[], $9::bytea[]) WITH ORDINALITY AS header (n, key, value, place)
             GROUP BY header.n
         ) AS headers ON headers.n = letter.n - 1",
        batch,
        &rows.streams,
        &rows.positions,
        &rows.letter_ids,
        &rows.keys as &[Option<&[u8]>],
        &rows.bodies as &[Option<&[u8]>],
        &rows.headers.records,
        &rows.headers.keys,
        &rows.headers.values as &[Option<Vec<u8>>],
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("published letters", rows.letter_ids.len(), done.rows_affected())
}

/// Open letters by class, for metrics.
pub async fn open_by_class(connection: &mut sqlx::PgConnection) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT class, count(*) AS "letters!" FROM dead_letters WHERE state = 'OPEN' GROUP BY class"#
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.class, row.letters)).collect())
}

/// A letter that holds a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfRequest {
    /// Which letter.
    pub letter_id: Uuid,
    /// The batch that its record names, as it was said.
    pub batch_id: Option<Vec<u8>>,
    /// Since when it is one.
    pub failed_at: OffsetDateTime,
}

/// The open letter of a request, the last if there are several.
pub async fn open_of_request(
    connection: &mut sqlx::PgConnection,
    source: &str,
    message_id: &str,
) -> Result<Option<OfRequest>> {
    // As the index has it, which is by hash.
    Ok(sqlx::query_as!(
        OfRequest,
        r"SELECT letter_id, batch_id, first_failed_at AS failed_at FROM dead_letters
          WHERE sha256(source || '\x00'::bytea || message_id) = sha256($1 || '\x00'::bytea || $2)
            AND state = 'OPEN' AND source IS NOT NULL AND message_id IS NOT NULL
          ORDER BY first_failed_at DESC, letter_id LIMIT 1",
        source.as_bytes(),
        message_id.as_bytes(),
    )
    .fetch_optional(connection)
    .await?)
}
