//! The real binary, as an operator runs it.

use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{PATIENCE, eventually, free_port, logs, signal};

/// What a worker is told by its environment.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) brokers: String,
    /// Of topics, with its dot; the consumer group is named by it too.
    pub(crate) prefix: String,
    pub(crate) database_url: String,
    /// More settings, as `("ROLLCALL_BATCH__MAX_RECORDS", "10")`.
    pub(crate) environment: Vec<(String, String)>,
}

impl Setup {
    pub(crate) fn new(brokers: &str, prefix: &str, database_url: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            prefix: prefix.to_owned(),
            database_url: database_url.to_owned(),
            environment: Vec::new(),
        }
    }

    /// With one more setting.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The program with these arguments, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.around(env!("CARGO_BIN_EXE_rollcall"));
        command.args(arguments);
        command
    }

    /// A program with the settings in its environment.
    fn around(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // What the machine's own environment says is not the test's business.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROLLCALL_") {
                command.env_remove(name);
            }
        }
        command
            .env_remove("KAFKA_BROKERS")
            .env("ROLLCALL_KAFKA__BOOTSTRAP_SERVERS", &self.brokers)
            .env("ROLLCALL_KAFKA__GROUP_ID", format!("{}rollcall", self.prefix))
            .env("ROLLCALL_TOPICS__PREFIX", &self.prefix)
            .env("DATABASE_URL", &self.database_url)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// Runs a command of the binary to its end: `rollcall(&setup, &["migrate"])`.
pub(crate) async fn rollcall(setup: &Setup, arguments: &[&str]) -> Output {
    let output = setup.command(arguments).output();
    let output = tokio::time::timeout(PATIENCE * 2, output).await;
    output.unwrap_or_else(|_| panic!("rollcall {arguments:?} does not end")).expect("it starts")
}

/// Runs a line as an operator types it, with these variables.
pub(crate) async fn shell(setup: &Setup, line: &str, variables: &[(&str, &str)]) -> Output {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_rollcall"));
    let folder = binary.parent().expect("it is in a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)));
    let mut command = setup.around("/bin/sh");
    command.args(["-euc", line]).env("PATH", path.expect("a search path"));
    command.envs(variables.iter().copied());
    let output = tokio::time::timeout(PATIENCE * 2, command.output()).await;
    output.unwrap_or_else(|_| panic!("{line} does not end")).expect("it starts")
}

/// A running worker; killed when dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    pid: u32,
    log: PathBuf,
    http: u16,
}

impl Worker {
    /// Starts `rollcall run` and does not wait for anything; see [`Worker::ready`].
    pub(crate) fn start(setup: &Setup) -> Self {
        Self::start_with(setup, &["run"])
    }

    /// Starts `rollcall` with these arguments.
    pub(crate) fn start_with(setup: &Setup, arguments: &[&str]) -> Self {
        let log = logs().join(format!("worker-{:016x}.log", rand::random::<u64>()));
        let file = std::fs::File::create(&log).expect("a log");
        let http = free_port();
        let child = setup
            .command(arguments)
            .env("ROLLCALL_HTTP__LISTEN", format!("127.0.0.1:{http}"))
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .spawn()
            .expect("the worker starts");
        let pid = child.id().expect("it has just started");
        Self { child, pid, log, http }
    }

    /// Waits until `/readyz` says 200.
    pub(crate) async fn ready(&self) {
        eventually(PATIENCE, "the worker is ready", async || self.is_ready().await.then_some(()))
            .await;
    }

    /// Whether `/readyz` says 200 now.
    pub(crate) async fn is_ready(&self) -> bool {
        self.get("/readyz").await.is_some_and(|(status, _)| status == 200)
    }

    /// Status and body of an HTTP GET, None when nothing answers.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        let exchange = async {
            let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.http)).await.ok()?;
            let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
        };
        tokio::time::timeout(Duration::from_secs(5), exchange).await.ok()?
    }

    /// What `/readyz` says when a test has failed and there is no runtime to ask with.
    fn last_words(&self) -> String {
        use std::io::{Read as _, Write as _};
        let ask = || {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.http))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        ask().unwrap_or_else(|error: std::io::Error| error.to_string())
    }

    /// `http://127.0.0.1:<port>` of its HTTP face.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// All that it has written to stdout and stderr so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read(&self.log)
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// SIGTERM: it shuts down in order. See [`Worker::exit`].
    pub(crate) async fn terminate(&self) {
        signal("TERM", self.pid).await;
    }

    /// SIGSTOP: frozen.
    pub(crate) async fn pause(&self) {
        signal("STOP", self.pid).await;
    }

    /// SIGCONT: goes on.
    pub(crate) async fn resume(&self) {
        signal("CONT", self.pid).await;
    }

    /// SIGKILL, and waits for the end.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("the worker is killed");
    }

    /// Waits for its end.
    pub(crate) async fn exit(&mut self, patience: Duration) -> ExitStatus {
        let exit = tokio::time::timeout(patience, self.child.wait()).await;
        exit.unwrap_or_else(|_| panic!("the worker has not ended within {patience:?}"))
            .expect("its status")
    }

    /// SIGTERM, and waits for an end with exit code 0.
    pub(crate) async fn stop(mut self) {
        self.terminate().await;
        let status = self.exit(PATIENCE).await;
        assert!(status.success(), "the worker ended with {status}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n");
            eprintln!("--- the end of {}\n{tail}\n---", self.log.display());
            eprintln!("ended: {:?}, /readyz: {}", self.child.try_wait(), self.last_words());
        } else {
            drop(std::fs::remove_file(&self.log));
        }
    }
}
