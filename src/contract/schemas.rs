//! The schemas: every published version, known by its CRC-64-AVRO fingerprint.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The kinds of message of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the message of its name")]
pub enum MessageType {
    EnrollmentRequest,
    MembershipUpdateRequest,
    GroupMembershipRequest,
    RequestResult,
    MembershipChanged,
    MembershipState,
    BatchReceipt,
}

impl MessageType {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 7] = [
        Self::EnrollmentRequest,
        Self::MembershipUpdateRequest,
        Self::GroupMembershipRequest,
        Self::RequestResult,
        Self::MembershipChanged,
        Self::MembershipState,
        Self::BatchReceipt,
    ];

    /// The name of its record in the schemas.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EnrollmentRequest => "EnrollmentRequest",
            Self::MembershipUpdateRequest => "MembershipUpdateRequest",
            Self::GroupMembershipRequest => "GroupMembershipRequest",
            Self::RequestResult => "RequestResult",
            Self::MembershipChanged => "MembershipChanged",
            Self::MembershipState => "MembershipState",
            Self::BatchReceipt => "BatchReceipt",
        }
    }

    /// The type whose record has this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|message| message.name() == name)
    }

    /// Whether senders may send it.
    pub const fn is_request(self) -> bool {
        matches!(
            self,
            Self::EnrollmentRequest | Self::MembershipUpdateRequest | Self::GroupMembershipRequest
        )
    }

    const fn text(self) -> &'static str {
        match self {
            Self::EnrollmentRequest => include_str!("../../schemas/EnrollmentRequest.v1.avsc"),
            Self::MembershipUpdateRequest => {
                include_str!("../../schemas/MembershipUpdateRequest.v1.avsc")
            }
            Self::GroupMembershipRequest => {
                include_str!("../../schemas/GroupMembershipRequest.v1.avsc")
            }
            Self::RequestResult => include_str!("../../schemas/RequestResult.v1.avsc"),
            Self::MembershipChanged => include_str!("../../schemas/MembershipChanged.v1.avsc"),
            Self::MembershipState => include_str!("../../schemas/MembershipState.v1.avsc"),
            Self::BatchReceipt => include_str!("../../schemas/BatchReceipt.v1.avsc"),
        }
    }
}

/// CRC-64-AVRO of a schema's canonical form, as it stands in the single-object header (little-endian).
pub type Fingerprint = [u8; 8];

/// What a header of single-object encoding begins with.
pub(crate) const MAGIC: [u8; 2] = [0xC3, 0x01];

/// The greatest allocation that decoding one value may ask for; set before the first decode.
const MAX_ALLOCATION_BYTES: usize = 2 * 1024 * 1024;

/// One published version of one message.
#[derive(Debug)]
pub struct Version {
    /// Which message.
    pub message: MessageType,
    /// 1, 2, 3 …; versions added from a directory take the number in the file's name.
    pub number: u32,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    pub(super) schema: &'static Schema,
}

/// What Rollcall itself reads and writes a message with.
pub(super) struct Current {
    pub(super) header: [u8; 10],
    pub(super) schema: &'static Schema,
    pub(super) reader: GenericDatumReader<'static>,
    pub(super) writer: GenericDatumWriter<'static>,
}

/// A schema that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is no Avro schema, or not one of a message of the contract.
    #[error("schema {file}: {problem}")]
    Unusable {
        /// The file's name.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
}

static CURRENT: LazyLock<Result<HashMap<MessageType, Current>, String>> = LazyLock::new(|| {
    apache_avro::util::max_allocation_bytes(MAX_ALLOCATION_BYTES);
    MessageType::ALL
        .into_iter()
        .map(|message| {
            let schema: &'static Schema = Box::leak(Box::new(
                Schema::parse_str(message.text()).map_err(|error| error.to_string())?,
            ));
            let current = Current {
                header: header(fingerprint(schema)),
                schema,
                reader: GenericDatumReader::builder(schema)
                    .human_readable(false)
                    .build()
                    .map_err(|error| error.to_string())?,
                writer: GenericDatumWriter::builder(schema)
                    .human_readable(false)
                    .build()
                    .map_err(|error| error.to_string())?,
            };
            Ok((message, current))
        })
        .collect()
});

/// The embedded version of a message.
#[expect(clippy::panic, reason = "the schemas are part of the binary; a test parses every one")]
pub(super) fn current(message: MessageType) -> &'static Current {
    match CURRENT.as_ref().map(|all| all.get(&message)) {
        Ok(Some(current)) => current,
        Ok(None) => panic!("no schema is embedded for {}", message.name()),
        Err(problem) => panic!("the embedded schema of {} is broken: {problem}", message.name()),
    }
}

