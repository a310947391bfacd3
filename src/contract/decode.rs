//! Bytes to message: framing, schema, resolution.
#![expect(
    clippy::map_err_ignore,
    reason = "apache-avro's errors print values (P9): none of them may travel on"
)]

use super::encode::{Message, Unfit};
use super::schemas::{MAGIC, MessageType, Schemas, Version, current};
use super::wire::{EnrollmentRequest, GroupMembershipRequest, MembershipUpdateRequest};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::de::DeserializeOwned;

/// A request as its sender said it; nothing but its shape has been checked.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// `EnrollmentRequest`
    Enrollment(Box<EnrollmentRequest>),
    /// `MembershipUpdateRequest`
    Update(Box<MembershipUpdateRequest>),
    /// `GroupMembershipRequest`
    Group(Box<GroupMembershipRequest>),
}

impl std::fmt::Debug for Request {
    /// P9: only what is no value of a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Enrollment(_) => "EnrollmentRequest",
            Self::Update(_) => "MembershipUpdateRequest",
            Self::Group(_) => "GroupMembershipRequest",
        })
    }
}

/// What a letter says went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable {
    /// `undecodable`, `unknown_schema`, `empty_payload`, `too_large`.
    pub class: LetterClass,
    /// Where on its way.
    pub stage: LetterStage,
    /// Stable code within class and stage.
    pub code: &'static str,
    /// In words, without anything of the record.
    pub detail: &'static str,
}

/// The classes of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the symbols are the words of the contract")]
pub enum LetterClass {
    Undecodable,
    UnknownSchema,
    EmptyPayload,
    TooLarge,
    Failed,
    Skipped,
}

impl LetterClass {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Undecodable,
        Self::UnknownSchema,
        Self::EmptyPayload,
        Self::TooLarge,
        Self::Failed,
        Self::Skipped,
    ];

    /// The word in tables, headers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::UnknownSchema => "unknown_schema",
            Self::EmptyPayload => "empty_payload",
            Self::TooLarge => "too_large",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The steps of intake at which a letter can arise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the symbols are the words of the contract")]
pub enum LetterStage {
    Frame,
    Schema,
    Decode,
    Apply,
}

impl LetterStage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Frame, Self::Schema, Self::Decode, Self::Apply];

    /// The word in tables, headers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Schema => "schema",
            Self::Decode => "decode",
            Self::Apply => "apply",
        }
    }
}

const fn frame(class: LetterClass, code: &'static str, detail: &'static str) -> Unreadable {
    Unreadable { class, stage: LetterStage::Frame, code, detail }
}

const EMPTY: Unreadable = frame(
    LetterClass::EmptyPayload,
    "empty_payload",
    "the record has no value; a request topic knows no tombstones",
);
const TOO_LARGE: Unreadable = frame(
    LetterClass::TooLarge,
    "too_large",
    "the value is larger than consume.max_record_bytes; send smaller requests",
);
const UNKNOWN_MAGIC: Unreadable = frame(
    LetterClass::Undecodable,
    "unknown_magic",
    "the value does not begin with C3 01, so it is no Avro single-object encoding",
);
const SHORT_HEADER: Unreadable = frame(
    LetterClass::Undecodable,
    "short_header",
    "the value ends within the 10 bytes of the single-object header",
);
const UNKNOWN_FINGERPRINT: Unreadable = Unreadable {
    class: LetterClass::UnknownSchema,
    stage: LetterStage::Schema,
    code: "unknown_fingerprint",
    detail: "no known schema has this fingerprint; add the schema, restart the worker and replay the letter",
};
const NO_REQUEST: Unreadable = Unreadable {
    class: LetterClass::UnknownSchema,
    stage: LetterStage::Schema,
    code: "not_a_request",
    detail: "the schema is known, but not one of a request",
};
pub(super) const INVALID: Unreadable = Unreadable {
    class: LetterClass::Undecodable,
    stage: LetterStage::Decode,
    code: "invalid_avro",
    detail: "the bytes do not follow the schema that their fingerprint names: truncated or damaged",
};
const TRAILING: Unreadable = Unreadable {
    class: LetterClass::Undecodable,
    stage: LetterStage::Decode,
    code: "trailing_bytes",
    detail: "bytes follow the end of the Avro value",
};

