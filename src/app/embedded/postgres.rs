//! A Postgres for as long as it is needed.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use super::server::{Server, with_first_database};
use super::{Error, admin};

/// What a throwaway server does at a crash of the machine. A crash of the server alone loses nothing in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// `fsync` off: for demos and tests.
    #[default]
    Fast,
    /// As a real server: for measuring.
    Real,
}

/// What [`Postgres::start`] is to start.
#[derive(Clone, Default)]
pub struct Options {
    /// A server to use instead of starting one. A fresh database is made in it and dropped at the end.
    pub url: Option<String>,
    /// Of a server that is started.
    pub durability: Durability,
    /// Where a downloaded Postgres is kept; None: `~/.cache/rollcall`, or `/var/cache/rollcall` for root.
    pub cache: Option<PathBuf>,
}

/// A Postgres with one empty database, both gone when this is dropped.
///
/// In this order: the server of a given URL; the machine's own programs; programs downloaded from Maven Central.
pub struct Postgres {
    url: String,
    home: Home,
    /// Databases made on a server that stays, to be dropped.
    made: Mutex<Vec<String>>,
}

enum Home {
    Ours(Box<Server>),
    Given { url: String },
}

impl Postgres {
    /// Starts a server, or makes a database on the one given, and waits until it answers.
    ///
    /// # Errors
    /// [`Error::NoPostgres`] and [`Error::NoAccount`] say what to install; the rest is the server's own complaint.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let name = format!("rollcall_{:016x}", rand::random::<u64>());
        if let Some(given) = options.url {
            let url = admin::create(&given, &name).await?;
            return Ok(Self {
                url,
                home: Home::Given { url: given },
                made: Mutex::new(vec![name]),
            });
        }
        let server = Server::create(options.durability, options.cache.as_deref()).await?;
        let url = with_first_database(&server, "rollcall").await?;
        Ok(Self { url, home: Home::Ours(Box::new(server)), made: Mutex::default() })
    }

    /// The URL of its database, with the password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server was started here, rather than given by its URL.
    pub fn is_ours(&self) -> bool {
        matches!(self.home, Home::Ours(_))
    }

    /// Makes another empty database (`a-z`, `0-9`, `_`) and gives its URL. It ends with this, too.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        let url = admin::create(&self.url, name).await?;
        if !self.is_ours() {
            self.made.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        }
        Ok(url)
    }

    /// Drops a database and ends the sessions in it; one that is not there is no error.
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        admin::remove(&self.url, name).await
    }

    /// Ends the server and removes its directory, or drops what was made on the given one.
    ///
    /// # Errors
    /// When the given server does not let go of a database. Dropping does the same, in silence.
    pub async fn stop(mut self) -> Result<(), Error> {
        match &self.home {
            Home::Ours(server) => server.stop("fast").await,
            Home::Given { url } => {
                let made = std::mem::take(&mut self.made);
                for name in made.into_inner().unwrap_or_else(PoisonError::into_inner) {
                    admin::remove(url, &name).await?;
                }
                Ok(())
            }
        }
    }

    /// Stops the server as an administrator would: sessions are ended. Its data stay, for [`start_server`](Self::start_server).
    ///
    /// # Errors
    /// [`Error::NotOurs`] for a given server, here and in the next ones.
    pub async fn stop_server(&self) -> Result<(), Error> {
        self.server()?.stop("fast").await
    }

    /// Ends the server as a crash would: without a checkpoint, with recovery at the next start.
    pub async fn crash_server(&self) -> Result<(), Error> {
        self.server()?.stop("immediate").await
    }

    /// Starts the stopped server again, on the same port. Of one that runs: nothing.
    pub async fn start_server(&self) -> Result<(), Error> {
        self.server()?.start().await
    }

    /// Freezes all processes of the server, which keeps its connections open and answers nothing.
    pub async fn pause_server(&self) -> Result<(), Error> {
        self.signal("STOP").await
    }

    /// Lets a frozen server go on.
    pub async fn resume_server(&self) -> Result<(), Error> {
        self.signal("CONT").await
    }

    /// The number of the server's first process, None when it is stopped or not ours.
    pub fn pid(&self) -> Option<u32> {
        let Home::Ours(server) = &self.home else {
            return None;
        };
        let file = std::fs::read_to_string(server.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// Where the server writes its log, None when it is not ours.
    pub fn log(&self) -> Option<PathBuf> {
        self.server().ok().map(Server::log)
    }

    fn server(&self) -> Result<&Server, Error> {
        match &self.home {
            Home::Ours(server) => Ok(server),
            Home::Given { .. } => Err(Error::NotOurs),
        }
    }

    async fn signal(&self, signal: &str) -> Result<(), Error> {
        let pid = self.pid().ok_or(Error::NotOurs)?;
        // The shell's own `kill`: the program is not on every machine.
        let done = tokio::process::Command::new("/bin/sh")
            .args(["-c", r#"signal=$1; shift; kill -s "$signal" "$@""#, "kill", signal])
            .args(family(pid).iter().map(u32::to_string))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        // A session may end between the look and the signal; then `kill` complains of that one only.
        done.map(drop).map_err(Error::io("send a signal to Postgres"))
    }
}

/// A process and its children: a server's sessions, each in a process group of its own.
fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    std::iter::once(pid)
        .chain(children.split_whitespace().filter_map(|child| child.parse().ok()))
        .collect()
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Home::Given { url } = &self.home else {
            return;
        };
        for name in self.made.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Nobody is left to tell; a database that stays is named rollcall_….
            drop(admin::drop_database_blocking(url, &name));
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL: it holds a password.
        f.debug_struct("Postgres").field("ours", &self.is_ours()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("given", &self.url.is_some())
            .field("durability", &self.durability)
            .field("cache", &self.cache)
            .finish()
    }
}
