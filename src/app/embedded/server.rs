//! One Postgres server of our own: its directory, its processes, its end.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::account::Account;
use super::{Durability, Error, admin, download, programs};

/// A server starts in less than a second; a machine under load takes longer.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
/// How often another port is tried when somebody takes ours before Postgres does.
const PORTS: usize = 5;

/// Runs the server given as arguments from $2 on, and ends it when standard input ends, that is with whoever holds the
/// other end of the pipe, `kill -9` included; then the directory $1 goes too.
const KEEPER: &str = r#"
directory=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; : >"$directory/ended"; kill -CONT $server; kill -QUIT $server; } 2>/dev/null &
watcher=$!
exec 3<&-
wait $server
if [ -e "$directory/ended" ]; then rm -rf "$directory"; else kill $watcher; fi 2>/dev/null
"#;

/// A server with data of its own, running or stopped. No `Debug`: it holds a password.
pub(super) struct Server {
    // The order of the fields is the order of their end: first the server, then its directory.
    keeper: Mutex<Option<Child>>,
    programs: PathBuf,
    account: Option<Account>,
    durability: Durability,
    port: u16,
    password: String,
    directory: tempfile::TempDir,
}

impl Server {
    /// Finds the programs, makes an empty cluster and starts it.
    pub(super) async fn create(
        durability: Durability,
        cache: Option<&Path>,
    ) -> Result<Self, Error> {
        let directory = tempfile::Builder::new()
            .prefix("rollcall-postgres-")
            .tempdir()
            .map_err(Error::io("make a directory for temporary files"))?;
        let account = Account::choose(directory.path())?;
        let programs = if let Some(programs) = programs::find().await {
            programs
        } else {
            let is_root = account.is_some();
            let cache = cache.map_or_else(|| download::default_cache(is_root), Path::to_path_buf);
            download::programs(&cache, directory.path()).await?
        };
        if let Some(account) = account {
            account.give(directory.path())?;
        }
        let mut server = Self {
            keeper: Mutex::new(None),
            programs,
            account,
            durability,
            port: free_port()?,
            password: format!("{:032x}", rand::random::<u128>()),
            directory,
        };
        server.initialise().await?;
        server.start_on_a_free_port().await?;
        Ok(server)
    }

    /// The URL of its database `name`. The password is made up for this server and gone with it.
    pub(super) fn url(&self, name: &str) -> String {
        format!("postgres://rollcall:{}@127.0.0.1:{}/{name}", self.password, self.port)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Starts it again after [`stop`](Self::stop), with its data, on the same port.
    pub(super) async fn start(&self) -> Result<(), Error> {
        let mut keeper = self.keeper.lock().await;
        if let Some(running) = keeper.as_mut()
            && matches!(running.try_wait(), Ok(None))
        {
            return Ok(());
        }
        let mut child = self.launch()?;
        let answers = self.wait_until_it_answers(&mut child).await;
        // Kept in any case: a server that is late must not be left alone.
        *keeper = Some(child);
        answers
    }

    /// Ends it with `pg_ctl stop -m <mode>` and keeps its data.
    pub(super) async fn stop(&self, mode: &str) -> Result<(), Error> {
        let mut keeper = self.keeper.lock().await;
        let Some(mut child) = keeper.take() else {
            return Ok(());
        };
        if !matches!(child.try_wait(), Ok(None)) {
            return Ok(());
        }
        let mut command = self.command("pg_ctl");
        command.arg("stop").arg("-D").arg(self.data()).args(["-w", "-t", "60", "-m", mode]);
        let stopped = self.run(command).await;
        // The keeper sees its server end. Its input stays open until then: closed earlier, it would take the directory
        // for left behind. Only if it does not see it, closing its input makes it.
        let deadline = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
        }
        drop(child.stdin.take());
        child.wait().await.map_err(Error::io("wait for Postgres to end"))?;
        stopped
    }

