//! Records at which the process itself died: when they are at fault, and the letters that they become. The consumer looks
//! for them among those that arrive, the drain among those that wait.

use super::Applier;
use super::batch::{Record, Taken, TopicPartition};
use super::caps::CAP;
use super::disposition::Failure;
use super::divide::CONDITION;
use super::letter::with_cause;
use crate::contract::{Intake, LetterClass, LetterStage, Unreadable};
use crate::store;
use std::time::Duration;
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

/// How often the process dies at a record before that is at fault.
const CRASHES: i32 = 3;

/// What becomes of a record at which processes died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried.
    Try,
    /// It becomes a letter: the process died while it was worked on alone.
    Letter,
    /// Not even a letter can be made of it.
    Hopeless,
}

impl Verdict {
    /// With so many the letter made it die too, and not by chance.
    pub const HOPELESS: i32 = 5;

    /// Of one at which so many processes in a row died while it was worked on alone.
    pub const fn of(alone: i32) -> Self {
        match alone {
            Self::HOPELESS.. => Self::Hopeless,
            CRASHES.. => Self::Letter,
            _ => Self::Try,
        }
    }
}

/// How long a process goes on living, at the least and at the most, before it tries what processes died at.
const PROBATION: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// How long a process lives, in which all it does is known not to make it die, before it tries a record at which one died
/// while it was alone. Many times as long as the try takes, however slow the machine is, judged by how long it took to note
/// something: whoever kills it for another reason does so sooner, most probably, and that clears the record.
pub fn probation(noted: Duration) -> Duration {
    let (least, most) = PROBATION;
    (noted * 100).clamp(least, most).mul_f64(rand::random_range(1.0..1.5))
}

/// Why it is a letter then.
pub(super) const fn cause(doing: Doing) -> Unreadable {
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
    Unreadable { class: LetterClass::Failed, stage, code: "crashed", detail }
}

impl Applier {
    /// Whether nothing may be applied, and says so to `/readyz`: who dies while that is waited for did not die of a record.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_halted(&self) -> store::Result<bool> {
        let mut connection = self.pool.acquire().await?;
        let halt = store::status::halts(&mut connection).await?.into_iter().next();
        if let Some(halt) = &halt {
            self.health.set_not_ready(CONDITION, Failure::Halted(halt.name.clone()).to_string());
        }
        Ok(halt.is_some())
    }

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
    pub async fn ends_apart(&self, at: &TopicPartition, fence: Uuid) -> store::Result<()> {
        let mut connection = self.pool.acquire().await?;
        store::crashes::unmark(&mut connection, (&at.topic, at.partition, fence)).await
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
        if !self.accepts_crashed(&record.at, stop).await? {
            return Ok(None);
        }
        Ok(Some(match doing {
            Doing::Decode => {
                let (intake, waiting) = (Intake::Letter(cause(doing)), None);
                Taken { record, intake, waiting, reply: None, letter: None }
            }
            Doing::Apply => with_cause(self.take(record), cause(doing)),
        }))
    }

    /// Whether a record of this log, at which the process died, may become a letter: others can be written, and the caps
    /// allow it. An outage is waited for (P6); false if `stop` ends that early.
    pub(super) async fn accepts_crashed(
        &self,
        at: &TopicPartition,
        stop: &CancellationToken,
    ) -> Result<bool, String> {
        while let Err(error) = self.canary().await {
            if !self.waits_out(&error, stop).await {
                return Err(format!("crashed: and a canary write fails too: {error}"));
            }
            if stop.is_cancelled() {
                return Ok(false);
            }
        }
        if !self.tallies.accepts(at, &self.options.caps) {
            return Err(format!("{CAP} (crashed)"));
        }
        Ok(true)
    }
}
