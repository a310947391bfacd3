//! Rollcall: enrollments from Kafka to Postgres to events.

pub mod app;
pub mod cli;
pub mod config;
pub mod contract;
pub mod domain;
pub mod lifecycle;
pub mod store;
pub mod telemetry;
