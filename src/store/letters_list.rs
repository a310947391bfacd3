//! Dead letters as an operator looks for them. What came from outside is bytes here: it may be anything.

use super::Result;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Which letters are meant. What is none is not asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    /// This one.
    pub letter_id: Option<Uuid>,
    /// OPEN, RESOLVED, DISCARDED.
    pub state: Option<&'a str>,
    /// Of this class.
    pub class: Option<&'a str>,
    /// Of this stage.
    pub stage: Option<&'a str>,
    /// With this code.
    pub code: Option<&'a str>,
    /// Of this source.
    pub source: Option<&'a str>,
    /// From this topic, by its full name.
    pub topic: Option<&'a str>,
    /// From this partition.
    pub partition: Option<i32>,
    /// With this offset.
    pub offset: Option<i64>,
    /// Whose bytes name the schema with this fingerprint.
    pub schema: Option<&'a [u8]>,
    /// That failed first then or later.
    pub since: Option<OffsetDateTime>,
    /// That failed first before then.
    pub until: Option<OffsetDateTime>,
}

/// A letter: what it is, nothing of what it says (P9).
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, and the sizes of what is not shown")]
pub struct Listed {
    pub letter_id: Uuid,
    pub class: String,
    pub stage: String,
    pub code: String,
    pub detail: String,
    pub state: String,
    pub outcome: Option<String>,
    pub attempts: i32,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub record_timestamp: OffsetDateTime,
    pub source: Option<Vec<u8>>,
    pub message_id: Option<Vec<u8>>,
    pub batch_id: Option<Vec<u8>>,
    pub schema: Option<Vec<u8>>,
    pub key_bytes: Option<i32>,
    pub value_bytes: Option<i32>,
    pub header_count: i32,
    pub first_failed_at: OffsetDateTime,
    pub last_failed_at: OffsetDateTime,
    pub resolved_at: Option<OffsetDateTime>,
}

impl std::fmt::Debug for Listed {
    /// P9: its id; what names its request may be anything.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listed").field("letter_id", &self.letter_id).finish_non_exhaustive()
    }
}

/// Where a page of letters ends: when the last one failed first, and its id.
pub type Place = (OffsetDateTime, Uuid);

