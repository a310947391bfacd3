//! The names of a request in a file, and those that are derived.

use crate::contract::content::ContentFingerprint;
use crate::contract::decode::Request;
use crate::contract::limits;
use crate::contract::wire::BatchRef;
use crate::domain::{Fault, Reason};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

pub(super) fn source(request: &Request) -> &str {
    match request {
        Request::Enrollment(request) => &request.source,
        Request::Update(request) => &request.source,
        Request::Group(request) => &request.source,
    }
}

pub(super) fn message_id(request: &Request) -> &str {
    match request {
        Request::Enrollment(request) => &request.message_id,
        Request::Update(request) => &request.message_id,
        Request::Group(request) => &request.message_id,
    }
}

pub(super) fn batch(request: &mut Request) -> Option<&mut BatchRef> {
    match request {
        Request::Enrollment(request) => request.batch.as_mut(),
        Request::Update(request) => request.batch.as_mut(),
        Request::Group(request) => request.batch.as_mut(),
    }
}

fn batch_id(request: &Request) -> Option<&str> {
    let batch = match request {
        Request::Enrollment(request) => &request.batch,
        Request::Update(request) => &request.batch,
        Request::Group(request) => &request.batch,
    };
    batch.as_ref().map(|batch| batch.batch_id.as_str())
}

/// The limits of the names that every request has.
pub(super) fn faults(request: &Request) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut check = |fits: bool, pointer: &str| {
        if !fits {
            faults.push(Fault::at(pointer, Reason::FieldInvalid));
        }
    };
    check(limits::is_source(source(request)), "/source");
    check(limits::is_token(message_id(request)), "/message_id");
    check(batch_id(request).is_none_or(limits::is_token), "/batch/batch_id");
    faults
}

/// A registrant without any name: no server is needed to see that it will be refused.
pub(super) fn unnamed(request: &Request) -> Option<Fault> {
    let (named, pointer) = match request {
        Request::Enrollment(request) => {
            let registrant = &request.registrant;
            (registrant.reference.is_some() || !registrant.ids.is_empty(), "/registrant")
        }
        Request::Update(request) => {
            let registrant = &request.registrant;
            (registrant.reference.is_some() || !registrant.ids.is_empty(), "/registrant")
        }
        Request::Group(request) => {
            (request.group.reference.is_some() || !request.group.ids.is_empty(), "/group")
        }
    };
    (!named).then(|| Fault::at(pointer, Reason::RegistrantUnnamed))
}

/// How often each content was seen in each batch: the n-th of the same content is another request than the first.
#[derive(Debug, Default)]
pub(super) struct Occurrences(HashMap<[u8; 16], u32>);

impl Occurrences {
    /// Gives the request a `message_id` derived from (source, `batch_id`, canonical content, n-th occurrence): the
    /// first 32 hex digits of a SHA-256.
    pub(super) fn name(&mut self, request: &mut Request) {
        let mut hash = Sha256::new();
        let batch_id = batch_id(request).unwrap_or_default();
        for part in [source(request), batch_id] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(ContentFingerprint::of(request).0);
        let mut content = [0; 16];
        content.copy_from_slice(&hash.clone().finalize()[..16]);
        let occurrence = self.0.entry(content).or_default();
        *occurrence += 1;
        hash.update(occurrence.to_be_bytes());
        let message_id = hex::encode(&hash.finalize()[..16]);
        match request {
            Request::Enrollment(request) => request.message_id = message_id,
            Request::Update(request) => request.message_id = message_id,
            Request::Group(request) => request.message_id = message_id,
        }
    }
}
