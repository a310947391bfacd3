//! Asking the brokers about topics, and changing them.

use super::{Action, Found, Step, Wanted, compare};
use crate::app::kafka::{self, PATIENCE, Unreachable};
use crate::config::Settings;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::time::Duration;

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
        let options =
            AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        Ok(Self { settings, admin, options })
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
        let metadata =
            self.admin.inner().fetch_metadata(None, PATIENCE).map_err(|error| self.away(&error))?;
        let there = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(there.map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32)).collect())
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
                Some((topic.topic.clone(), Found { partitions, ..Found::default() }))
            })
            .collect();
        let names: Vec<_> = found.keys().cloned().collect();
        if names.is_empty() {
            return Ok(found);
        }
        let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let answers = self
            .admin
            .describe_configs(&asked, &self.options)
            .await
            .map_err(|error| self.away(&error))?;
        for (name, answer) in names.iter().zip(answers) {
            let problem = |error: RDKafkaErrorCode| Error::Refused {
                topic: name.clone(),
                problem: error.to_string(),
            };
            let resource = answer.map_err(problem)?;
            let OwnedResourceSpecifier::Topic(name) = &resource.specifier else {
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
            steps.iter().any(|step| step.action == Action::Create && step.topic == topic.topic)
        };
        let new: Vec<_> = wanted
            .iter()
            .filter(is_new)
            .map(|topic| {
                let copies = TopicReplication::Fixed(topic.replication_factor);
                let new = NewTopic::new(&topic.topic, topic.partitions, copies);
                topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
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
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, problem)) => {
                    return Err(Error::Refused { topic, problem: problem.to_string() });
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
