//! Which topic is what: types of records, names, subjects.

use super::Config;
use crate::store::relay::Feed;

/// The kind of an output topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Results,
    Events,
    State,
    Receipts,
    Letters,
}

impl Kind {
    /// By the topic's logical name, as `relay_cursors` has it.
    pub(super) fn of(topic: &str) -> Option<Self> {
        Some(match topic {
            "results" => Self::Results,
            "membership-events" => Self::Events,
            "membership-state" => Self::State,
            "batch-receipts" => Self::Receipts,
            "dead-letters" => Self::Letters,
            _ => return None,
        })
    }

    /// The CloudEvents type; letters have none.
    pub(super) const fn ce_type(self) -> &'static str {
        match self {
            Self::Results => "org.rollcall.request.result.v1",
            Self::Events => "org.rollcall.membership.changed.v1",
            Self::State => "org.rollcall.membership.state.v1",
            Self::Receipts => "org.rollcall.batch.receipt.v1",
            Self::Letters => "",
        }
    }

    /// The headers that hold a record's number and generation.
    pub(super) const fn number_headers(self) -> (&'static str, &'static str) {
        match self {
            Self::Letters => ("rollcall.dlq.sequence", "rollcall.dlq.generation"),
            _ => ("ce_sequence", "ce_generation"),
        }
    }
}

/// From a stream to a partition of a topic.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) stream: i16,
    pub(super) kind: Kind,
    /// The logical name.
    pub(super) topic: String,
    pub(super) full_topic: String,
    pub(super) partition: i32,
    pub(super) generation: String,
    /// `ce_source`.
    pub(super) source: String,
}

impl Route {
    /// None for a topic that this version does not know.
    pub(super) fn new(feed: &Feed, config: &Config) -> Option<Self> {
        let full_topic = config.full_topic(&feed.topic);
        Some(Self {
            stream: feed.stream,
            kind: Kind::of(&feed.topic)?,
            topic: feed.topic.clone(),
            source: format!("{}/{full_topic}/{}", config.events_source, feed.shard),
            full_topic,
            partition: feed.shard,
            generation: feed.generation.to_string(),
        })
    }
}
