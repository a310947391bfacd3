//! Tests against real servers: one binary, so that they share them. See `support` for where the servers come from.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test says what went wrong by failing; clippy.toml's allowance does not reach helpers"
)]

mod apply;
mod backlog;
mod batches;
mod caps;
mod commands;
mod connections;
mod crash;
mod crashes;
mod demo;
mod embedded;
mod examples;
mod groups;
mod http;
mod join;
mod letters;
mod openg2p;
mod operator;
mod outages;
mod p10;
mod parking;
mod plans;
mod privacy;
mod reads;
mod reconcile;
mod relay;
mod release;
mod rules;
mod runbook;
mod scene;
mod shutdown;
mod stage;
mod support;
mod support_works;
mod tails;
