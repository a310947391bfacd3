//! The contract with the outside: Avro bytes and plain JSON to commands, decisions to bytes.

mod content;
mod decode;
mod encode;
mod evolution;
mod intake;
mod json;
mod limits;
pub mod lines;
mod partial;
mod publish;
mod schemas;
mod shard;
#[cfg(test)]
mod tests;
pub mod wire;

/// Reasons and states, for those who tell them to callers.
pub use crate::domain::{Reason, State};
pub use content::{ALGORITHM, Content, ContentFingerprint};
pub use decode::{LetterClass, LetterStage, Request, Unreadable, named_fingerprint};
pub use encode::{Message, Unfit, decode_own, encode};
pub use evolution::objections;
pub use intake::{Identity, Intake, Refused, take};
pub use json::{Misfit, checked_request, decode_json, encode_json, misfits, request_from_json};
pub use limits::{Dates, SOURCE_FORM, command, faults, is_source, is_text, is_token};
pub use partial::{Partly, decode_partly};
pub use publish::{Provenance, change, dead_lettered, published_status, refused, result, state};
pub use schemas::{Fingerprint, MessageType, SchemaError, Schemas, Version, embedded_text};
pub use shard::{murmur2, shard};
