//! What a letter's code means, and what to do about it.

/// A letter's reason, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What went wrong.
    pub meaning: &'static str,
    /// What to do about it.
    pub what_to_do: &'static str,
}

impl Advice {
    /// Of the letters of this class and code.
    pub fn of(class: &str, code: &str) -> Self {
        let (meaning, what_to_do) = match (class, code) {
            ("unknown_schema", "not_a_request") => (
                "The bytes are a message of the contract, but none that is sent to a request topic.",
                "Tell the sender: it sends to the wrong topic. Then discard the letter.",
            ),
            ("unknown_schema", _) => (
                "The bytes name a schema that this worker does not know: it was used before it was put here.",
                "Put the schema into schemas.directory, restart the workers, then preflight and replay the group.",
            ),
            ("empty_payload", _) => (
                "The record has no value. A request topic knows no tombstones.",
                "Tell the sender, who may send the request again. Then discard the letter.",
            ),
            ("too_large", _) => (
                "The value is larger than consume.max_record_bytes.",
                "Raise the setting and replay, or have the sender split the request and discard the letter.",
            ),
            (_, "unknown_magic") => (
                "The value does not begin with C3 01: it is no Avro single-object encoding.",
                "Tell the sender how requests are encoded (`rollcall encode` shows it), then discard the letter.",
            ),
            (_, "short_header") => (
                "The value ends within the 10 bytes with which every request begins.",
                "Tell the sender: the value is cut off. Have it sent again; that closes the letter if its headers say \
                 which request it is, else discard it.",
            ),
            (_, "trailing_bytes") => (
                "Bytes follow the end of the request.",
                "Tell the sender: its encoder writes too much. Have it sent again, or discard the letter.",
            ),
            (_, "invalid_avro") => (
                "The bytes do not follow the schema that they name: truncated, damaged, or written with another one.",
                "Tell the sender. Have it sent again; that closes the letter if its headers say which request it is, \
                 else discard it.",
            ),
            (_, "panicked") => (
                "The program failed while it looked at the record.",
                "Report it with the letter, and replay it with the release that mends it.",
            ),
            (_, "crashed") => (
                "The process died, or was killed, three times while it worked on the record.",
                "Report it with the letter, and replay it with the release that mends it: what makes the process die makes \
                 the command die that replays it.",
            ),
            ("failed", _) => (
                "The request fails whenever it is applied, while other requests are applied: a fault of the program or \
                 of the database. The log of that time has the SQLSTATE. Later requests of the same registrant wait \
                 for it.",
                "Remove the cause, then preflight and replay it; discard it to let those behind it go on without it.",
            ),
            ("skipped", _) => (
                "An operator had the record passed over, so that its partition could go on.",
                "Replay it when the cause is removed, or discard it.",
            ),
            _ => ("The record could not be processed.", "Look at it, then replay or discard it."),
        };
        Self { meaning, what_to_do }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::LetterClass;

    #[test]
    fn every_class_has_words_of_its_own() {
        let mut seen: Vec<_> =
            LetterClass::ALL.iter().map(|class| Advice::of(class.as_str(), "").meaning).collect();
        // What is undecodable is told by its code.
        seen.retain(|meaning| *meaning != Advice::of("undecodable", "").meaning);
        assert_eq!(seen.len(), LetterClass::ALL.len() - 1);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), LetterClass::ALL.len() - 1);
        for code in [
            "unknown_magic",
            "short_header",
            "trailing_bytes",
            "invalid_avro",
            "panicked",
            "crashed",
        ] {
            assert_ne!(Advice::of("undecodable", code), Advice::of("undecodable", ""), "{code}");
        }
    }
}
