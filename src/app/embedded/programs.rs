//! The Postgres programs of this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// The oldest major version that Rollcall works with.
const OLDEST: u32 = 15;

/// The directory of a usable `initdb`, `postgres` and `pg_ctl`: the first of PATH, `pg_config` and the usual places
/// (there the newest first) whose version is high enough.
pub(super) async fn find() -> Option<PathBuf> {
    for directory in candidates().await {
        if complete(&directory) && major(&directory).await.is_some_and(|major| major >= OLDEST) {
            return Some(directory);
        }
    }
    None
}

async fn candidates() -> Vec<PathBuf> {
    // PATH is how a program is found, not a setting of ours: hence not through `config`.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Some(bindir) = output(Command::new("pg_config").arg("--bindir")).await {
        found.push(PathBuf::from(bindir.trim()));
    }
    found.extend(versioned(Path::new("/usr/lib/postgresql"), ""));
    found.extend(versioned(Path::new("/usr"), "pgsql-"));
    found.push(PathBuf::from("/usr/local/pgsql/bin"));
    found
}

/// `PARENT/PREFIX<number>/bin`, the greatest number first.
fn versioned(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, directory)| directory).collect()
}

fn complete(directory: &Path) -> bool {
    ["initdb", "postgres", "pg_ctl"].iter().all(|name| directory.join(name).is_file())
}

async fn major(directory: &Path) -> Option<u32> {
    parse_major(&output(Command::new(directory.join("postgres")).arg("--version")).await?)
}

/// Of `postgres (PostgreSQL) 15.18 (Debian …)`: 15.
fn parse_major(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..digits)?.parse().ok()
}

async fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_postgres_says() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta2\n"), Some(18));
        assert_eq!(parse_major("mysqld 8.0\n"), None);
    }

    #[test]
    fn the_newest_version_comes_first() {
        let parent = tempfile::tempdir().unwrap();
        for version in ["9", "16", "15", "common"] {
            std::fs::create_dir(parent.path().join(version)).unwrap();
        }
        let names: Vec<_> = versioned(parent.path(), "")
            .iter()
            .map(|path| path.strip_prefix(parent.path()).unwrap().to_owned())
            .collect();
        assert_eq!(names, ["16/bin", "15/bin", "9/bin"].map(PathBuf::from));
    }
}
