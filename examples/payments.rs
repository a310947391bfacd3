//! A payment system's first program: the table of members, from nothing and kept up to date.
//!
//! ```sh
//! cargo run --example payments -- --bootstrap-servers localhost:9092 --until-end
//! ```
//!
//! It reads `membership-state` from the beginning, then `membership-events`, and prints one JSON line a membership
//! and one a partition. Without `--until-end` it goes on: a line for each change. docs/PAYMENTS.md says why each rule
//! is as it is; `payments.py` is the same program in Python.
//!
//! Here the table is in memory. A real one belongs into your database: write the rows, the number seen and the offset of the next
//! event of a partition in **one** transaction, and begin from that offset next time.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, bail};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::{AvroResult, Schema, from_value};
use clap::Parser;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Parser)]
#[command(about = "Prints the table of members that Rollcall's topics make up")]
pub(crate) struct Options {
    /// Kafka's brokers.
    #[arg(long, default_value = "localhost:9092")]
    bootstrap_servers: String,
    /// What the names of Rollcall's topics begin with.
    #[arg(long, default_value = "rollcall.")]
    prefix: String,
    /// End as soon as everything has been read that was there when the events were begun.
    #[arg(long)]
    until_end: bool,
}

/// What this program needs of a `MembershipChanged`, and prints; there are many more fields.
#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "fields are named as in the schemas")]
struct Membership {
    membership_id: String,
    version: i32,
    /// None after REMOVED.
    state: Option<String>,
    /// Whom to pay: the member, or the Head of a household. None: hold the payment, there is nobody to pay.
    payee: Option<Payee>,
}

/// The same of a `MembershipState`, which always has a state.
#[derive(Debug, Deserialize)]
struct MembershipState {
    membership_id: String,
    version: i32,
    state: String,
    payee: Option<Payee>,
}

impl From<MembershipState> for Membership {
    fn from(now: MembershipState) -> Self {
        let MembershipState { membership_id, version, state, payee } = now;
        Self { membership_id, version, state: Some(state), payee }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Payee {
    registrant_id: String,
    payment_address: Option<String>,
    disabled: bool,
}

/// A record of either topic: what it says, and under which number.
#[derive(Debug)]
struct Record {
    partition: i32,
    generation: i64,
    sequence: i64,
    membership_id: String,
    /// None: the membership was removed.
    membership: Option<Membership>,
}

/// The last that is known of a membership. A removed one keeps its row, so that a repeat of something older does not
/// bring it back.
#[derive(Debug)]
struct Row {
    sequence: i64,
    membership: Option<Membership>,
}

/// How far a partition has come.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    generation: i64,
    /// Everything up to this number is in the table.
    seen: i64,
    /// The greatest number met. Greater than `seen`: something between is still to come.
    met: i64,
}

#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<String, Row>,
    progress: BTreeMap<i32, Progress>,
}

impl Table {
    /// First phase: a record of `membership-state`.
    fn fold(&mut self, record: Record) {
        // The last record in log order says from where the events have to be counted, also if it is a repeat and its
        // number is smaller than those before it.
        let Record { generation, sequence: seen, .. } = record;
        self.progress.insert(record.partition, Progress { generation, seen, met: seen });
        self.put(record);
    }

    /// Second phase: a record of `membership-events`. Gives the membership if the table has changed.
    fn take(&mut self, record: Record) -> anyhow::Result<Option<String>> {
        let Record { generation, sequence, partition, .. } = record;
        let first = Progress { generation, ..Progress::default() };
        let progress = self.progress.entry(partition).or_insert(first);
        if generation > progress.generation {
            bail!("partition {partition}: Rollcall has lost data and was recovered; begin anew");
        }
        progress.met = progress.met.max(sequence);
        if sequence > progress.seen + 1 {
            // Something before it is still to come; then this one comes again.
            return Ok(None);
        }
        // Exactly the next one counts. A smaller number was counted before, or is in the state.
        progress.seen = progress.seen.max(sequence);
        Ok(self.put(record))
    }

