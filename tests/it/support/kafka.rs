//! Kafka: given, in a container, or native by `scripts/kafka`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::OnceCell;

use super::docker::{self, Container};
use super::{PATIENCE, Topics, eventually, free_port, logs, variable};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");

/// A Kafka of one broker.
#[derive(Debug)]
pub(crate) struct Kafka {
    /// `host:port`, for `bootstrap.servers`; the same after a stop and start.
    pub(crate) brokers: String,
    home: Home,
}

#[derive(Debug)]
enum Home {
    Given,
    Native { directory: PathBuf, keeper: Child },
    Container(Box<Container>),
}

/// The Kafka that all tests of this process share. Keep to topics and groups with a prefix of your own.
pub(crate) async fn kafka() -> &'static Kafka {
    static SHARED: OnceCell<Kafka> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            match variable("KAFKA_BROKERS") {
                Some(brokers) => Kafka { brokers, home: Home::Given },
                None => own_kafka().await,
            }
        })
        .await
}

/// A Kafka for one test, which may stop, kill and freeze it. Gone when dropped.
pub(crate) async fn own_kafka() -> Kafka {
    let kafka = if docker::answers() { in_container().await } else { native().await };
    kafka.wait_until_it_answers().await;
    kafka
}

async fn in_container() -> Kafka {
    let port = free_port();
    let outside = format!("PLAINTEXT://127.0.0.1:{port}");
    let environment = [
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093"),
        ("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("KAFKA_ADVERTISED_LISTENERS", &outside),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"),
        ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
        ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "4"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000"),
        ("KAFKA_LOG_RETENTION_CHECK_INTERVAL_MS", "1000"),
        ("KAFKA_LOG_SEGMENT_DELETE_DELAY_MS", "100"),
        ("KAFKA_BROKER_HEARTBEAT_INTERVAL_MS", "300"),
        ("KAFKA_BROKER_SESSION_TIMEOUT_MS", "2000"),
    ];
    let container = Container::run(("apache/kafka", "4.3.1"), (port, 9092), &environment).await;
    Kafka { brokers: format!("127.0.0.1:{port}"), home: Home::Container(Box::new(container)) }
}

async fn native() -> Kafka {
    let directory =
        tempfile::Builder::new().prefix("rollcall-kafka-").tempdir().expect("a directory");
    // Its keeper removes it, also when this process is killed.
    let directory = directory.keep();
    let complaints = logs().join(format!("kafka-{}.err", directory.file_name().unwrap().display()));
    let (brokers, keeper) = tokio::task::spawn_blocking({
        let directory = directory.clone();
        move || {
            let mut keeper = Command::new(SCRIPT)
                .arg("run")
                .arg(&directory)
                .env("ROLLCALL_LOGS", logs())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(std::fs::File::create(&complaints).expect("a log"))
                .spawn()
                .expect("scripts/kafka starts");
            let mut brokers = String::new();
            let output = keeper.stdout.take().expect("its output is a pipe");
            BufReader::new(output).read_line(&mut brokers).expect("its output can be read");
            let said = std::fs::read_to_string(&complaints).unwrap_or_default();
            assert!(!brokers.is_empty(), "Kafka did not start: {said}");
            (brokers.trim().to_owned(), keeper)
        }
    })
    .await
    .expect("Kafka starts");
    Kafka { brokers, home: Home::Native { directory, keeper } }
}

impl Kafka {
    /// Topics of the test's own on this Kafka.
    pub(crate) fn topics(&self, prefix: &str) -> Topics {
        Topics::new(&self.brokers, prefix)
    }

    /// Stops the broker in order; its records stay.
    pub(crate) async fn stop(&self) {
        match &self.home {
            Home::Given => panic!("a given Kafka is not stopped; use own_kafka()"),
            Home::Native { .. } => self.script("stop").await,
            Home::Container(container) => container.stop().await,
        }
    }

    /// Kills the broker.
    pub(crate) async fn kill(&self) {
        match &self.home {
            Home::Given => panic!("a given Kafka is not killed; use own_kafka()"),
            Home::Native { .. } => self.script("kill").await,
            Home::Container(container) => container.kill().await,
        }
    }

    /// Starts the stopped broker again and waits until it answers.
    pub(crate) async fn start(&self) {
        match &self.home {
            Home::Given => {}
            Home::Native { .. } => self.script("start").await,
            Home::Container(container) => container.start().await,
        }
        self.wait_until_it_answers().await;
    }

    /// Freezes the broker: connections stay open and nothing is answered.
    pub(crate) async fn pause(&self) {
        match &self.home {
            Home::Given => panic!("a given Kafka is not frozen; use own_kafka()"),
            Home::Native { .. } => self.script("pause").await,
            Home::Container(container) => container.pause().await,
        }
    }

    /// Lets a frozen broker go on.
    pub(crate) async fn resume(&self) {
        match &self.home {
            Home::Given => {}
            Home::Native { .. } => self.script("cont").await,
            Home::Container(container) => container.resume().await,
        }
    }

    async fn script(&self, verb: &str) {
        let Home::Native { directory, .. } = &self.home else {
            return;
        };
        let complaints = logs().join(format!("kafka-{verb}.err"));
        let status = tokio::process::Command::new(SCRIPT)
            .arg(verb)
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&complaints).expect("a log"))
            .status()
            .await
            .expect("scripts/kafka starts");
        let said = std::fs::read_to_string(&complaints).unwrap_or_default();
        assert!(status.success(), "scripts/kafka {verb}: {said}");
    }

    async fn wait_until_it_answers(&self) {
        eventually(PATIENCE, "Kafka answers", async || {
            let brokers = self.brokers.clone();
            tokio::task::spawn_blocking(move || {
                let client: BaseConsumer =
                    ClientConfig::new().set("bootstrap.servers", brokers).create().ok()?;
                let metadata = client.fetch_metadata(None, Duration::from_secs(2)).ok()?;
                (!metadata.brokers().is_empty()).then_some(())
            })
            .await
            .ok()?
        })
        .await;
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if let Home::Native { keeper, .. } = &mut self.home {
            // The end of its input tells the script to kill the broker and to remove its directory.
            drop(keeper.stdin.take());
            keeper.wait().expect("scripts/kafka ends");
        }
    }
}
