//! How others tell the consumer's thread something.

use super::super::board::Stop;
use super::super::suspect::Suspect;
use crate::apply::TopicPartition;
use rdkafka::error::KafkaError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use uuid::Uuid;

/// What others tell the thread.
#[derive(Debug)]
pub(in crate::consume) enum Command {
    /// Something may be there to take.
    Wake,
    /// The group gave these partitions to us.
    Assigned(Vec<TopicPartition>),
    /// The group took these partitions from us.
    Revoked(Vec<TopicPartition>),
    /// A rebalance failed: there is no way on.
    Failed(KafkaError),
    /// A lease is taken and checked: read from here.
    Start {
        at: TopicPartition,
        generation: u64,
        fence: Uuid,
        position: i64,
        letters: u64,
        /// It goes to the lane of suspects.
        suspect: Option<Suspect>,
    },
    /// What was received under this fence cannot be applied: take the lease again and read again.
    Lost { at: TopicPartition, fence: Uuid },
    /// All that was received under this fence is done with: take the lease anew.
    Again { at: TopicPartition, fence: Uuid },
    /// The partition must not go on.
    Halt { at: TopicPartition, fence: Uuid, stop: Stop },
    /// Statistics: where the end of each log was reached last.
    Ends(Vec<(TopicPartition, i64)>),
    /// The client knows no broker any more.
    BrokersForgotten,
    /// Applied up to here.
    Applied { at: TopicPartition, next: i64 },
}

/// The way to tell the thread something.
#[derive(Debug, Clone)]
pub(in crate::consume) struct Commands {
    sender: mpsc::Sender<Command>,
    /// A wake is under way already.
    woken: Arc<AtomicBool>,
}

impl Commands {
    pub(in crate::consume) fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel();
        (Self { sender, woken: Arc::default() }, receiver)
    }

    pub(in crate::consume) fn send(&self, command: Command) {
        if self.sender.send(command).is_err() {
            tracing::trace!("the consumer has ended");
        }
    }

    pub(in crate::consume) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.send(Command::Wake);
        }
    }

    /// The wake has arrived: the next one is to be sent again.
    pub(super) fn awake(&self) {
        self.woken.store(false, Ordering::Release);
    }
}
