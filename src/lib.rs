//! Rollcall: enrollments from Kafka to Postgres to events.

pub mod apply;
pub mod config;
pub mod consume;
pub mod contract;
pub mod domain;
pub mod lifecycle;
pub mod store;
pub mod telemetry;
