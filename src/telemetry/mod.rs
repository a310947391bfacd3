//! Logs, metrics and trace ids. Nothing of a person goes through here (P9).

mod logs;
pub mod metrics;
mod redacted;
mod trace;

pub use logs::{Format, InitError, init};
pub use redacted::Redacted;
pub use trace::{Malformed, SpanId, TraceId, TraceParent};
