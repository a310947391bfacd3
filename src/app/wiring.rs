//! Settings as each module takes them: the modules do not know of each other's.

use crate::apply::{self, Caps};
use crate::config::{Error, Settings};
use crate::consume;
use crate::contract::Dates;
use crate::http;
use crate::publish::{self, PartitionSettings};
use crate::store;
use std::path::Path;
use std::time::Duration;

/// Longer than any single statement may take: after it a transaction's connection is given up.
const DEADLINE_FACTOR: u32 = 3;

pub(super) fn time_duration(duration: Duration) -> time::Duration {
    time::Duration::try_from(duration).unwrap_or(time::Duration::MAX)
}

/// How dates are meant.
pub(super) fn dates(settings: &Settings) -> Dates {
    Dates {
        time_zone: settings.dates.time_zone.clone(),
        max_future: time_duration(settings.dates.max_future),
    }
}

pub(super) fn store_options(settings: &Settings) -> store::Options {
    let database = &settings.database;
    store::Options {
        max_connections: database.max_connections,
        application_name: database.application_name.clone(),
        statement_timeout: database.statement_timeout,
        lock_timeout: database.lock_timeout,
        idle_in_transaction_timeout: database.idle_in_transaction_timeout,
        tcp_user_timeout: database.tcp_user_timeout,
    }
}

pub(super) fn apply_options(settings: &Settings, shards: u32) -> apply::Options {
    apply::Options {
        inbox_retention: time_duration(settings.inbox.retention),
        stall_after: settings.apply.stall_after,
        retry_max_delay: settings.apply.retry_max_delay,
        takeover_after: settings.database.takeover_after,
        transaction_deadline: settings.database.statement_timeout * DEADLINE_FACTOR,
        application_name: settings.database.application_name.clone(),
        head_kind: settings.groups.head_kind.clone(),
        grace: time_duration(settings.parking.grace),
        revise_after: time_duration(settings.batches.revise_after),
        shards,
        caps: caps(settings),
        max_record_bytes: settings.consume.max_record_bytes,
        max_bytes: settings.batch.max_bytes,
    }
}

fn caps(settings: &Settings) -> Caps {
    let letters = &settings.dead_letter;
    Caps {
        max_consecutive: letters.max_consecutive,
        max_ratio: letters.max_ratio,
        ratio_window: letters.ratio_window,
    }
}

pub(super) fn consume_config(settings: &Settings, owner: &str) -> consume::Config {
    consume::Config {
        bootstrap_servers: settings.kafka.bootstrap_servers.clone(),
        group_id: settings.kafka.group_id.clone(),
        properties: settings.kafka.properties.clone(),
        topics: super::topics::of_requests(settings),
        owner: owner.to_owned(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        max_records: settings.batch.max_records,
        max_items: settings.batch.max_items,
        max_bytes: settings.batch.max_bytes,
        linger: settings.batch.linger,
        buffer_records: settings.consume.buffer_records,
        buffer_bytes: settings.consume.buffer_bytes,
        fetch_queue: settings.consume.fetch_queue,
        caps: caps(settings),
        application_name: settings.database.application_name.clone(),
        takeover_after: settings.database.takeover_after,
        retry_max_delay: settings.apply.retry_max_delay,
        drain: settings.shutdown.grace.mul_f64(0.7),
    }
}

pub(super) fn relay_config(settings: &Settings, owner: &str) -> publish::Config {
    publish::Config {
        bootstrap_servers: settings.kafka.bootstrap_servers.clone(),
        properties: settings
            .kafka
            .properties
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        topic_prefix: settings.topics.prefix.clone(),
        events_source: settings.events.source.clone(),
        owner: owner.to_owned(),
        poll_interval: settings.relay.poll_interval,
        lease: settings.relay.lease,
        max_in_flight_records: settings.relay.max_in_flight,
        max_in_flight_bytes: 8 << 20,
        retry_max: settings.apply.retry_max_delay,
        stats_interval: Duration::from_secs(2),
        partitions: relay_partitions(settings),
    }
}

/// How the outbox's partitions are looked after.
pub(super) fn relay_partitions(settings: &Settings) -> PartitionSettings {
    PartitionSettings {
        batches: settings.outbox.partition_batches,
        create_ahead: settings.outbox.partition_batches * settings.outbox.create_ahead as i64,
        keep: settings.outbox.keep,
        interval: Duration::from_secs(10),
    }
}

/// What a caller over HTTP may take.
pub(super) fn http_limits(settings: &Settings) -> http::Limits {
    let limits = &settings.http;
    http::Limits {
        max_body: limits.max_body,
        max_header: limits.max_header,
        header_timeout: limits.header_timeout,
        body_timeout: limits.body_timeout,
        request_timeout: limits.request_timeout,
        max_requests: limits.max_requests,
        max_connections: limits.max_connections,
        cors_origins: limits.cors_origins.clone(),
        revise_after: time_duration(settings.batches.revise_after),
    }
}

/// What the lane of writes over HTTP takes.
pub(super) fn lane_limits(settings: &Settings) -> http::LaneLimits {
    http::LaneLimits {
        waiting: settings.http.max_waiting,
        records: settings.batch.max_records,
        items: settings.batch.max_items,
        record_bytes: settings.consume.max_record_bytes,
    }
}

/// Who may call over HTTP.
///
/// # Errors
/// When the keys' file cannot be used.
pub(super) fn http_auth(settings: &Settings) -> Result<http::Auth, Error> {
    let auth = &settings.auth;
    let options = http::AuthOptions {
        jwks_file: auth.jwks_file.clone(),
        jwks_url: auth.jwks_url.clone(),
        hs256_secret: auth.hs256_secret.clone(),
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        source_claim: auth.source_claim.clone(),
        actor_claim: auth.actor_claim.clone(),
        scope_claim: auth.scope_claim.clone(),
        refresh_at_most: auth.jwks_refresh,
    };
    let key = if auth.jwks_file.is_empty() { "auth.jwks_url" } else { "auth.jwks_file" };
    let value = if auth.jwks_file.is_empty() { &auth.jwks_url } else { &auth.jwks_file };
    http::Auth::new(options).map_err(|error| Error::of(key, value, &error))
}

/// TLS, if it is set.
///
/// # Errors
/// When a file cannot be used.
pub(super) fn http_tls(settings: &Settings) -> Result<Option<http::Tls>, Error> {
    let http = &settings.http;
    if http.tls_cert.is_empty() {
        return Ok(None);
    }
    let tls = http::tls(Path::new(&http.tls_cert), Path::new(&http.tls_key));
    tls.map(Some).map_err(|error| match error {
        http::TlsError::Certificate => Error::of("http.tls_cert", &http.tls_cert, &error),
        http::TlsError::Key | http::TlsError::Mismatch => {
            Error::of("http.tls_key", &http.tls_key, &error)
        }
    })
}
