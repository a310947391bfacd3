//! What is said of records with given coordinates.

use crate::store::Result;
use sqlx::PgConnection;

/// Records by their coordinates.
#[derive(Debug, Clone, Default)]
pub struct Places<'a> {
    topics: Vec<&'a str>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
}

impl<'a> FromIterator<(&'a str, i32, i64)> for Places<'a> {
    fn from_iter<T: IntoIterator<Item = (&'a str, i32, i64)>>(places: T) -> Self {
        let (topics, (partitions, offsets)) = places
            .into_iter()
            .map(|(topic, partition, offset)| (topic, (partition, offset)))
            .unzip();
        Self { topics, partitions, offsets }
    }
}

/// The ledger's byte of each of these, in their order, if it has one.
pub async fn bytes_at(
    connection: &mut PgConnection,
    places: &Places<'_>,
) -> Result<Vec<Option<u8>>> {
    let bytes = sqlx::query_scalar!(
        r#"SELECT get_byte(ledger.outcomes, (asked."offset" - ledger.first_offset)::int) AS byte
           FROM UNNEST($1::text[], $2::int[], $3::bigint[]) WITH ORDINALITY
                AS asked (topic, partition, "offset", place)
           LEFT JOIN LATERAL (
               SELECT first_offset, outcomes FROM intake_ledger AS ledger
               WHERE ledger.topic = asked.topic AND ledger.partition = asked.partition
                 AND ledger.first_offset <= asked."offset"
               ORDER BY first_offset DESC LIMIT 1
           ) AS ledger ON asked."offset" - ledger.first_offset < length(ledger.outcomes)
           ORDER BY asked.place"#,
        &places.topics as &[&str],
        &places.partitions,
        &places.offsets,
    )
    .fetch_all(connection)
    .await?;
    Ok(bytes.into_iter().map(|byte| u8::try_from(byte?).ok()).collect())
}

/// The byte that the letter with each of these coordinates stands for, in their order, if there is one.
pub async fn letters_at(
    connection: &mut PgConnection,
    places: &Places<'_>,
) -> Result<Vec<Option<String>>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT (SELECT CASE class WHEN 'skipped' THEN 'S' ELSE 'L' END
                   FROM dead_letters AS letter
                   WHERE letter.topic = asked.topic AND letter.partition = asked.partition
                     AND letter."offset" = asked."offset") AS byte
           FROM UNNEST($1::text[], $2::int[], $3::bigint[]) WITH ORDINALITY
                AS asked (topic, partition, "offset", place)
           ORDER BY asked.place"#,
        &places.topics as &[&str],
        &places.partitions,
        &places.offsets,
    )
    .fetch_all(connection)
    .await?)
}

/// Those that were never parked: topic, partition and offset.
pub async fn never_parked(
    connection: &mut PgConnection,
    places: &Places<'_>,
) -> Result<Vec<(String, i32, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT asked.topic AS "topic!", asked.partition AS "partition!", asked."offset" AS "offset!"
           FROM UNNEST($1::text[], $2::int[], $3::bigint[]) AS asked (topic, partition, "offset")
           WHERE NOT EXISTS (
               SELECT FROM parked_records AS parked
               WHERE parked.topic = asked.topic AND parked.partition = asked.partition
                 AND parked."offset" = asked."offset"
           )"#,
        &places.topics as &[&str],
        &places.partitions,
        &places.offsets,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.topic, row.partition, row.offset)).collect())
}