/// The schema text that the binary embeds for a message.
pub const fn embedded_text(message: MessageType) -> &'static str {
    message.text()
}

/// CRC-64-AVRO of the schema's parsing canonical form.
///
/// apache-avro 0.22 writes a type with a logical type as `{"type":"long"}` there, where the specification (and every
/// other implementation) has `"long"`; its fingerprints are those of nobody else, so they are not used.
pub(super) fn fingerprint(schema: &Schema) -> Fingerprint {
    const PRIMITIVES: [&str; 7] = ["boolean", "int", "long", "float", "double", "bytes", "string"];
    let form = PRIMITIVES.into_iter().fold(schema.canonical_form(), |form, primitive| {
        form.replace(&format!(r#"{{"type":"{primitive}"}}"#), &format!(r#""{primitive}""#))
    });
    crc64(form.as_bytes())
}

/// What apache-avro 0.22 itself takes for the fingerprint: a sender that uses it writes this into its headers.
fn apache_avro_fingerprint(schema: &Schema) -> Fingerprint {
    crc64(schema.canonical_form().as_bytes())
}

/// CRC-64-AVRO as the Avro specification defines it, in the byte order of the single-object header.
fn crc64(bytes: &[u8]) -> Fingerprint {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    let crc = bytes.iter().fold(EMPTY, |crc, byte| {
        (0..8)
            .fold(crc ^ u64::from(*byte), |crc, _| (crc >> 1) ^ (EMPTY & (crc & 1).wrapping_neg()))
    });
    crc.to_le_bytes()
}

fn header(fingerprint: Fingerprint) -> [u8; 10] {
    let mut header = [0; 10];
    header[..2].copy_from_slice(&MAGIC);
    header[2..].copy_from_slice(&fingerprint);
    header
}

/// Every version of every message that can be read.
#[derive(Debug)]
pub struct Schemas {
    versions: HashMap<Fingerprint, Version>,
    /// Fingerprints that senders with apache-avro 0.22 write, and the right ones.
    aliases: HashMap<Fingerprint, Fingerprint>,
}

impl Schemas {
    /// The versions that the binary embeds.
    pub fn embedded() -> Self {
        let mut schemas = Self { versions: HashMap::new(), aliases: HashMap::new() };
        for message in MessageType::ALL {
            schemas.insert(message, 1, current(message).schema);
        }
        schemas
    }

    fn insert(
        &mut self,
        message: MessageType,
        number: u32,
        schema: &'static Schema,
    ) -> Fingerprint {
        let fingerprint = fingerprint(schema);
        self.aliases.insert(apache_avro_fingerprint(schema), fingerprint);
        self.versions.entry(fingerprint).or_insert(Version {
            message,
            number,
            fingerprint,
            schema,
        });
        fingerprint
    }

    /// Adds a version that senders write with, such as the content of `EnrollmentRequest.v2.avsc`.
    ///
    /// # Errors
    /// When it is no Avro schema of a message of the contract, or the message cannot be read from it.
    pub fn add(&mut self, file: &str, text: &str) -> Result<Fingerprint, SchemaError> {
        let unusable = |problem: String| SchemaError::Unusable { file: file.to_owned(), problem };
        let schema = Schema::parse_str(text).map_err(|error| unusable(error.to_string()))?;
        let name = schema.name().map(|name| name.name().to_owned()).unwrap_or_default();
        let message = MessageType::parse(&name)
            .ok_or_else(|| unusable(format!("`{name}` is no message of the contract")))?;
        apache_avro::schema_compatibility::SchemaCompatibility::can_read(
            &schema,
            current(message).schema,
        )
        .map_err(|error| unusable(format!("{name} cannot be read from it: {error}")))?;
        let number =
            file.split('.').find_map(|part| part.strip_prefix('v')?.parse().ok()).unwrap_or(0);
        Ok(self.insert(message, number, Box::leak(Box::new(schema))))
    }

    /// The version with this fingerprint.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "callers have it as a slice of a header")]
    pub fn version(&self, fingerprint: &Fingerprint) -> Option<&Version> {
        self.versions.get(fingerprint).or_else(|| self.versions.get(self.aliases.get(fingerprint)?))
    }

    /// All versions, by message and number.
    pub fn versions(&self) -> Vec<&Version> {
        let mut versions: Vec<_> = self.versions.values().collect();
        versions.sort_by_key(|version| (version.message, version.number));
        versions
    }
}
