//! A batch that comes over HTTP, sent on while it comes.

use super::send::{Patience, Sender};
use crate::app::wiring;
use crate::config::Settings;
use crate::contract::MessageType;
use crate::contract::lines::{Line, LineError, Reader, Uncounted};
use crate::http::{Upload, UploadCause, UploadError, Uploaded, Uploader};
use std::io::BufReader;
use std::time::Duration;

/// The code of a line that names another source or actor than the token: what a whole request that does so is refused with.
const FORBIDDEN: &str = "forbidden";
/// A caller waits: who hears that Kafka is away sends the same batch again. And however fast it sends, the memory that
/// its lines take is bounded.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(4),
    delivery: Duration::from_secs(30),
    queue_kib: Some(16 << 10),
};

/// Sends batches on by the producer of `submit`, to the topics of these settings.
pub fn uploader(settings: &Settings) -> Uploader {
    let settings = settings.clone();
    Uploader::new(move |upload| send(upload, &settings))
}

fn send(upload: Upload, settings: &Settings) -> Result<Uploaded, UploadError> {
    let Upload { lines, format, fill, only, max_errors } = upload;
    let kinds = MessageType::ALL.into_iter().filter(|kind| kind.is_request()).collect();
    let failed = |error: &super::Error| {
        tracing::warn!(%error, "http: a batch could not be sent on");
        let accepted = match error {
            super::Error::Undelivered { acknowledged, .. } => *acknowledged,
            _ => 0,
        };
        UploadError { accepted, cause: UploadCause::Kafka }
    };
    let sender = Sender::connect(settings, &kinds, PATIENCE).map_err(|error| failed(&error))?;
    let actor = fill.actor.clone();
    let foreign = |line: &Line| {
        if only.as_deref().is_some_and(|source| line.source() != source) {
            Some(("/source", "the token speaks for another source"))
        } else if actor.is_some() && line.actor() != actor.as_deref() {
            Some(("/actor", "the token says that somebody else acts"))
        } else {
            None
        }
    };
    let mut reader = Reader::new(BufReader::new(lines), format, fill, wiring::dates(settings));
    let mut uploaded = Uploaded::default();
    let mut ended_by = None;
    loop {
        let line = match reader.read() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) if Uncounted::is(&error) => {
                tracing::warn!(%error, "http: a batch could not be read on");
                ended_by = Some(UploadCause::Disk);
                break;
            }
            Err(_cut) => {
                ended_by = Some(UploadCause::Cut);
                break;
            }
        };
        let line = line.and_then(|line| match foreign(&line) {
            Some((pointer, detail)) => Err(vec![LineError {
                line: line.number,
                pointer: pointer.to_owned(),
                code: FORBIDDEN,
                detail: detail.to_owned(),
            }]),
            None => Ok(line),
        });
        match line {
            Ok(line) => {
                sender.send(&line).map_err(|error| failed(&error))?;
                uploaded.accepted += 1;
            }
            Err(errors) => {
                uploaded.refused += 1;
                let room = max_errors.saturating_sub(uploaded.errors.len());
                uploaded.errors.extend(errors.into_iter().take(room));
            }
        }
    }
    // Also of a batch that ended early: what was sent is waited for, so that nothing of it is lost with the producer.
    sender.finish().map_err(|error| failed(&error))?;
    match ended_by {
        Some(cause) => Err(UploadError { accepted: uploaded.accepted, cause }),
        None => Ok(uploaded),
    }
}
