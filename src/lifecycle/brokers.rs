//! Brokers that librdkafka forgets.
//!
//! A broker that is shutting down may answer a question for metadata with an empty list of brokers. librdkafka (since
//! 2.10; <https://github.com/confluentinc/librdkafka/issues/5301>) believes it, drops all brokers, those of
//! `bootstrap.servers` too, and never connects again. So it is told of them anew when it knows none.

use rdkafka::ClientContext;
use rdkafka::Statistics;
use rdkafka::client::Client;
use std::ffi::CString;

/// Whether the client has no broker that it could connect to. Its own queues and the group's coordinator, which has an
/// address only as long as another broker tells it, count as brokers too.
pub fn knows_none(statistics: &Statistics) -> bool {
    let mut sources = statistics.brokers.values().map(|broker| broker.source.as_str());
    !sources.any(|source| matches!(source, "configured" | "learned"))
}

/// Has a client know these brokers, `host:port` each, with commas between; those that it knows stay as they are.
#[expect(unsafe_code, reason = "rdkafka has no function for it")]
pub fn add<C: ClientContext>(client: &Client<C>, servers: &str) {
    let Ok(servers) = CString::new(servers) else {
        return;
    };
    // SAFETY: `client` keeps the instance alive during the call, which copies the text, and may be made from any thread.
    unsafe { rdkafka::bindings::rd_kafka_brokers_add(client.native_ptr(), servers.as_ptr()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::mocking::MockCluster;
    use rdkafka::statistics::Broker;
    use std::time::Duration;

    #[test]
    fn only_brokers_of_the_settings_and_of_metadata_can_be_connected_to() {
        let known = |sources: &[&str]| {
            let broker = |source: &&str| {
                (source.to_string(), Broker { source: source.to_string(), ..Broker::default() })
            };
            let brokers = sources.iter().map(broker).collect();
            !knows_none(&Statistics { brokers, ..Statistics::default() })
        };
        assert!(!known(&[]));
        assert!(!known(&["internal", "logical"]));
        assert!(known(&["logical", "configured"]));
        assert!(known(&["learned", "internal"]));
    }

    #[test]
    fn a_client_without_brokers_reaches_those_that_it_is_told() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let client: BaseConsumer = ClientConfig::new().create().unwrap();
        let ask = |patience| client.fetch_metadata(Some("t"), Duration::from_secs(patience));
        assert!(ask(1).is_err());
        for _ in 0..2 {
            add(client.client(), &cluster.bootstrap_servers());
            assert_eq!(ask(30).unwrap().topics().len(), 1);
        }
    }
}
