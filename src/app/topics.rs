//! The topics: what they must be, what they are, and how they become it.

use super::kafka::{self, PATIENCE, Unreachable};
use crate::config::Settings;
use crate::contract::MessageType;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Shards of every output stream, as the first migration records them: output topics have at least as many partitions.
pub const SHARDS: i32 = 12;

const DAY_MS: i64 = 86_400_000;
/// The greatest record that request topics take, in bytes: Kafka's own default, said so that it can be relied on.
const MAX_REQUEST_BYTES: i64 = 1_048_588;
/// The greatest record that is published, in bytes: a letter is a request with Rollcall's headers on top, a result
/// repeats every item of its request.
const MAX_OUTPUT_BYTES: i64 = 4 * 1_048_576;

/// Every topic, without prefix, with whether Rollcall writes it.
pub const NAMES: [(&str, bool); 8] = [
    ("enrollment-requests", false),
    ("membership-updates", false),
    ("group-memberships", false),
    ("results", true),
    ("membership-events", true),
    ("membership-state", true),
    ("batch-receipts", true),
    ("dead-letters", true),
];

/// The request topic, without prefix, for a message; none for what Rollcall says itself.
pub const fn of_request(message: MessageType) -> Option<&'static str> {
    match message {
        MessageType::EnrollmentRequest => Some("enrollment-requests"),
        MessageType::MembershipUpdateRequest => Some("membership-updates"),
        MessageType::GroupMembershipRequest => Some("group-memberships"),
        MessageType::RequestResult
        | MessageType::MembershipChanged
        | MessageType::MembershipState
        | MessageType::BatchReceipt => None,
    }
}

/// What a topic must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its full name.
    pub topic: String,
    /// Whether Rollcall writes it.
    pub output: bool,
    /// Partitions it is created with.
    pub partitions: i32,
    /// Copies it is created with.
    pub replication_factor: i32,
    /// The settings that must stand.
    pub config: BTreeMap<&'static str, String>,
}

/// What every topic must be by these settings.
pub fn wanted(settings: &Settings) -> Vec<Wanted> {
    let days = |days: i64| (days * DAY_MS).to_string();
    let deleted = |keep: i64| {
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", days(keep)),
        ]
    };
    let compacted = || ("cleanup.policy", "compact".to_owned());
    let of = |&(name, output): &(&str, bool)| {
        let mut config: BTreeMap<_, _> = match name {
            "membership-state" => vec![compacted(), ("delete.retention.ms", days(90))],
            "batch-receipts" => vec![compacted()],
            "membership-events" | "dead-letters" => deleted(90),
            _ => deleted(30),
        }
        .into_iter()
        .collect();
        let most = if output {
            MAX_OUTPUT_BYTES
        } else {
            MAX_REQUEST_BYTES
        };
        config.insert("max.message.bytes", most.to_string());
        let least = if output { SHARDS } else { 1 };
        Wanted {
            topic: settings.topics.topic(name),
            output,
            partitions: settings.topics.partitions.max(least),
            replication_factor: settings.topics.replication_factor,
            config,
        }
    };
    NAMES.iter().map(of).collect()
}

/// What a topic is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its partitions.
    pub partitions: i32,
    /// Every setting.
    pub config: HashMap<String, String>,
    /// Those of them that were set for this topic and must be kept when another is set.
    pub own: BTreeMap<String, String>,
}

/// What is done, or would be, about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is created.
    Create,
    /// Settings are set.
    SetConfig,
    /// Nobody but an operator can do it.
    ByHand,
}

/// A difference between what a topic is and must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The topic's full name.
    pub topic: String,
    /// What is done about it.
    pub action: Action,
    /// The setting; `partitions` for their number; null for the topic as a whole.
    pub key: Option<String>,
    /// What stands there.
    pub found: Option<String>,
    /// What must.
    pub wanted: Option<String>,
    /// In words.
    pub detail: String,
}

