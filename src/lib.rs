#![doc = include_str!("../docs/ARCHITECTURE.md")]

pub mod app;
pub mod apply;
pub mod cli;
pub mod config;
pub mod consume;
pub mod contract;
pub mod dead_letter;
pub mod domain;
pub mod http;
pub mod lifecycle;
pub mod publish;
pub mod store;
pub mod telemetry;

#[cfg(test)]
mod arrows;
