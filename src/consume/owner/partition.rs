//! A partition that the group gave to us.

use super::super::client::Context;
use super::{
    Buffer, Client, Cursor, Duration, Entry, KafkaError, Offset, Order, Receipt, TURN, Tail,
    TopicPartition, Uuid, list_of, record,
};
use rdkafka::Message as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How long librdkafka's own thread may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

pub(super) struct Partition {
    pub(super) at: TopicPartition,
    /// Which assignment this is: answers to an earlier one are passed over.
    pub(super) generation: u64,
    pub(super) phase: Phase,
    /// Whose buffer its records go to, once it is read.
    pub(super) lane: usize,
    /// Kept while a gap is sought a second time.
    pub(super) cursor: Option<Cursor>,
    /// Cancelled when the partition is taken from us.
    pub(super) assigned: CancellationToken,
    queue: PartitionQueue<Context>,
}

/// What is done with a partition.
pub(super) enum Phase {
    /// Paused; a lease is being taken.
    Waiting,
    /// To be sought and resumed. `again`: because of a gap.
    Seeking { fence: Uuid, position: i64, again: bool },
    /// Read.
    Running { fence: Uuid, cursor: Cursor },
    /// Paused, until it is assigned anew or an operator takes this fence away.
    Stopped(Uuid),
}

impl Phase {
    pub(super) const fn fence(&self) -> Option<Uuid> {
        match self {
            Self::Seeking { fence, .. } | Self::Running { fence, .. } => Some(*fence),
            Self::Waiting | Self::Stopped(_) => None,
        }
    }

    /// Whether it was taken under this fence, whatever has become of it.
    pub(super) fn is_under(&self, fence: Uuid) -> bool {
        match self {
            Self::Stopped(stopped) => *stopped == fence,
            _ => self.fence() == Some(fence),
        }
    }
}

/// What a turn brought.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) records: usize,
    /// The log does not give what is wanted.
    pub(super) is_lost: bool,
}

impl Partition {
    /// Splits the partition's queue off, which is possible only now that it is assigned; it is still paused.
    pub(super) fn new(
        client: &Arc<Client>,
        at: TopicPartition,
        generation: u64,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Option<Self> {
        let mut queue = client.split_partition_queue(&at.topic, at.partition)?;
        queue.set_nonempty_callback(wake);
        let assigned = CancellationToken::new();
        Some(Self { at, generation, phase: Phase::Waiting, lane: 0, cursor: None, assigned, queue })
    }

    pub(super) fn order(&self, again: bool) -> Order {
        let (at, assigned) = (self.at.clone(), self.assigned.clone());
        Order::Take { at, generation: self.generation, assigned, again }
    }

    /// Has what was fetched but not taken fetched again.
    pub(super) fn rewind(&mut self) {
        if let Phase::Running { fence, cursor } = &self.phase {
            let (fence, position) = (*fence, cursor.next());
            self.phase = Phase::Seeking { fence, position, again: false };
        }
    }

    /// Seeks and resumes.
    pub(super) fn seek(&self, client: &Client, position: i64) -> Result<(), KafkaError> {
        let list = list_of(&self.at, Offset::Offset(position));
        // ERR__STATE, as long as the assignment is not yet through, is in the element.
        let answer = client.seek_partitions(list, ANSWER_WITHIN)?;
        answer.elements().iter().try_for_each(TopicPartitionListElem::error)?;
        client.resume(&list_of(&self.at, Offset::Invalid))
    }

    /// Moves records to the lane's buffer.
    pub(super) fn take(&mut self, buffer: &Buffer) -> Taken {
        let mut taken = Taken::default();
        let Phase::Running { fence, cursor } = &mut self.phase else {
            return taken;
        };
        let (fence, mut room) = (*fence, buffer.room());
        let mut entries = Vec::new();
        let mut seek_again = false;
        while entries.len() < TURN && !room.is_spent() {
            match self.queue.poll(Duration::ZERO) {
                None => {
                    match cursor.drain() {
                        None => {}
                        Some(Tail::Skip(end)) => {
                            entries.push(Entry::Gap { at: self.at.clone(), fence, end });
                        }
                        Some(Tail::SeekAgain) => seek_again = true,
                    }
                    break;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => cursor.reach_end(),
                Some(Ok(message)) => match cursor.receive(message.offset()) {
                    Receipt::Take => {
                        let record = record::copy(&self.at, &message);
                        room.spend(record.size());
                        entries.push(Entry::Record { fence, record });
                    }
                    Receipt::Below => {}
                    Receipt::SeekAgain => {
                        seek_again = true;
                        break;
                    }
                },
                Some(Err(error)) => {
                    // Out of range, for one: what it is shows when the lease is taken and the log is checked.
                    tracing::warn!(%error, topic = &*self.at.topic, self.at.partition, "fetch failed");
                    taken.is_lost = true;
                    break;
                }
            }
        }
        taken.records = entries.len();
        if !entries.is_empty() {
            buffer.push(entries);
        }
        if seek_again {
            let position = cursor.next();
            self.cursor = Some(cursor.clone());
            self.phase = Phase::Seeking { fence, position, again: true };
        }
        taken
    }
}