    /// Keeps what has the greater number: all records of a membership are in one partition. A repeat changes nothing.
    fn put(&mut self, record: Record) -> Option<String> {
        let Record { sequence, membership_id, membership, .. } = record;
        if self.rows.get(&membership_id).is_some_and(|known| known.sequence >= sequence) {
            return None;
        }
        self.rows.insert(membership_id.clone(), Row { sequence, membership });
        Some(membership_id)
    }

    fn print(&self, out: &mut impl Write) -> anyhow::Result<()> {
        for row in self.rows.values() {
            if let Some(membership) = &row.membership {
                writeln!(out, "{}", serde_json::to_string(membership)?)?;
            }
        }
        for (partition, Progress { seen, .. }) in &self.progress {
            writeln!(out, "{}", json!({"partition": partition, "seen_up_to": seen}))?;
        }
        Ok(out.flush()?)
    }

    fn print_one(&self, out: &mut impl Write, membership_id: &str) -> anyhow::Result<()> {
        match self.rows.get(membership_id).and_then(|row| row.membership.as_ref()) {
            Some(membership) => writeln!(out, "{}", serde_json::to_string(membership)?)?,
            None => writeln!(out, "{}", json!({"membership_id": membership_id, "state": null}))?,
        }
        Ok(out.flush()?)
    }
}

/// Reads records of Rollcall's. The writer's schema is found by the fingerprint in the message, and resolved into ours:
/// when Rollcall begins to write a newer version, add its file here beside the old one, and nothing else changes.
struct Decoder {
    /// By fingerprint.
    versions: HashMap<Vec<u8>, Version>,
}

/// A schema that Rollcall may have written with, ours for the same message, and what we take of it.
struct Version {
    writer: Schema,
    ours: Schema,
    membership: Taken,
}

type Taken = fn(&Value) -> AvroResult<Membership>;

impl Decoder {
    fn new() -> anyhow::Result<Self> {
        // apache-avro's own fingerprints are not those of other libraries: schemas/README.md.
        let fingerprints: HashMap<String, String> =
            serde_json::from_str(include_str!("../schemas/fingerprints.json"))?;
        let state = |value: &Value| from_value::<MembershipState>(value).map(Membership::from);
        let known: [(&str, &str, &str, Taken); 2] = [
            ("MembershipState.v1", STATE, STATE, state),
            ("MembershipChanged.v1", EVENT, EVENT, |value| from_value(value)),
        ];
        let mut versions = HashMap::new();
        for (name, writer, ours, membership) in known {
            let fingerprint = fingerprints.get(name).context("the schema has a fingerprint")?;
            let (writer, ours) = (Schema::parse_str(writer)?, Schema::parse_str(ours)?);
            versions.insert(hex::decode(fingerprint)?, Version { writer, ours, membership });
        }
        Ok(Self { versions })
    }

    /// The record in a message. Errors say where it stands, and nothing of what it says.
    fn record(&self, message: &BorrowedMessage<'_>) -> anyhow::Result<Record> {
        let place =
            || format!("{} {} offset {}", message.topic(), message.partition(), message.offset());
        let membership_id = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let membership = match message.payload() {
            Some(value) => Some(self.membership(value).with_context(place)?),
            // On the state topic: removed.
            None => None,
        };
        Ok(Record {
            partition: message.partition(),
            generation: number(message, "ce_generation").with_context(place)?,
            sequence: number(message, "ce_sequence").with_context(place)?,
            membership_id: membership_id.with_context(place)?.to_owned(),
            // On the events topic REMOVED says so.
            membership: membership.filter(|membership| membership.state.is_some()),
        })
    }

    fn membership(&self, value: &[u8]) -> anyhow::Result<Membership> {
        let Some((&[0xC3, 0x01, ref fingerprint @ ..], mut body)) = value.split_first_chunk::<10>()
        else {
            bail!("no Avro single-object encoding");
        };
        let Some(version) = self.versions.get(&fingerprint[..]) else {
            bail!("schema {} is not known here: add it from schemas/", hex::encode(fingerprint));
        };
        let reader = GenericDatumReader::builder(&version.writer).reader_schema(&version.ours);
        let value = reader.build()?.read_value(&mut body);
        let read = value.and_then(|value| (version.membership)(&value));
        // The library's own words may hold values of persons.
        read.ok().context("the value does not follow its schema")
    }
}