/// The letters after this place, the oldest first.
pub async fn list(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Listed>> {
    let (after, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        Listed,
        r#"SELECT letter_id, class, stage, code, detail, state, outcome, attempts, topic AS "topic?",
                  partition AS "partition?", "offset" AS "offset?", record_timestamp, source, message_id, batch_id, schema,
                  octet_length(key) AS key_bytes, octet_length(value) AS value_bytes,
                  cardinality(header_keys) AS "header_count!", first_failed_at, last_failed_at, resolved_at
           FROM dead_letters
           WHERE ($1::uuid IS NULL OR letter_id = $1) AND ($2::text IS NULL OR state = $2)
             AND ($3::text IS NULL OR class = $3) AND ($4::text IS NULL OR stage = $4)
             AND ($5::text IS NULL OR code = $5) AND ($6::text IS NULL OR source = convert_to($6, 'UTF8'))
             AND ($7::text IS NULL OR topic = $7) AND ($8::int IS NULL OR partition = $8)
             AND ($9::bigint IS NULL OR "offset" = $9) AND ($10::bytea IS NULL OR schema = $10)
             AND ($11::timestamptz IS NULL OR first_failed_at >= $11)
             AND ($12::timestamptz IS NULL OR first_failed_at < $12)
             AND ($13::timestamptz IS NULL OR (first_failed_at, letter_id) > ($13, $14::uuid))
           ORDER BY first_failed_at, letter_id LIMIT $15"#,
        filter.letter_id,
        filter.state,
        filter.class,
        filter.stage,
        filter.code,
        filter.source,
        filter.topic,
        filter.partition,
        filter.offset,
        filter.schema,
        filter.since,
        filter.until,
        after,
        after_id,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Letters that are alike.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Alike {
    pub class: String,
    pub stage: String,
    pub code: String,
    pub topic: Option<String>,
    pub schema: Option<Vec<u8>>,
    pub source: Option<Vec<u8>>,
    /// How many.
    pub count: i64,
    /// The first of them failed first then.
    pub first_failed_at: OffsetDateTime,
    /// The last of them failed last then.
    pub last_failed_at: OffsetDateTime,
}

impl std::fmt::Debug for Alike {
    /// P9: a source may be anything.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alike").field("code", &self.code).finish_non_exhaustive()
    }
}

/// The largest groups of open letters that are alike: by their own index, however many were resolved.
pub async fn open_groups(connection: &mut PgConnection, limit: i64) -> Result<Vec<Alike>> {
    Ok(sqlx::query_as!(
        Alike,
        r#"SELECT class, stage, code, topic AS "topic?", schema, source, count(*) AS "count!",
                  min(first_failed_at) AS "first_failed_at!", max(last_failed_at) AS "last_failed_at!"
           FROM dead_letters WHERE state = 'OPEN'
           GROUP BY class, stage, code, topic, schema, source
           ORDER BY count(*) DESC, class, stage, code, topic, schema, source LIMIT $1"#,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Groups of letters that are alike, the largest first, from the `skip`th on. A key would be no firmer than their number: it
/// would begin with the count, which moves, and all letters are counted for each page either way.
pub async fn groups(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    skip: i64,
    limit: i64,
) -> Result<Vec<Alike>> {
    Ok(sqlx::query_as!(
        Alike,
        r#"SELECT class, stage, code, topic AS "topic?", schema, source, count(*) AS "count!",
                  min(first_failed_at) AS "first_failed_at!", max(last_failed_at) AS "last_failed_at!"
           FROM dead_letters
           WHERE ($1::uuid IS NULL OR letter_id = $1) AND ($2::text IS NULL OR state = $2)
             AND ($3::text IS NULL OR class = $3) AND ($4::text IS NULL OR stage = $4)
             AND ($5::text IS NULL OR code = $5) AND ($6::text IS NULL OR source = convert_to($6, 'UTF8'))
             AND ($7::text IS NULL OR topic = $7) AND ($8::int IS NULL OR partition = $8)
             AND ($9::bigint IS NULL OR "offset" = $9) AND ($10::bytea IS NULL OR schema = $10)
             AND ($11::timestamptz IS NULL OR first_failed_at >= $11)
             AND ($12::timestamptz IS NULL OR first_failed_at < $12)
           GROUP BY class, stage, code, topic, schema, source
           ORDER BY count(*) DESC, class, stage, code, topic, schema, source OFFSET $13 LIMIT $14"#,
        filter.letter_id,
        filter.state,
        filter.class,
        filter.stage,
        filter.code,
        filter.source,
        filter.topic,
        filter.partition,
        filter.offset,
        filter.schema,
        filter.since,
        filter.until,
        skip,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// A letter that is to be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Which.
    pub letter_id: Uuid,
    /// How often it was tried.
    pub attempts: i32,
    /// Its key, by its hash.
    pub key: Option<Vec<u8>>,
    /// How large its record is.
    pub bytes: i64,
}

/// The open letters that are meant, in the order in which they are replayed: by key and coordinates.
pub async fn selection(connection: &mut PgConnection, filter: Filter<'_>) -> Result<Vec<Selected>> {
    Ok(sqlx::query_as!(
        Selected,
        r#"SELECT letter_id, attempts, sha256(dead_letters.key) AS key,
                  coalesce(octet_length(dead_letters.key), 0)::bigint + coalesce(octet_length(value), 0)
                  + pg_column_size(header_keys) + pg_column_size(header_values) AS "bytes!"
           FROM dead_letters
           WHERE state = 'OPEN' AND ($1::uuid IS NULL OR letter_id = $1)
             AND ($2::text IS NULL OR class = $2) AND ($3::text IS NULL OR stage = $3)
             AND ($4::text IS NULL OR code = $4) AND ($5::text IS NULL OR source = convert_to($5, 'UTF8'))
             AND ($6::text IS NULL OR topic = $6) AND ($7::int IS NULL OR partition = $7)
             AND ($8::bigint IS NULL OR "offset" = $8) AND ($9::bytea IS NULL OR schema = $9)
             AND ($10::timestamptz IS NULL OR first_failed_at >= $10)
             AND ($11::timestamptz IS NULL OR first_failed_at < $11)
           ORDER BY dead_letters.key, topic, partition, "offset", letter_id"#,
        filter.letter_id,
        filter.class,
        filter.stage,
        filter.code,
        filter.source,
        filter.topic,
        filter.partition,
        filter.offset,
        filter.schema,
        filter.since,
        filter.until,
    )
    .fetch_all(connection)
    .await?)
}

/// A letter's record, as it came, with what else applying it again takes.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Stored {
    pub letter_id: Uuid,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub record_timestamp: OffsetDateTime,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub header_keys: Vec<Vec<u8>>,
    pub header_values: Vec<Option<Vec<u8>>>,
    pub first_failed_at: OffsetDateTime,
    pub last_failed_at: OffsetDateTime,
}

impl std::fmt::Debug for Stored {
    /// P9: its id only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("letter_id", &self.letter_id).finish_non_exhaustive()
    }
}

/// The records of these letters, in the order of the ids.
pub async fn records(connection: &mut PgConnection, letter_ids: &[Uuid]) -> Result<Vec<Stored>> {
    Ok(sqlx::query_as!(
        Stored,
        r#"SELECT letter_id AS "letter_id!", topic AS "topic?", partition AS "partition?", "offset" AS "offset?",
                  record_timestamp, key, value, header_keys, header_values AS "header_values: Vec<Option<Vec<u8>>>",
                  first_failed_at, last_failed_at
           FROM UNNEST($1::uuid[]) WITH ORDINALITY AS asked (letter_id, n)
           JOIN dead_letters USING (letter_id)
           ORDER BY asked.n"#,
        letter_ids,
    )
    .fetch_all(connection)
    .await?)
}
