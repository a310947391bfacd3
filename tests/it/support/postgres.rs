//! Postgres: given, in a container, or native by `rollcall::app::embedded`.

use std::path::PathBuf;

use rollcall::app::embedded::{Options, Postgres, drop_database_blocking, with_database};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio::sync::OnceCell;

use super::docker::{self, Container};
use super::{PATIENCE, eventually, free_port, variable};

/// A Postgres server.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    /// Of a database that exists; the same after a stop and start.
    pub(crate) url: String,
    home: Home,
}

#[derive(Debug)]
enum Home {
    Given,
    Native(Postgres),
    Container(Box<Container>),
}

/// The Postgres that all tests of this process share. Take a [`database`] of your own from it.
pub(crate) async fn postgres() -> &'static PostgresServer {
    static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            match variable("DATABASE_URL") {
                Some(url) => PostgresServer { url, home: Home::Given },
                None => own_postgres().await,
            }
        })
        .await
}

/// A Postgres for one test, which may stop, crash and freeze it. Gone when dropped.
pub(crate) async fn own_postgres() -> PostgresServer {
    if docker::answers() {
        return in_container().await;
    }
    native_postgres().await
}

/// A Postgres of this machine's own programs, even where a Docker engine answers: for a test that works with its files.
pub(crate) async fn native_postgres() -> PostgresServer {
    let postgres = Postgres::start(Options::default()).await.expect("Postgres starts");
    PostgresServer { url: postgres.url().to_owned(), home: Home::Native(postgres) }
}

async fn in_container() -> PostgresServer {
    let port = free_port();
    let environment = [("POSTGRES_USER", "rollcall"), ("POSTGRES_PASSWORD", "rollcall")];
    let container = Container::run(("postgres", "15"), (port, 5432), &environment).await;
    let url = format!("postgres://rollcall:rollcall@127.0.0.1:{port}/rollcall");
    let server = PostgresServer { url, home: Home::Container(Box::new(container)) };
    server.wait_until_it_answers().await;
    server
}

impl PostgresServer {
    /// Stops the server in order: sessions are ended, data stay.
    pub(crate) async fn stop(&self) {
        match &self.home {
            Home::Given => panic!("a given Postgres is not stopped; use own_postgres()"),
            Home::Native(postgres) => postgres.stop_server().await.expect("Postgres stops"),
            Home::Container(container) => container.stop().await,
        }
    }

    /// Ends the server without a checkpoint.
    pub(crate) async fn crash(&self) {
        match &self.home {
            Home::Given => panic!("a given Postgres is not killed; use own_postgres()"),
            Home::Native(postgres) => postgres.crash_server().await.expect("Postgres ends"),
            Home::Container(container) => container.kill().await,
        }
    }

    /// Starts the stopped server again and waits until it answers.
    pub(crate) async fn start(&self) {
        match &self.home {
            Home::Given => {}
            Home::Native(postgres) => postgres.start_server().await.expect("Postgres starts"),
            Home::Container(container) => container.start().await,
        }
        self.wait_until_it_answers().await;
    }

    /// Freezes the server: connections stay open and nothing is answered.
    pub(crate) async fn pause(&self) {
        match &self.home {
            Home::Given => panic!("a given Postgres is not frozen; use own_postgres()"),
            Home::Native(postgres) => postgres.pause_server().await.expect("Postgres is frozen"),
            Home::Container(container) => container.pause().await,
        }
    }

    /// Lets a frozen server go on.
    pub(crate) async fn resume(&self) {
        match &self.home {
            Home::Given => {}
            Home::Native(postgres) => postgres.resume_server().await.expect("Postgres goes on"),
            Home::Container(container) => container.resume().await,
        }
    }

    /// A fresh, empty database on this server.
    pub(crate) async fn database(&self) -> TestDb {
        self.database_with("ENCODING 'UTF8'").await
    }

    /// The same with other options of `CREATE DATABASE`.
    pub(crate) async fn database_with(&self, options: &str) -> TestDb {
        let name = format!("test_{:016x}", rand::random::<u64>());
        let mut connection = PgConnection::connect(&self.url).await.expect("Postgres answers");
        let statement = format!("CREATE DATABASE {name} TEMPLATE template0 {options}");
        connection.execute(AssertSqlSafe(statement)).await.expect("a database is made");
        connection.close().await.expect("the connection closes");
        let url = with_database(&self.url, &name).expect("a URL of Postgres");
        let pool =
            PgPoolOptions::new().max_connections(4).connect_lazy(&url).expect("a URL of Postgres");
        TestDb { url, pool, name, server: self.url.clone() }
    }

    /// Where a native server keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        let Home::Native(postgres) = &self.home else {
            panic!("only a native Postgres has files here; use native_postgres()");
        };
        postgres.log().expect("it is ours").with_file_name("data")
    }

    async fn wait_until_it_answers(&self) {
        eventually(PATIENCE, "Postgres answers", async || {
            PgConnection::connect(&self.url).await.ok()?.close().await.ok()
        })
        .await;
    }
}

/// A database for one test, dropped with it.
#[derive(Debug)]
pub(crate) struct TestDb {
    /// For a worker's `DATABASE_URL`.
    pub(crate) url: String,
    /// For the test's own look. Connects when first used.
    pub(crate) pool: PgPool,
    name: String,
    server: String,
}

/// A fresh, empty database on the shared server.
pub(crate) async fn database() -> TestDb {
    postgres().await.database().await
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // A server that its test has stopped takes the database with it.
        drop(drop_database_blocking(&self.server, &self.name));
    }
}
