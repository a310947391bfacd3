//! Every key, declared once: section, name, type, default, and what is allowed.

use std::{net::SocketAddr, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    checks::{
        is_claim, is_filter, is_group, is_key_url, is_kind, is_line, is_origins, is_path,
        is_prefix, is_servers, is_source, is_word,
    },
    reader::Reader,
    rule::{
        DatabaseUrl, Listen, OneOf, Properties, Props, Ratio, Rule as _, Secret, Size, Span, Text,
        Whole, Zone,
    },
    show::Entry,
};

const MS: fn(u64) -> Duration = Duration::from_millis;
const SECS: fn(u64) -> Duration = Duration::from_secs;
const DAY: u64 = 86_400;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Human,
    /// One JSON object a line.
    Json,
}

/// What the OpenG2P-compatible routes do about a program that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownProgram {
    /// The request is refused.
    Reject,
    /// The rest is done and the answer says so.
    Report,
}

/// How callers of the OpenG2P-compatible routes authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openg2pAuth {
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: Basic`.
    Basic,
}

macro_rules! sections {
    ($(
        $(#[doc = $about:literal])*
        $section:ident: $Section:ident {
            $( $(#[doc = $doc:literal])* $key:ident: $ty:ty = $default:expr, $rule:expr; )*
        }
    )*) => {
        /// Everything that can be set, checked.
        #[derive(Clone, Debug, Default)]
        pub struct Settings {
            $( $(#[doc = $about])* pub $section: $Section, )*
        }

        impl Settings {
            /// Reads every key; what is wrong stays with the reader and the default stands in.
            pub(super) fn read(reader: &mut Reader<'_>) -> Self {
                Self { $( $section: $Section::read(reader), )* }
            }

            /// Every key with its value, secrets redacted; origins are filled in by the caller.
            pub(super) fn entries(&self) -> Vec<Entry> {
                let mut entries = Vec::new();
                $( self.$section.entries(&mut entries); )*
                entries
            }
        }

        /// The full names of all keys, section by section.
        pub(super) const KEYS: &[&str] =
            &[$( $( concat!(stringify!($section), ".", stringify!($key)), )* )*];

        $(
            $(#[doc = $about])*
            #[derive(Clone, Debug)]
            pub struct $Section {
                $( $(#[doc = $doc])* pub $key: $ty, )*
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $( $key: $default, )* }
                }
            }

            impl $Section {
                fn read(reader: &mut Reader<'_>) -> Self {
                    let default = Self::default();
                    Self { $( $key: $rule.take(
                        concat!(stringify!($section), ".", stringify!($key)),
                        reader,
                        default.$key,
                    ), )* }
                }

                fn entries(&self, entries: &mut Vec<Entry>) {
                    $( $rule.entries(
                        concat!(stringify!($section), ".", stringify!($key)),
                        &self.$key,
                        entries,
                    ); )*
                }
            }
        )*
    };
}

sections! {
    /// `[kafka]`: the brokers.
    kafka: Kafka {
        /// Brokers to start from: `host:port`, several with commas.
        bootstrap_servers: String = "localhost:9092".to_owned(),
            Text(is_servers, "host:port, several with commas");
        /// The consumer group. Positions belong to it: another group means another ledger.
        group_id: String = "rollcall".to_owned(),
            Text(is_group, "1 to 249 letters, digits, dots, underscores or dashes");
        /// Properties handed to librdkafka as they are, such as `security.protocol`.
        properties: Properties = Properties::default(), Props;
    }
    /// `[topics]`: names and shape of the topics.
    topics: Topics {
        /// What every topic's name begins with.
        prefix: String = "rollcall.".to_owned(),
            Text(is_prefix, "up to 200 letters, digits, dots, underscores or dashes");
        /// Partitions of a topic that `topics apply` creates.
        partitions: i32 = 12, Whole(1, 1_000);
        /// Copies of each partition that `topics apply` asks for.
        replication_factor: i32 = 1, Whole(1, 10);
    }
    /// `[database]`: Postgres.
    database: Database {
        /// Where it is. Empty means not set; `run` and `migrate` need it.
        url: SecretString = SecretString::default(), DatabaseUrl;
        /// Connections at most.
        max_connections: u32 = 16, Whole(4, 1_000);
        /// The name of our sessions; sessions of this name may be ended by a takeover.
        application_name: String = "rollcall".to_owned(),
            Text(is_line, "1 to 63 printable ASCII characters");
        /// A statement that takes longer fails, and its batch is made smaller.
        statement_timeout: Duration = SECS(30), Span(MS(100), SECS(3600));
        /// Waiting longer for a lock fails.
        lock_timeout: Duration = SECS(20), Span(MS(100), SECS(3600));
        /// A session that idles longer in a transaction is ended by the server.
        idle_in_transaction_timeout: Duration = SECS(10), Span(MS(100), SECS(3600));
        /// Sent bytes that stay unacknowledged longer end the connection.
        tcp_user_timeout: Duration = SECS(15), Span(SECS(1), SECS(3600));
        /// A takeover, or a wait for a stream lock, that lasts longer ends the sessions in its way.
        takeover_after: Duration = SECS(10), Span(MS(100), SECS(3600));
    }
    /// `[http]`: the HTTP server.
    http: Http {
        /// Address and port; port 0 takes a free one. Loopback only, unless `[auth]` says who may come.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)), Listen;
        /// A PEM file with the server's certificate and those between it and the root; empty: no TLS.
        tls_cert: String = String::new(), Text(is_path, "a PEM file, or nothing");
        /// A PEM file with the certificate's private key.
        tls_key: String = String::new(), Text(is_path, "a PEM file, or nothing");
        /// The largest body of a request, batches aside.
        max_body: usize = MIB, Size(KIB, 256 * MIB);
        /// The largest head of a request: line and headers.
        max_header: usize = 16 * KIB, Size(8 * KIB, MIB);
        /// How long a client may take to send the head of a request, and between two requests.
        header_timeout: Duration = SECS(10), Span(MS(100), SECS(3600));
        /// How long it may take to send a body; of a batch: between two pieces of it.
        body_timeout: Duration = SECS(10), Span(MS(100), SECS(3600));
        /// How long a request may take in all, batches aside.
        request_timeout: Duration = SECS(30), Span(MS(100), SECS(3600));
        /// Requests under way; beyond it the answer is 429.
        max_requests: usize = 512, Whole(1, 100_000);
        /// Writes that wait for a transaction; beyond it the answer is 429.
        max_waiting: usize = 256, Whole(1, 100_000);
        /// Open connections; beyond it new ones wait.
        max_connections: usize = 2_048, Whole(1, 1_000_000);
        /// Origins whose pages may call, as `https://example.org`, several with commas, `*` for all; empty: none.
        cors_origins: String = String::new(),
            Text(is_origins, "origins such as https://example.org, several with commas, or * alone, or nothing");
    }
    /// `[auth]`: who may call over HTTP. Nothing set means no authentication, and loopback only.
    auth: Auth {
        /// A file with the JSON Web Key Set of the issuer; not beside `jwks_url`.
        jwks_file: String = String::new(), Text(is_path, "a file with a JSON Web Key Set, or nothing");
        /// Where the issuer serves its JSON Web Key Set; not beside `jwks_file`.
        jwks_url: String = String::new(),
            Text(is_key_url, "an https URL (http on loopback only), or nothing");
        /// The set is looked for again when a key is not in it, but no more often than this.
        jwks_refresh: Duration = SECS(30), Span(MS(10), SECS(DAY));
        /// A shared secret for HS256 tokens; for development.
        hs256_secret: SecretString = SecretString::default(), Secret;
        /// The `iss` that tokens must have; empty: any.
        issuer: String = String::new(), Text(is_word, "a text without control characters, or nothing");
        /// The `aud` that tokens must have; empty: any.
        audience: String = String::new(), Text(is_word, "a text without control characters, or nothing");
        /// The claim that says for which source the caller speaks.
        source_claim: String = "source".to_owned(), Text(is_claim, "the name of a claim");
        /// The claim that says who the caller is; it stands in the history.
        actor_claim: String = "sub".to_owned(), Text(is_claim, "the name of a claim");
        /// The claim that says what the caller may do: one text with spaces, or a list.
        scope_claim: String = "scope".to_owned(), Text(is_claim, "the name of a claim");
    }
    /// `[openg2p]`: the routes that answer as the OpenG2P module does.
    openg2p: Openg2p {
        /// What a program that nobody knows leads to: a refusal, or a note beside what was done.
        unknown_program: UnknownProgram = UnknownProgram::Reject,
            OneOf(&[("reject", UnknownProgram::Reject), ("report", UnknownProgram::Report)]);
        /// How callers say who they are: a bearer token, or a token as the password of basic authentication.
        auth: Openg2pAuth = Openg2pAuth::Bearer,
            OneOf(&[("bearer", Openg2pAuth::Bearer), ("basic", Openg2pAuth::Basic)]);
    }
    /// `[batch]`: what one transaction holds at most.
    batch: Batch {
        /// Records.
        max_records: usize = 2_000, Whole(1, 20_000);
        /// Memberships and members.
        max_items: usize = 10_000, Whole(1, 100_000);
        /// Bytes of the records' keys, values and headers.
        max_bytes: usize = 4 * MIB, Size(KIB, 256 * MIB);
        /// How long a batch that is not full waits for more; 0 means not at all.
        linger: Duration = MS(0), Span(MS(0), SECS(60));
    }
    /// `[apply]`: the lanes that apply batches.
    apply: Apply {
        /// Lanes, each with a transaction of its own.
        lanes: usize = 2, Whole(1, 16);
        /// A batch that has made no progress for longer counts as failed.
        stall_after: Duration = SECS(300), Span(SECS(1), SECS(86_400));
        /// The longest pause between two attempts in an outage.
        retry_max_delay: Duration = SECS(5), Span(MS(10), SECS(300));
    }
    /// `[consume]`: what is held between Kafka and the lanes; beyond it partitions pause.
    consume: Consume {
        /// Records.
        buffer_records: usize = 8_000, Whole(1, 1_000_000);
        /// Bytes.
        buffer_bytes: usize = 16 * MIB, Size(64 * KIB, 1 << 30);
        /// Bytes that librdkafka fetches ahead for each partition.
        fetch_queue: usize = 512 * KIB, Size(64 * KIB, 256 * MIB);
        /// A record whose value is larger becomes a dead letter of class `too_large`.
        max_record_bytes: usize = 512 * KIB, Size(KIB, 16 * MIB);
    }
    /// `[relay]`: from the outbox to Kafka.
    relay: Relay {
        /// How long the relay sleeps when nothing wakes it.
        poll_interval: Duration = MS(250), Span(MS(10), SECS(60));
        /// How long a leader that says nothing stays leader.
        lease: Duration = SECS(4), Span(SECS(1), SECS(300));
        /// Records sent and not yet acknowledged.
        max_in_flight: usize = 6_000, Whole(1, 1_000_000);
    }
    /// `[outbox]`: the tables of what is to be published.
    outbox: Outbox {
        /// Batches that share one table partition.
        partition_batches: i64 = 100_000, Whole(1, 1_000_000_000);
        /// How long published records stay.
        keep: Duration = SECS(DAY), Span(SECS(0), SECS(400 * DAY));
        /// Table partitions that stand ready ahead of the newest.
        create_ahead: usize = 2, Whole(1, 100);
    }
    /// `[parking]`: records that wait for an earlier one.
    parking: Parking {
        /// How long an update that overtook its enrollment waits for it.
        grace: Duration = SECS(60), Span(MS(0), SECS(30 * DAY));
    }
    /// `[inbox]`: what was applied.
    inbox: Inbox {
        /// How long a message id is remembered.
        retention: Duration = SECS(400 * DAY), Span(SECS(DAY), SECS(36_500 * DAY));
    }
    /// `[schemas]`: what senders write with.
    schemas: Schemas {
        /// A folder of further schema versions (`EnrollmentRequest.v2.avsc`), read at start; empty means none.
        directory: String = String::new(), Text(is_path, "a folder, or nothing");
    }
    /// `[dates]`: what a day is.
    dates: Dates {
        /// The time zone in which a time becomes a date.
        time_zone: jiff::tz::TimeZone = jiff::tz::TimeZone::UTC, Zone;
        /// How far in the future a date may lie.
        max_future: Duration = SECS(366 * DAY), Span(SECS(0), SECS(36_500 * DAY));
    }
    /// `[events]`: what is published.
    events: Events {
        /// The beginning of `ce_source`.
        source: String = "rollcall".to_owned(),
            Text(is_source, "1 to 64 letters, digits, dots, underscores, tildes or dashes");
    }
    /// `[dead_letter]`: caps; beyond them a partition stops rather than dead-letter a topic.
    dead_letter: DeadLetter {
        /// Letters in a row of one partition; 0 means no cap.
        max_consecutive: u64 = 0, Whole(0, 1_000_000_000);
        /// Share of letters among the last `ratio_window` records of a partition; 0 means no cap.
        max_ratio: f64 = 0.0, Ratio;
        /// Records that `max_ratio` looks at.
        ratio_window: u64 = 1_000, Whole(10, 1_000_000);
    }
    /// `[groups]`: groups and their members.
    groups: Groups {
        /// The kind of member that is the head, to whom a group is paid.
        head_kind: String = "Head".to_owned(),
            Text(is_kind, "1 to 255 characters, none of them a control character");
    }
    /// `[batches]`: receipts.
    batches: Batches {
        /// How long changes of a finished batch are gathered into one revision.
        revise_after: Duration = SECS(5), Span(MS(0), SECS(3600));
    }
    /// `[shutdown]`: how the worker ends.
    shutdown: Shutdown {
        /// How long an orderly end may take before it is forced.
        grace: Duration = SECS(25), Span(MS(100), SECS(3600));
    }
    /// `[log]`: lines on stderr.
    log: Log {
        /// `human` or `json`.
        format: LogFormat = LogFormat::Human,
            OneOf(&[("human", LogFormat::Human), ("json", LogFormat::Json)]);
        /// Levels by target, such as `info,rollcall::publish=debug`; `RUST_LOG` wins over it.
        filter: String = "info".to_owned(),
            Text(is_filter, "levels by target such as info or warn,rollcall=debug");
    }
}

impl Auth {
    /// Whether callers must say who they are.
    pub fn is_on(&self) -> bool {
        let texts = [&self.jwks_file, &self.jwks_url];
        texts.iter().any(|text| !text.is_empty()) || !self.hs256_secret.expose_secret().is_empty()
    }
}

impl Topics {
    /// The full name of a topic: `prefix` + `name`.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The full name of a topic that was named with or without the prefix.
    pub fn full(&self, name: &str) -> String {
        if name.starts_with(&self.prefix) { name.to_owned() } else { self.topic(name) }
    }
}
