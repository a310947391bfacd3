//! `rollcall encode` and `rollcall decode`.

use super::Context;
use super::exit::{Exit, Failure, Result};
use super::output::{List, Output, push};
use crate::contract::{MessageType, Misfit, Schemas, decode_json, encode_json};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Turn messages from JSON into Avro, for trying things
///
/// Reads one JSON object a line (or a single one over several lines), every field of the schema by its name, and its
/// message as `type`. Nothing is filled in; `submit` does that. One message gives its raw bytes (Avro single object);
/// several need `--hex`, one line of hex each.
#[derive(Debug, clap::Args)]
pub(super) struct EncodeArgs {
    /// The file, or - for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
    /// The message of objects without a `type`, such as `EnrollmentRequest`
    #[arg(long = "type", value_name = "MESSAGE", value_parser = message)]
    kind: Option<MessageType>,
    /// Write hex, one message a line, instead of raw bytes
    #[arg(long)]
    hex: bool,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Turn messages from Avro into JSON, for trying things
///
/// Reads the raw bytes of one message, or hex, one message a line, of any of the seven messages; tells by the
/// fingerprint which one it is, and resolves older and newer versions. Writes one JSON object a line with its `type`:
/// what `encode` reads.
#[derive(Debug, clap::Args)]
pub(super) struct DecodeArgs {
    /// The file, or - for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
}

fn message(name: &str) -> std::result::Result<MessageType, String> {
    MessageType::parse(name).ok_or_else(|| {
        let names: Vec<_> = MessageType::ALL.iter().map(|message| message.name()).collect();
        format!("the messages are {}", names.join(", "))
    })
}

pub(super) fn encode(args: &EncodeArgs, context: &Context) -> Result<Exit> {
    let bytes = super::read_file(&args.file)?;
    let mut messages = Vec::new();
    let mut errors = Vec::new();
    for (line, object) in objects(&bytes) {
        match object.map(|object| encoded(object, args.kind)) {
            Some(Ok(message)) => messages.push(message),
            Some(Err(misfits)) => errors.extend(misfits.into_iter().map(|misfit| {
                json!({"line": line, "pointer": misfit.pointer, "code": misfit.reason.code(), "detail": misfit.detail})
            })),
            None => errors.push(json!({
                "line": line, "pointer": "", "code": "malformed-json", "detail": "it is no JSON object",
            })),
        }
    }
    if !errors.is_empty() {
        let mut message = String::from("nothing was encoded:");
        for error in &errors {
            let (line, pointer) = (&error["line"], error["pointer"].as_str().unwrap_or_default());
            let detail = error["detail"].as_str().unwrap_or_default();
            push(&mut message, format_args!("\n  line {line} {pointer}: {detail}"));
        }
        return Err(Failure {
            details: json!({"errors": errors}),
            ..Failure::no("lines-wrong", message)
        });
    }
    let hex: Vec<_> = messages.iter().map(hex::encode).collect();
    match (&args.output, messages.as_slice()) {
        (_, []) => return Err(Failure::usage("empty", "there is no message in the file")),
        (None, _) if context.output.json => {
            let items = hex.into_iter().map(|hex| json!({"hex": hex})).collect();
            context.output.answer(&List::<Value>::whole(items), String::new)?;
        }
        (_, _) if args.hex => {
            write(args.output.as_deref(), format!("{}\n", hex.join("\n")).as_bytes())?;
        }
        (_, [one]) => write(args.output.as_deref(), one)?,
        (_, _) => {
            let message = "several messages have no raw form together; add --hex, one line each";
            return Err(Failure::usage("several-messages", message));
        }
    }
    Ok(Exit::Done)
}

fn write(file: Option<&Path>, bytes: &[u8]) -> Result<()> {
    match file.filter(|file| *file != Path::new("-")) {
        None => Output::bytes(bytes),
        Some(file) => std::fs::write(file, bytes).map_err(|error| {
            Failure::usage("file", format!("{} cannot be written: {error}", file.display()))
        }),
    }
}

/// The objects of a file with their lines; none for what is no object.
fn objects(bytes: &[u8]) -> Vec<(usize, Option<Map<String, Value>>)> {
    if let Ok(object) = serde_json::from_slice(bytes) {
        return vec![(1, Some(object))];
    }
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    lines
        .filter(|(_, text)| !text.trim_ascii().is_empty())
        .map(|(line, text)| (line, serde_json::from_slice(text).ok()))
        .collect()
}

fn encoded(
    mut object: Map<String, Value>,
    default: Option<MessageType>,
) -> std::result::Result<Vec<u8>, Vec<Misfit>> {
    let given = object.remove("type");
    let kind = match &given {
        Some(name) => name.as_str().and_then(MessageType::parse),
        None => default,
    };
    let Some(kind) = kind else {
        let detail =
            "it must name the message, such as EnrollmentRequest; or give --type".to_owned();
        let reason = crate::domain::Reason::FieldInvalid;
        return Err(vec![Misfit { pointer: "/type".to_owned(), reason, detail }]);
    };
    encode_json(kind, Value::Object(object))
}

pub(super) fn decode(args: &DecodeArgs, context: &Context) -> Result<Exit> {
    let bytes = super::read_file(&args.file)?;
    let schemas = Schemas::embedded();
    let mut items = Vec::new();
    for (line, message) in messages(&bytes) {
        let item = decode_json(&schemas, &message).map_err(|unreadable| Failure {
            details: json!({
                "line": line, "class": unreadable.class.as_str(), "stage": unreadable.stage.as_str(),
                "letter_code": unreadable.code,
            }),
            ..Failure::no("undecodable", format!("message {line} cannot be read: {}", unreadable.detail))
        })?;
        items.push(item);
    }
    let list = List::whole(items);
    context
        .output
        .answer(&list, || list.items.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"))?;
    Ok(Exit::Done)
}

/// The messages of a file: lines of hex, or the raw bytes of one.
fn messages(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let lines =
        (1..).zip(bytes.split(|byte| *byte == b'\n')).map(|(line, text)| (line, text.trim_ascii()));
    let hex: Option<Vec<_>> = lines
        .filter(|(_, text)| !text.is_empty())
        .map(|(line, text)| Some((line, hex::decode(text).ok()?)))
        .collect();
    match hex {
        Some(messages) if !messages.is_empty() => messages,
        _ => vec![(1, bytes.to_vec())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_and_lines_of_hex_are_told_apart() {
        assert_eq!(messages(b"c301\n\nC302\n"), [(1, vec![0xc3, 1]), (3, vec![0xc3, 2])]);
        assert_eq!(messages(b"\xc3\x01ab\n"), [(1, b"\xc3\x01ab\n".to_vec())]);
        assert_eq!(messages(b""), [(1, Vec::new())]);
    }
}
