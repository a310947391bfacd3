//! The names of a request in a file, and those that are derived.

use super::counts::Counts;
use crate::contract::content::ContentFingerprint;
use crate::contract::decode::Request;
use crate::contract::wire::{BatchRef, RegistrantInfo};
use crate::domain::{Fault, Reason};
use sha2::{Digest as _, Sha256};
use std::io;

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

/// Fills in who acts.
pub(super) fn fill_actor(request: &mut Request, actor: &str) {
    let own = match request {
        Request::Enrollment(request) => &mut request.actor,
        Request::Update(request) => &mut request.actor,
        Request::Group(request) => &mut request.actor,
    };
    own.get_or_insert_with(|| actor.to_owned());
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

/// Registrants without any name: no server is needed to see that they will be refused.
pub(super) fn unnamed(request: &Request) -> Vec<Fault> {
    let info = |info: &RegistrantInfo| info.reference.is_some() || !info.ids.is_empty();
    let fault = |pointer: String| Fault::at(pointer, Reason::RegistrantUnnamed);
    match request {
        Request::Enrollment(request) if !info(&request.registrant) => {
            vec![fault("/registrant".to_owned())]
        }
        Request::Update(request)
            if request.registrant.reference.is_none() && request.registrant.ids.is_empty() =>
        {
            vec![fault("/registrant".to_owned())]
        }
        Request::Enrollment(_) | Request::Update(_) => Vec::new(),
        Request::Group(request) => {
            let group = (!info(&request.group)).then(|| fault("/group".to_owned()));
            let members = request.members.iter().enumerate();
            let members = members
                .filter(|(_, member)| !info(&member.individual))
                .map(|(index, _)| fault(format!("/members/{index}/individual")));
            group.into_iter().chain(members).collect()
        }
    }
}

/// How often each content was seen in each batch: the n-th of the same content is another request than the first.
#[derive(Debug, Default)]
pub(super) struct Occurrences(Counts);

impl Occurrences {
    /// Gives the request a `message_id` derived from (source, `batch_id`, canonical content, n-th occurrence): the
    /// first 32 hex digits of a SHA-256.
    pub(super) fn name(&mut self, request: &mut Request) -> io::Result<()> {
        let mut hash = Sha256::new();
        let batch_id = batch_id(request).unwrap_or_default();
        for part in [source(request), batch_id] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(ContentFingerprint::of(request).0);
        let mut content = [0; 16];
        content.copy_from_slice(&hash.clone().finalize()[..16]);
        hash.update(self.0.count(content)?.to_be_bytes());
        let message_id = hex::encode(&hash.finalize()[..16]);
        match request {
            Request::Enrollment(request) => request.message_id = message_id,
            Request::Update(request) => request.message_id = message_id,
            Request::Group(request) => request.message_id = message_id,
        }
        Ok(())
    }
}
