//! Whether the database is there: who has waited a while asks, and hears within a second that it is away.

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, PgPool};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Who waits for longer asks whether the database is there.
const PATIENCE: Duration = Duration::from_millis(250);
/// It answers within this time, or is away.
const ANSWER: Duration = Duration::from_millis(600);

/// Asks the database on behalf of all who wait.
#[derive(Debug)]
pub(super) struct Database {
    pool: PgPool,
    asked: Mutex<Asked>,
}

#[derive(Debug)]
struct Asked {
    /// A session that is kept for asking: a slow machine answers on it long before it opens a new one.
    session: Option<PgConnection>,
    at: Option<Instant>,
    answers: bool,
}

impl Database {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, asked: Mutex::new(Asked { session: None, at: None, answers: true }) }
    }

    /// Opens the session ahead of the first who asks.
    pub(super) async fn prepare(&self) {
        let mut asked = self.asked.lock().await;
        if asked.session.is_none() {
            let options = self.pool.connect_options();
            asked.session = PgConnection::connect_with(&options).await.ok();
        }
    }

    /// Returns when the database has been asked in vain.
    pub(super) async fn found_away(&self) {
        loop {
            tokio::time::sleep(PATIENCE).await;
            let mut asked = self.asked.lock().await;
            // One asks, for all who wait meanwhile.
            if asked.at.is_none_or(|at| at.elapsed() >= PATIENCE) {
                asked.answers = self.answers(&mut asked).await;
                asked.at = Some(Instant::now());
            }
            if !asked.answers {
                return;
            }
        }
    }

    async fn answers(&self, asked: &mut Asked) -> bool {
        if let Some(mut session) = asked.session.take() {
            match tokio::time::timeout(ANSWER, session.ping()).await {
                Ok(Ok(())) => {
                    asked.session = Some(session);
                    return true;
                }
                // Cut: whether somebody is there again is seen by a new session.
                Ok(Err(_)) => {}
                Err(_silent) => return false,
            }
        }
        let options = self.pool.connect_options();
        match tokio::time::timeout(ANSWER, PgConnection::connect_with(&options)).await {
            Ok(Ok(session)) => {
                asked.session = Some(session);
                true
            }
            Ok(Err(_)) => false,
            // Slow or silent: nothing new is known.
            Err(_late) => asked.answers,
        }
    }
}
