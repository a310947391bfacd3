//! The topics: what they must be, what they are, and how they become it.

mod admin;

pub use admin::{Applied, Error, Topics};

use crate::config::Settings;
use crate::contract::MessageType;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

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

/// The full names of the request topics. Each may hold any kind of request: the schema decides the type.
pub fn of_requests(settings: &Settings) -> Vec<String> {
    let requests = NAMES.iter().filter(|(_, output)| !output);
    requests.map(|(name, _)| settings.topics.topic(name)).collect()
}

/// The topic, without prefix, to which a request is sent, unless its sender needs strict order across kinds; none for
/// what Rollcall says itself.
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
    let deleted =
        |keep: i64| vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", days(keep))];
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
        let most = if output { MAX_OUTPUT_BYTES } else { MAX_REQUEST_BYTES };
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
        // More partitions than shards stay unused, so an output topic needs no more than that.
        let least = if topic.output { SHARDS } else { topic.partitions };
        if there.partitions < least {
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
                wanted: Some(least.to_string()),
                detail: format!("{} partitions, not {least}: {why}", there.partitions),
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
    config.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
