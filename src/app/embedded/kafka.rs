//! librdkafka's mock cluster: a Kafka in this process, for the demo and for tests that need no real one.

use std::sync::mpsc;
use std::thread::JoinHandle;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;

use super::Error;

type Task = Box<dyn FnOnce(&Cluster) + Send>;
type Cluster = MockCluster<'static, rdkafka::producer::DefaultProducerContext>;

/// A mock Kafka cluster that ends when this is dropped.
///
/// It keeps 5 MiB a partition and forgets what is older, has no admin API and no transactions, fences nobody, and
/// rebalances slowly: consumers should set `session.timeout.ms=6000`.
#[derive(Debug)]
pub struct MockKafka {
    bootstrap_servers: String,
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl MockKafka {
    /// Starts a cluster of one broker, which takes about a millisecond.
    pub fn start() -> Result<Self, Error> {
        let (tasks, inbox) = mpsc::channel::<Task>();
        let (started, answer) = mpsc::channel();
        // The handle of the cluster may not leave the thread that made it, so it gets one of its own.
        let thread = std::thread::Builder::new()
            .name("mock-kafka".to_owned())
            .spawn(move || match MockCluster::new(1) {
                Ok(cluster) => {
                    if started.send(Ok(cluster.bootstrap_servers())).is_ok() {
                        for task in inbox {
                            task(&cluster);
                        }
                    }
                }
                Err(error) => drop(started.send(Err(error))),
            })
            .map_err(Error::io("start a thread"))?;
        let bootstrap_servers = answered("start", &answer)?;
        Ok(Self { bootstrap_servers, tasks: Some(tasks), thread: Some(thread) })
    }

    /// `host:port` of the broker, for `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates a topic. Must be done before the first client asks for it, else it has 4 partitions.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), Error> {
        let name = name.to_owned();
        self.ask("create a topic", move |cluster| cluster.create_topic(&name, partitions, 1))
    }

    /// Cuts all connections and refuses new ones, until [`up`](Self::up).
    pub fn down(&self) -> Result<(), Error> {
        self.ask("go down", |cluster| cluster.broker_down(-1))
    }

    /// Accepts connections again.
    pub fn up(&self) -> Result<(), Error> {
        self.ask("come up", |cluster| cluster.broker_up(-1))
    }

    fn ask(
        &self,
        what: &'static str,
        operation: impl FnOnce(&Cluster) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), Error> {
        let (done, answer) = mpsc::channel();
        let task: Task = Box::new(move |cluster| drop(done.send(operation(cluster))));
        let sent = self.tasks.as_ref().is_some_and(|tasks| tasks.send(task).is_ok());
        if sent { answered(what, &answer) } else { Err(ended(what)) }
    }
}

impl Drop for MockKafka {
    fn drop(&mut self) {
        // Without a sender the thread's loop ends, and the cluster with it.
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn answered<T>(
    what: &'static str,
    answer: &mpsc::Receiver<Result<T, KafkaError>>,
) -> Result<T, Error> {
    let answer = answer.recv().map_err(|_ended| ended(what))?;
    answer.map_err(|error| Error::Kafka { what, reason: error.to_string() })
}

fn ended(what: &'static str) -> Error {
    Error::Kafka { what, reason: "it has ended".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};

    use super::*;

    #[test]
    fn topics_have_the_partitions_that_were_asked_for() {
        let kafka = MockKafka::start().unwrap();
        kafka.create_topic("requests", 12).unwrap();
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap_servers())
            .create()
            .unwrap();
        let metadata = client.fetch_metadata(Some("requests"), Duration::from_secs(10)).unwrap();
        assert_eq!(metadata.topics()[0].partitions().len(), 12);
    }
}
