//! Tests against real servers: one binary, so that they share them. See `support` for where the servers come from.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test says what went wrong by failing; clippy.toml's allowance does not reach helpers"
)]

mod apply;
mod crash;
mod embedded;
mod join;
mod load;
mod p10;
mod relay;
mod scene;
mod support;
mod support_works;
mod world;
