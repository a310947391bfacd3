//! How the worker lives and ends: tasks, signals, the order of shutdown, health, time, retries.

pub mod brokers;
pub mod clock;
pub mod health;
pub mod memory;
pub mod retry;
mod supervisor;

pub use supervisor::{Group, Lifecycle, Outcome};
