//! Connections beside the pool.

use super::Result;
use sqlx::{Connection as _, PgConnection, PgPool};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections beside the pool, for work whose number is bounded elsewhere. One whose work ended otherwise than by its
/// own answer (an error, or a future that was dropped) is not put back: dropped, it closes at once, so that nothing of
/// unknown state is used again and nobody waits for a connection that was cut without a word.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Vec<PgConnection>>);

impl Sessions {
    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is idle, or a new one as `pool` would open it.
    pub async fn take(&self, pool: &PgPool) -> Result<PgConnection> {
        let idle = self.idle().pop();
        match idle {
            Some(session) => Ok(session),
            None => Ok(PgConnection::connect_with(&pool.connect_options()).await?),
        }
    }

    /// Closes the idle ones: what made one fail has most likely befallen them too.
    pub fn clear(&self) {
        self.idle().clear();
    }

    /// Keeps a connection that is in no transaction.
    pub fn put(&self, session: PgConnection) {
        self.idle().push(session);
    }
}
