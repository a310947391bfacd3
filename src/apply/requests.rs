//! What a request came to, for who asks later.

use crate::contract::wire::RequestResult;
use crate::contract::{dead_lettered, decode_own, is_token};
use crate::store::{self, inbox, letters};
use sqlx::PgConnection;

/// The result of a request as it stands: held as long as it waits, or a letter keeps it. None if nobody has sent it.
///
/// # Errors
/// When the database fails.
pub async fn result(
    connection: &mut PgConnection,
    (source, message_id): (&str, &str),
) -> store::Result<Option<RequestResult>> {
    if let Some(stored) = inbox::find(connection, &[source], &[message_id]).await?.pop() {
        let inconsistent = store::Error::Inconsistent { table: "inbox", column: "result" };
        return decode_own(&stored.result).map(Some).map_err(|_unfit| inconsistent);
    }
    let letter = letters::open_of_request(connection, source, message_id).await?;
    Ok(letter.map(|letter| {
        let batch_id = letter.batch_id.and_then(|bytes| String::from_utf8(bytes).ok());
        let batch_id = batch_id.filter(|id| is_token(id));
        dead_lettered((source, message_id), batch_id, Some(letter.letter_id), letter.failed_at)
    }))
}
