//! Whether the database is there: who has waited a while asks, and hears within a second that it is away. One that was
//! never heard of, or is slow to connect to, is away after some seconds only.

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, PgPool};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Who waits for longer asks whether the database is there.
const PATIENCE: Duration = Duration::from_millis(250);
/// It answers within this time, or is away.
const ANSWER: Duration = Duration::from_millis(600);
/// A session that cannot be opened within this time is begun anew.
const CONNECT: Duration = Duration::from_secs(5);

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
    /// The session that is being opened, one at most. That goes on between two who ask: where it takes longer than
    /// [`ANSWER`], it would come to no end if each began anew.
    opening: JoinSet<Option<PgConnection>>,
    at: Option<Instant>,
    answers: bool,
}

impl Database {
    pub(super) fn new(pool: PgPool) -> Self {
        let asked = Asked { session: None, opening: JoinSet::new(), at: None, answers: true };
        Self { pool, asked: Mutex::new(asked) }
    }

    /// Opens the session ahead of the first who asks.
    pub(super) async fn prepare(&self) {
        let mut asked = self.asked.lock().await;
        if asked.session.is_none() {
            self.open(&mut asked).await;
        }
    }

    /// Returns when the database has been asked in vain.
    pub(super) async fn found_away(&self) {
        loop {
            tokio::time::sleep(PATIENCE).await;
            let mut asked = self.asked.lock().await;
            // One asks, for all who wait meanwhile.
            if asked.at.is_none_or(|at| at.elapsed() >= PATIENCE) {
                self.ask(&mut asked).await;
                asked.at = Some(Instant::now());
            }
            if !asked.answers {
                return;
            }
        }
    }

    async fn ask(&self, asked: &mut Asked) {
        if let Some(mut session) = asked.session.take() {
            match tokio::time::timeout(ANSWER, session.ping()).await {
                Ok(Ok(())) => {
                    asked.session = Some(session);
                    asked.answers = true;
                    return;
                }
                // Cut: whether somebody is there again is seen by a new session, and until there is one nobody is.
                Ok(Err(_)) => asked.answers = false,
                Err(_silent) => {
                    asked.answers = false;
                    return;
                }
            }
        }
        // Slow or silent: nothing new is known.
        if let Some(opened) = self.open(asked).await {
            asked.answers = opened;
        }
    }

    /// Goes on with opening a session; whether there is one now, or cannot be. None: that is not known yet.
    async fn open(&self, asked: &mut Asked) -> Option<bool> {
        if asked.opening.is_empty() {
            let options = self.pool.connect_options();
            asked.opening.spawn(async move {
                let opened = tokio::time::timeout(CONNECT, PgConnection::connect_with(&options));
                opened.await.ok()?.ok()
            });
        }
        let opened = tokio::time::timeout(ANSWER, asked.opening.join_next()).await.ok()?;
        asked.session = opened.and_then(Result::ok).flatten();
        Some(asked.session.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// Longer than all limits here together.
    const LONG: Duration = Duration::from_mins(1);

    /// A database at an address where nobody answers but the test.
    async fn database() -> (Database, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
        let options = options.username("nobody").ssl_mode(PgSslMode::Disable);
        (Database::new(PgPoolOptions::new().connect_lazy_with(options)), listener)
    }

    /// Lets a client in as Postgres does: authenticated, ready.
    async fn let_in(mut stream: TcpStream) -> TcpStream {
        assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
        stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
        stream
    }

    /// The session is opened, however slow the machine is.
    async fn prepared(database: &Database) {
        while database.asked.lock().await.session.is_none() {
            database.prepare().await;
        }
    }

    async fn answers(database: &Database) -> bool {
        let mut asked = database.asked.lock().await;
        database.ask(&mut asked).await;
        asked.answers
    }

    #[tokio::test]
    async fn an_address_that_was_never_heard_of_is_away_in_the_end() {
        let (database, listener) = database().await;
        // It takes connections and says nothing; who prepares for it does not wait for ever.
        tokio::time::timeout(LONG, database.prepare()).await.unwrap();
        tokio::time::timeout(LONG, database.found_away()).await.unwrap();
        drop(listener);
    }

    #[tokio::test]
    async fn a_session_that_is_cut_and_silence_after_it_are_an_outage() {
        let (database, listener) = database().await;
        let server = async { let_in(listener.accept().await.unwrap().0).await };
        let ((), stream) = tokio::join!(prepared(&database), server);
        drop(stream);
        assert!(!answers(&database).await);
        // One that stays silent: still.
        assert!(!answers(&database).await);
    }

    #[tokio::test]
    async fn a_database_that_is_slow_to_connect_to_is_found_again() {
        let (database, listener) = database().await;
        let server = async { let_in(listener.accept().await.unwrap().0).await };
        let ((), first) = tokio::join!(prepared(&database), server);
        drop(first);
        // Nobody answers for as long as one who asks waits.
        assert!(!answers(&database).await);
        // The session that was begun then is the one that comes to be.
        let _second = let_in(listener.accept().await.unwrap().0).await;
        let found = async { while !answers(&database).await {} };
        tokio::time::timeout(LONG, found).await.unwrap();
        let third = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
        assert!(third.is_err(), "one session is enough");
    }
}
