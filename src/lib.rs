//! Rollcall: enrollments from Kafka to Postgres to events.

pub mod app;
pub mod config;
pub mod lifecycle;
pub mod telemetry;