    async fn initialise(&self) -> Result<(), Error> {
        let password = self.directory.path().join("password");
        std::fs::File::create(&password)
            .and_then(|mut file| writeln!(file, "{}", self.password))
            .map_err(Error::io("write a file"))?;
        if let Some(account) = self.account {
            account.give(&password)?;
        }
        let mut command = self.command("initdb");
        command
            .arg("-D")
            .arg(self.data())
            .arg(format!("--pwfile={}", password.display()))
            .args(["--username=rollcall", "--auth=scram-sha-256", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--no-instructions"]);
        self.run(command).await?;
        std::fs::remove_file(&password).map_err(Error::io("remove a file"))
    }

    async fn start_on_a_free_port(&mut self) -> Result<(), Error> {
        let mut last = self.start().await;
        for _ in 1..PORTS {
            match &last {
                Err(Error::NotStarted { reason }) if reason.contains("in use") => {
                    *self.keeper.lock().await = None;
                    self.port = free_port()?;
                    last = self.start().await;
                }
                _ => break,
            }
        }
        last
    }

    fn launch(&self) -> Result<Child, Error> {
        let directory = self.directory.path();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .map_err(Error::io("open Postgres's log"))?;
        let mut command = self.command_of(Path::new("/bin/sh"));
        command.args(["-c", KEEPER, "keeper"]).arg(directory);
        command.arg(self.programs.join("postgres")).arg("-D").arg(self.data());
        let port = self.port.to_string();
        let mut settings: Vec<(&str, &str)> = vec![
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("max_connections", "200"),
            ("shared_buffers", "256MB"),
        ];
        if self.durability == Durability::Fast {
            settings.extend([("fsync", "off"), ("full_page_writes", "off")]);
        }
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // A socket's path may have 107 bytes; with a longer one Postgres would not start at all.
        let socket = if directory.as_os_str().len() < 80 { directory } else { Path::new("") };
        command.arg("-c").arg(format!("unix_socket_directories={}", socket.display()));
        let again = log.try_clone().map_err(Error::io("open Postgres's log"))?;
        command
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(again)
            // Ctrl-C is for us: the database must outlive what we still write.
            .process_group(0)
            .spawn()
            .map_err(Error::io("start Postgres"))
    }

    async fn wait_until_it_answers(&self, child: &mut Child) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let url = self.url("postgres");
        loop {
            if !matches!(child.try_wait(), Ok(None)) {
                return Err(Error::NotStarted { reason: self.end_of_log() });
            }
            if let Ok(connection) = PgConnection::connect(&url).await {
                drop(connection.close().await);
                return Ok(());
            }
            if Instant::now() > deadline {
                let reason =
                    format!("no answer within {} s; {}", PATIENCE.as_secs(), self.end_of_log());
                return Err(Error::NotStarted { reason });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The last errors of the log, on one line.
    fn end_of_log(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let errors: Vec<&str> = log
            .lines()
            .filter(|line| {
                line.contains("FATAL") || line.contains("ERROR") || line.contains("LOG:  could not")
            })
            .collect();
        let from = errors.len().saturating_sub(3);
        errors
            .get(from..)
            .filter(|some| !some.is_empty())
            .map_or_else(|| "its log says nothing".to_owned(), |errors| errors.join("; "))
    }

    fn command(&self, program: &str) -> Command {
        self.command_of(&self.programs.join(program))
    }

    /// A command as the account that owns the data, in a directory that it may enter, with messages in English.
    fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        for name in ["PGDATA", "PGPORT", "PGOPTIONS", "PGHOST", "PGUSER"] {
            command.env_remove(name);
        }
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        command
    }

    async fn run(&self, mut command: Command) -> Result<(), Error> {
        let program = PathBuf::from(command.as_std().get_program());
        let output =
            command.output().await.map_err(Error::io(format!("start {}", program.display())))?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rfind(|line| line.contains("error") || line.contains("FATAL"));
        let output = last.or_else(|| text.lines().last()).unwrap_or("it said nothing").to_owned();
        Err(Error::Program { program, output })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut child) = self.keeper.get_mut().take() else {
            return;
        };
        // The end of its input tells the keeper; an immediate shutdown takes milliseconds. Without the wait the
        // directory would be removed under a running server.
        drop(child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(Error::io("find a free port on 127.0.0.1"))
}

/// Creates the first database and gives its URL.
pub(super) async fn with_first_database(server: &Server, name: &str) -> Result<String, Error> {
    admin::create(&server.url("postgres"), name).await
}