impl Schemas {
    /// Decodes a request. A record written with another version of the schema is resolved to ours, never decoded
    /// with the latest.
    ///
    /// # Errors
    /// What a dead letter says of the record.
    pub fn decode(&self, value: Option<&[u8]>, max_bytes: usize) -> Result<Request, Unreadable> {
        let bytes = value.filter(|bytes| !bytes.is_empty()).ok_or(EMPTY)?;
        if bytes.len() > max_bytes {
            return Err(TOO_LARGE);
        }
        if !bytes.starts_with(&MAGIC[..bytes.len().min(2)]) {
            return Err(UNKNOWN_MAGIC);
        }
        let (header, body) = bytes.split_first_chunk::<10>().ok_or(SHORT_HEADER)?;
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&header[2..]);
        let version = self.version(&fingerprint).ok_or(UNKNOWN_FINGERPRINT)?;
        Ok(match version.message {
            MessageType::EnrollmentRequest => Request::Enrollment(Box::new(read(version, body)?)),
            MessageType::MembershipUpdateRequest => Request::Update(Box::new(read(version, body)?)),
            MessageType::GroupMembershipRequest => Request::Group(Box::new(read(version, body)?)),
            MessageType::RequestResult
            | MessageType::MembershipChanged
            | MessageType::MembershipState
            | MessageType::BatchReceipt => return Err(NO_REQUEST),
        })
    }
}

impl Schemas {
    /// Decodes a message that Rollcall itself has stored, maybe by an earlier release with another version of the schema.
    ///
    /// # Errors
    /// When no known version of the message was used.
    pub fn decode_stored<T: Message>(&self, bytes: &[u8]) -> Result<T, Unfit> {
        let unfit = Unfit(T::TYPE);
        let fingerprint = named_fingerprint(bytes).ok_or(unfit)?;
        let version = self.version(&fingerprint).filter(|version| version.message == T::TYPE);
        let (_, body) = bytes.split_first_chunk::<10>().ok_or(unfit)?;
        read(version.ok_or(unfit)?, body).map_err(|_| unfit)
    }
}

/// The fingerprint that a value's header names, for the letter of a record that could not be read.
pub fn named_fingerprint(value: &[u8]) -> Option<[u8; 8]> {
    let (header, _) = value.split_first_chunk::<10>()?;
    header.starts_with(&MAGIC).then(|| {
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&header[2..]);
        fingerprint
    })
}

/// Reads a value written with `version`. The same version goes straight into the type; another one is resolved to
/// ours by apache-avro and encoded again, so that there is one way from bytes to type.
fn read<T: DeserializeOwned>(version: &Version, body: &[u8]) -> Result<T, Unreadable> {
    let ours = current(version.message);
    if std::ptr::eq(version.schema, ours.schema) {
        return read_exactly(&ours.reader, body);
    }
    let resolved = resolve(version, body)?;
    read_exactly(&ours.reader, &resolved)
}

fn read_exactly<T: DeserializeOwned>(
    reader: &GenericDatumReader<'static>,
    mut body: &[u8],
) -> Result<T, Unreadable> {
    // apache-avro's errors print values (P9): the code must do.
    let value = reader.read_deser(&mut body).map_err(|_| INVALID)?;
    if body.is_empty() { Ok(value) } else { Err(TRAILING) }
}

fn resolve(version: &Version, mut body: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let ours = current(version.message).schema;
    let value = GenericDatumReader::builder(version.schema)
        .reader_schema(ours)
        .build()
        .and_then(|reader| reader.read_value(&mut body))
        .map_err(|_| INVALID)?;
    if !body.is_empty() {
        return Err(TRAILING);
    }
    GenericDatumWriter::builder(ours)
        .build()
        .and_then(|writer| writer.write_value_to_vec(value))
        .map_err(|_| INVALID)
}
