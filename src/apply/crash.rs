//! Records at which the process itself died: what the consumer asks for that looks for them.

use super::Applier;
use super::batch::{Record, Taken, TopicPartition};
use super::caps::CAP;
use super::letter::with_cause;
use crate::contract::{Intake, LetterClass, LetterStage, Unreadable};
use crate::store;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What was done with records when the process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// They were decoded.
    Decode,
    /// They were applied.
    Apply,
}

impl Doing {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decode => LetterStage::Decode.as_str(),
            Self::Apply => LetterStage::Apply.as_str(),
        }
    }
}

impl Applier {
    /// Says, for whoever takes the partition over if this process dies, that these records are worked on now and nothing
    /// else that was not trusted; false if the lease is another's.
    ///
    /// # Errors
    /// The database's.
    pub async fn begins_apart(
        &self,
        at: &TopicPartition,
        fence: Uuid,
        (records, next_offset): (usize, i64),
        doing: Doing,
    ) -> store::Result<bool> {
        let mut connection = self.pool.acquire().await?;
        let lease = (&*at.topic, at.partition, fence);
        let what = (records as i32, next_offset);
        store::crashes::mark(&mut connection, lease, what, doing.as_str()).await
    }

    /// Takes that back, where they were not applied and yet the process lives.
    ///
    /// # Errors
    /// The database's.
    pub async fn ends_apart(&self, at: &TopicPartition) -> store::Result<()> {
        let mut connection = self.pool.acquire().await?;
        store::crashes::unmark(&mut connection, &at.topic, at.partition).await
    }

    /// The record as a letter, since the process died whenever it was worked on; or why the partition must stop instead.
    /// It is decoded only if it was not decoding that it died of: then later records of the same persons wait for it
    /// (P8). An outage is waited for (P6); none if `stop` ends that early.
    ///
    /// # Errors
    /// The cause.
    pub async fn crashed(
        &self,
        record: Record,
        doing: Doing,
        stop: &CancellationToken,
    ) -> Result<Option<Taken>, String> {
        let (stage, detail) = match doing {
            Doing::Decode => (
                LetterStage::Decode,
                "the process died every time it decoded the record; report it with the letter",
            ),
            Doing::Apply => (
                LetterStage::Apply,
                "the process died every time it applied the record; report it with the letter",
            ),
        };
        let cause = Unreadable { class: LetterClass::Failed, stage, code: "crashed", detail };
        while let Err(error) = self.canary().await {
            if !self.waits_out(&error, stop).await {
                return Err(format!("crashed: and a canary write fails too: {error}"));
            }
            if stop.is_cancelled() {
                return Ok(None);
            }
        }
        let taken = match doing {
            Doing::Decode => {
                let (waiting, reply, letter) = (None, None, None);
                Taken { record, intake: Intake::Letter(cause), waiting, reply, letter }
            }
            Doing::Apply => with_cause(self.take(record), cause),
        };
        if !self.tallies.accepts(&taken.record.at, &self.options.caps) {
            return Err(format!("{CAP} (crashed)"));
        }
        Ok(Some(taken))
    }
}
