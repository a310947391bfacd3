//! Making and dropping whole databases. All other SQL lives in `store`.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::Error;

/// The same server, user and options, but another database.
///
/// # Errors
/// [`Error::Url`] when `url` does not read `postgres://…` or `postgresql://…`.
pub fn with_database(url: &str, name: &str) -> Result<String, Error> {
    let (scheme, rest) = url.split_once("://").ok_or(Error::Url)?;
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(Error::Url);
    }
    let (location, query) = match rest.split_once('?') {
        Some((location, query)) => (location, Some(query)),
        None => (rest, None),
    };
    let authority = location.split('/').next().unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{scheme}://{authority}/{name}{query}"))
}

/// Names go into statements as they are, hence the narrow alphabet.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 63 || !name.chars().all(good) {
        return Err(Error::Name(name.to_owned()));
    }
    Ok(())
}

/// Creates an empty database on the server of `url`.
pub(super) async fn create(url: &str, name: &str) -> Result<String, Error> {
    check_name(name)?;
    let database = with_database(url, name)?;
    // template0 has nobody connected, ever: template1 may, and then the statement fails.
    let statement = format!("CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'");
    run(url, statement, "create a database").await?;
    Ok(database)
}

/// Drops a database and ends the sessions in it; one that is not there is no error.
pub(super) async fn remove(url: &str, name: &str) -> Result<(), Error> {
    check_name(name)?;
    let statement = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
    run(url, statement, "drop a database").await
}

/// The same as a plain function, for `Drop`: waits for the server at most as long as it takes to answer.
///
/// `url` is the URL of another database of the same server.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn drop_database_blocking(url: &str, name: &str) -> Result<(), Error> {
    let (url, name) = (url.to_owned(), name.to_owned());
    // A thread of its own: the caller may be inside a runtime, where waiting for another one is not allowed.
    let thread = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::io("start a runtime"))?
            .block_on(remove(&url, &name))
    });
    thread.join().unwrap_or(Err(Error::Url))
}

async fn run(url: &str, statement: String, what: &'static str) -> Result<(), Error> {
    let mut connection =
        PgConnection::connect(url).await.map_err(Error::database("connect to Postgres"))?;
    let done = connection.execute(AssertSqlSafe(statement)).await;
    // The statement's answer matters, not that of the farewell.
    drop(connection.close().await);
    done.map(drop).map_err(Error::database(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_is_replaced() {
        let replaced = |url| with_database(url, "new").unwrap();
        assert_eq!(replaced("postgres://u:p@host:5432/old"), "postgres://u:p@host:5432/new");
        assert_eq!(replaced("postgresql://host"), "postgresql://host/new");
        assert_eq!(
            replaced("postgres://u@host/old?sslmode=require&host=/run"),
            "postgres://u@host/new?sslmode=require&host=/run"
        );
    }

    #[test]
    fn other_urls_are_refused() {
        assert!(with_database("mysql://host/old", "new").is_err());
        assert!(with_database("host", "new").is_err());
    }

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        assert!(check_name("rollcall_1").is_ok());
        for name in ["", "Rollcall", "a\"b", "a-b", &"a".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
