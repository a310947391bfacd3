//! Trace ids as W3C Trace Context writes them in `traceparent`.

use std::{fmt, str::FromStr};

/// The id of a trace: 16 bytes, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span: 8 bytes, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// A `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The sender's span.
    pub parent_id: SpanId,
    /// Flags; bit 0 means sampled.
    pub flags: u8,
}

/// A `traceparent` that is not as W3C Trace Context says; it is to be ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed traceparent")]
pub struct Malformed;

impl TraceParent {
    /// Reads a header's bytes.
    ///
    /// Later versions may have more fields behind the known ones; version 00 may not.
    ///
    /// # Errors
    /// [`Malformed`]: another form, upper case, or an id of zeros.
    pub fn parse(header: &[u8]) -> Result<Self, Malformed> {
        let mut parts = header.split(|byte| *byte == b'-');
        let [version] = field(parts.next())?;
        let trace_id = TraceId(field(parts.next())?);
        let parent_id = SpanId(field(parts.next())?);
        let [flags] = field(parts.next())?;
        let has_more = parts.next().is_some();
        let is_zero = trace_id.0 == [0; 16] || parent_id.0 == [0; 8];
        if version == 0xff || (version == 0 && has_more) || is_zero {
            return Err(Malformed);
        }
        Ok(Self { trace_id, parent_id, flags })
    }

    /// Records `trace_id` and `parent_id` in a span that declares these fields as empty.
    pub fn record_in(&self, span: &tracing::Span) {
        span.record("trace_id", tracing::field::display(self.trace_id));
        span.record("parent_id", tracing::field::display(self.parent_id));
    }
}

fn field<const N: usize>(part: Option<&[u8]>) -> Result<[u8; N], Malformed> {
    let part = part.ok_or(Malformed)?;
    if part.iter().any(u8::is_ascii_uppercase) {
        return Err(Malformed);
    }
    let mut bytes = [0; N];
    match hex::decode_to_slice(part, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Malformed),
    }
}

impl FromStr for TraceParent {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

macro_rules! shown_as_hex {
    ($($id:ty),*) => { $(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )* };
}

shown_as_hex!(TraceId, SpanId);

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_good_one_goes_both_ways() {
        let parsed: TraceParent = GOOD.parse().unwrap();
        assert_eq!(parsed.to_string(), GOOD);
        assert_eq!(parsed.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parsed.parent_id.to_string(), "00f067aa0ba902b7");
        let later = GOOD.replacen("00-", "01-", 1) + "-more";
        assert!(later.parse::<TraceParent>().is_ok());
    }

    #[test]
    fn malformed_ones_are_refused() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(Malformed), "{bad}");
        }
        assert_eq!(TraceParent::parse(&[0xff; 55]), Err(Malformed));
    }
}