/// Everything in which the topics differ from what they must be.
pub fn compare(wanted: &[Wanted], found: &BTreeMap<String, Found>) -> Vec<Step> {
    let mut steps = Vec::new();
    for topic in wanted {
        let Some(there) = found.get(&topic.topic) else {
            let partitions = topic.partitions;
            steps.push(Step {
                topic: topic.topic.clone(),
                action: Action::Create,
                key: None,
                found: None,
                wanted: None,
                detail: format!(
                    "create with {partitions} partitions, replication factor {}, {}",
                    topic.replication_factor,
                    listed(&topic.config)
                ),
            });
            continue;
        };
        if there.partitions < topic.partitions {
            let why = if topic.output {
                "the partition of a published record is its shard, so an output topic's number of partitions is never \
                 changed: move the topic away and let it be created anew, before anything is published"
            } else {
                "more partitions would send a registrant's requests to another partition and break their order: add \
                 them only while the topic is empty, or set topics.partitions to what is there"
            };
            steps.push(Step {
                topic: topic.topic.clone(),
                action: Action::ByHand,
                key: Some("partitions".to_owned()),
                found: Some(there.partitions.to_string()),
                wanted: Some(topic.partitions.to_string()),
                detail: why.to_owned(),
            });
        }
        for (key, value) in &topic.config {
            let stands = there.config.get(*key);
            if stands != Some(value) {
                steps.push(Step {
                    topic: topic.topic.clone(),
                    action: Action::SetConfig,
                    key: Some((*key).to_owned()),
                    found: stands.cloned(),
                    wanted: Some(value.clone()),
                    detail: format!(
                        "set {key}={value} (is {})",
                        stands.map_or("not set", String::as_str)
                    ),
                });
            }
        }
    }
    steps
}

fn listed(config: &BTreeMap<&'static str, String>) -> String {
    config
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The topics could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers are away.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The brokers refused a change.
    #[error("{topic}: the broker refused: {problem}")]
    Refused {
        /// The topic.
        topic: String,
        /// Kafka's error.
        problem: String,
    },
    /// What was changed is not seen.
    #[error("what was changed is not seen by the brokers after {} s", PATIENCE.as_secs())]
    NotSeen,
}

/// Asks the brokers about topics, and changes them.
pub struct Topics<'a> {
    settings: &'a Settings,
    admin: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

impl std::fmt::Debug for Topics<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}

impl<'a> Topics<'a> {
    /// A client of the brokers; nothing is asked yet.
    ///
    /// # Errors
    /// When librdkafka does not take `kafka.properties`.
    pub fn connect(settings: &'a Settings) -> Result<Self, Error> {
        let away = |error| Unreachable::new(settings, &error);
        let admin = kafka::client(settings).create().map_err(away)?;
        let options = AdminOptions::new()
            .request_timeout(Some(PATIENCE))
            .operation_timeout(Some(PATIENCE));
        Ok(Self {
            settings,
            admin,
            options,
        })
    }

    fn away(&self, error: &KafkaError) -> Error {
        Unreachable::new(self.settings, error).into()
    }

