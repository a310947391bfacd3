//! Throwaway servers for the demo and the tests: a Postgres and a mock Kafka.
//!
//! Both live as long as their owner. They listen on 127.0.0.1 at ports that the system gives, and leave nothing behind:
//! not after an error, and, for Postgres, not after a `kill -9` of the owner either.
//! They are not for keeping data: nothing here backs anything up.

mod account;
mod admin;
mod download;
mod error;
mod kafka;
mod postgres;
mod programs;
mod server;

pub use admin::{drop_database_blocking, with_database};
pub use error::Error;
pub use kafka::MockKafka;
pub use postgres::{Durability, Options, Postgres};
