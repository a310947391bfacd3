//! Rollcall: enrollments from Kafka to Postgres to events.

pub mod config;
pub mod contract;
pub mod domain;
pub mod lifecycle;
pub mod telemetry;

#[cfg(test)]
mod arrows;