    /// The number of partitions of each topic there is.
    ///
    /// # Errors
    /// When the brokers are away.
    pub fn partitions(&self) -> Result<BTreeMap<String, i32>, Error> {
        // All topics are asked for: asking for one by name could create it.
        let metadata = self
            .admin
            .inner()
            .fetch_metadata(None, PATIENCE)
            .map_err(|error| self.away(&error))?;
        let there = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none());
        Ok(there
            .map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32))
            .collect())
    }

    /// What the topics of these names are; what is not there is left out.
    ///
    /// # Errors
    /// When the brokers are away or do not tell.
    pub async fn found(&self, wanted: &[Wanted]) -> Result<BTreeMap<String, Found>, Error> {
        let partitions = self.partitions()?;
        let mut found: BTreeMap<_, _> = wanted
            .iter()
            .filter_map(|topic| {
                let partitions = *partitions.get(&topic.topic)?;
                Some((
                    topic.topic.clone(),
                    Found {
                        partitions,
                        ..Found::default()
                    },
                ))
            })
            .collect();
        let names: Vec<_> = found.keys().cloned().collect();
        if names.is_empty() {
            return Ok(found);
        }
        let asked: Vec<_> = names
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let answers = self
            .admin
            .describe_configs(&asked, &self.options)
            .await
            .map_err(|error| self.away(&error))?;
        for (name, answer) in names.iter().zip(answers) {
            let problem = |error: rdkafka::types::RDKafkaErrorCode| Error::Refused {
                topic: name.clone(),
                problem: error.to_string(),
            };
            let resource = answer.map_err(problem)?;
            let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &resource.specifier else {
                continue;
            };
            let Some(topic) = found.get_mut(name) else {
                continue;
            };
            for entry in resource.entries {
                let Some(value) = entry.value else { continue };
                if entry.source == ConfigSource::DynamicTopic {
                    topic.own.insert(entry.name.clone(), value.clone());
                }
                topic.config.insert(entry.name, value);
            }
        }
        Ok(found)
    }

    /// Takes the steps that can be taken and waits until the brokers show it; gives what is left.
    ///
    /// # Errors
    /// When the brokers are away, refuse, or do not show it in time.
    pub async fn apply(&self, wanted: &[Wanted]) -> Result<Applied, Error> {
        let found = self.found(wanted).await?;
        let steps = compare(wanted, &found);
        self.create(wanted, &steps).await?;
        self.configure(wanted, &found, &steps).await?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let left = compare(wanted, &self.found(wanted).await?);
            if left.iter().all(|step| step.action == Action::ByHand) {
                return Ok(Applied { steps, left });
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::NotSeen);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn create(&self, wanted: &[Wanted], steps: &[Step]) -> Result<(), Error> {
        let is_new = |topic: &&Wanted| {
            steps
                .iter()
                .any(|step| step.action == Action::Create && step.topic == topic.topic)
        };
        let new: Vec<_> = wanted
            .iter()
            .filter(is_new)
            .map(|topic| {
                let copies = TopicReplication::Fixed(topic.replication_factor);
                let new = NewTopic::new(&topic.topic, topic.partitions, copies);
                topic
                    .config
                    .iter()
                    .fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let answers = self
            .admin
            .create_topics(&new, &self.options)
            .await
            .map_err(|error| self.away(&error))?;
        for answer in answers {
            match answer {
                // Somebody else was faster; whether it is as it must be is looked at afterwards.
                Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, problem)) => {
                    return Err(Error::Refused {
                        topic,
                        problem: problem.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    async fn configure(
        &self,
        wanted: &[Wanted],
        found: &BTreeMap<String, Found>,
        steps: &[Step],
    ) -> Result<(), Error> {
        let mut changes = Vec::new();
        for topic in wanted {
            let set = |step: &Step| step.action == Action::SetConfig && step.topic == topic.topic;
            let Some(there) = found.get(&topic.topic).filter(|_| steps.iter().any(set)) else {
                continue;
            };
            // This request replaces a topic's own settings, so those that are not ours are said again.
            let mut change = AlterConfig::new(ResourceSpecifier::Topic(&topic.topic));
            for (key, value) in &there.own {
                if !topic.config.contains_key(key.as_str()) {
                    change = change.set(key, value);
                }
            }
            for (key, value) in &topic.config {
                change = change.set(key, value);
            }
            changes.push(change);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let answers = self
            .admin
            .alter_configs(&changes, &self.options)
            .await
            .map_err(|error| self.away(&error))?;
        for answer in answers {
            if let Err((topic, problem)) = answer {
                return Err(Error::Refused {
                    topic: format!("{topic:?}"),
                    problem: problem.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// What `apply` did.
#[derive(Debug)]
pub struct Applied {
    /// Every difference there was.
    pub steps: Vec<Step>,
    /// Those that only an operator can end.
    pub left: Vec<Step>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_wanted(topic: &Wanted) -> (String, Found) {
        let config = topic
            .config
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        (
            topic.topic.clone(),
            Found {
                partitions: topic.partitions,
                config,
                own: BTreeMap::new(),
            },
        )
    }

    #[test]
    fn topics_are_as_the_contract_has_them() {
        let wanted = wanted(&Settings::default());
        assert_eq!(wanted.len(), 8);
        let by_name = |name: &str| wanted.iter().find(|topic| topic.topic == name).unwrap();
        assert_eq!(
            by_name("rollcall.enrollment-requests").config["retention.ms"],
            "2592000000"
        );
        assert_eq!(
            by_name("rollcall.dead-letters").config["retention.ms"],
            "7776000000"
        );
        let state = by_name("rollcall.membership-state");
        assert_eq!(state.config["cleanup.policy"], "compact");
        assert_eq!(state.config["delete.retention.ms"], "7776000000");
        assert!(!state.config.contains_key("retention.ms"));
        assert!(wanted.iter().all(|topic| topic.partitions == 12));
    }

    #[test]
    fn fewer_partitions_are_for_requests_only() {
        let mut settings = Settings::default();
        settings.topics.partitions = 3;
        for topic in wanted(&settings) {
            assert_eq!(
                topic.partitions,
                if topic.output { 12 } else { 3 },
                "{}",
                topic.topic
            );
        }
    }

    #[test]
    fn differences_are_steps() {
        let wanted = wanted(&Settings::default());
        let mut found: BTreeMap<_, _> = wanted.iter().map(as_wanted).collect();
        assert_eq!(compare(&wanted, &found), []);
        found.remove("rollcall.results");
        let state = found.get_mut("rollcall.membership-state").unwrap();
        state
            .config
            .insert("cleanup.policy".to_owned(), "delete".to_owned());
        state.partitions = 4;
        found
            .get_mut("rollcall.enrollment-requests")
            .unwrap()
            .partitions = 24;
        let actions: Vec<_> = compare(&wanted, &found)
            .iter()
            .map(|step| step.action)
            .collect();
        assert_eq!(actions, [Action::Create, Action::ByHand, Action::SetConfig]);
        assert_eq!(compare(&wanted, &BTreeMap::new()).len(), 8);
    }
}