const STATE: &str = include_str!("../schemas/MembershipState.v1.avsc");
const EVENT: &str = include_str!("../schemas/MembershipChanged.v1.avsc");

/// A number in the headers.
fn number(message: &BorrowedMessage<'_>, name: &str) -> Option<i64> {
    let headers = message.headers()?;
    let value = headers.iter().find(|header| header.key == name)?.value?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Two topics, read whole partition by partition.
struct Reader {
    consumer: BaseConsumer,
    decoder: Decoder,
}

impl Reader {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &options.bootstrap_servers)
            // Partitions are assigned by hand and no offset is committed: the group is a name that has to be there.
            .set("group.id", "payments-example")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true");
        Ok(Self { consumer: client.create()?, decoder: Decoder::new()? })
    }

    /// Begins all partitions of a topic from the start; gives the offsets where they end now.
    fn begin(&self, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ASK)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let (mut ends, mut assignment) = (BTreeMap::new(), TopicPartitionList::new());
        for partition in found.into_iter().flat_map(MetadataTopic::partitions) {
            let (_, end) = self.consumer.fetch_watermarks(topic, partition.id(), ASK)?;
            ends.insert(partition.id(), end);
            assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
        if ends.is_empty() {
            bail!("the topic {topic} does not exist");
        }
        self.consumer.assign(&assignment)?;
        Ok(ends)
    }

    /// Gives what comes next to `each`, until every partition has come to the end noted in `ends`. Partitions that
    /// have, go on meanwhile: to have read further is as good as to have noted a later end.
    fn read(
        &self,
        mut ends: BTreeMap<i32, i64>,
        mut each: impl FnMut(Record) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while !ends.is_empty() {
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    each(self.decoder.record(&message)?)?;
                    let next = message.offset() + 1;
                    ends.retain(|partition, end| *partition != message.partition() || next < *end);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ends.remove(&partition);
                }
                Some(Err(error)) => only_an_outage(error)?,
            }
        }
        Ok(())
    }

    /// Gives whatever comes to `each`, for ever.
    fn follow(&self, mut each: impl FnMut(Record) -> anyhow::Result<()>) -> anyhow::Result<()> {
        loop {
            match self.consumer.poll(POLL) {
                None | Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Ok(message)) => each(self.decoder.record(&message)?)?,
                Some(Err(error)) => only_an_outage(error)?,
            }
        }
    }
}

/// In an outage librdkafka goes on by itself as soon as it can.
fn only_an_outage(error: KafkaError) -> anyhow::Result<()> {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut,
        ) => Ok(()),
        _ => Err(error.into()),
    }
}

const ASK: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

fn main() -> anyhow::Result<()> {
    run(&Options::parse(), &mut std::io::stdout().lock())
}

pub(crate) fn run(options: &Options, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = Table::default();
    let reader = Reader::new(options)?;

    // First phase: what is. A state for each membership, often the last one only.
    let ends = reader.begin(&format!("{}membership-state", options.prefix))?;
    reader.read(ends, |record| {
        table.fold(record);
        Ok(())
    })?;

    // Second phase: what came since, counted. All events that are still kept are read: those before the count begins
    // mend what a repeat in the state topic may have covered.
    let ends = reader.begin(&format!("{}membership-events", options.prefix))?;
    reader.read(ends, |record| table.take(record).map(drop))?;
    table.print(out)?;
    if !options.until_end {
        return reader.follow(|record| match table.take(record)? {
            Some(membership_id) => table.print_one(out, &membership_id),
            None => Ok(()),
        });
    }
    for (partition, progress) in &table.progress {
        if progress.met > progress.seen {
            bail!("partition {partition}: the number after {} is not there yet", progress.seen);
        }
    }
    Ok(())
}
