//! A body's JSON, with what is wrong in it or unknown.

use super::fault::{Fault, codes};
use serde::de::DeserializeOwned;

/// Unknown fields that an answer names at most.
const MAX_IGNORED: usize = 100;

/// The body, and JSON Pointers to the fields that nobody here knows: that module leaves them out, so they are no error.
pub(super) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Vec<String>), Fault> {
    let mut ignored = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let parsed = serde_ignored::deserialize(tracked, |path| {
        if ignored.len() < MAX_IGNORED {
            ignored.push(pointer(&path));
        }
    });
    let wrong = |what: String| Fault::new(codes::BODY, what);
    let parsed = parsed.map_err(|error: serde_json::Error| {
        // serde's words may repeat values (P9): the place says enough.
        match error.classify() {
            serde_json::error::Category::Data => {
                let path = track.path().to_string();
                let missing = error.to_string().starts_with("missing field");
                let what =
                    if missing { "a field is missing in it" } else { "it does not fit the field" };
                wrong(format!("{}: {what}.", if path == "." { "body".to_owned() } else { path }))
            }
            _ => {
                wrong(format!("It is no JSON, at line {} column {}.", error.line(), error.column()))
            }
        }
    })?;
    reader.end().map_err(|_error| wrong("Something follows the JSON.".to_owned()))?;
    Ok((parsed, ignored))
}

fn pointer(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", pointer(parent)),
        Path::Map { parent, key } => {
            format!("{}/{}", pointer(parent), key.replace('~', "~0").replace('/', "~1"))
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => pointer(parent),
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::Group;
    use super::*;

    #[test]
    fn unknown_fields_are_named_and_wrong_ones_refused() {
        let text = r#"{"name": "H", "bank_ids": [1], "members": [{"name": "M", "a/b": {"c": 1}}]}"#;
        let (_, ignored) = parsed::<Group>(text.as_bytes()).unwrap();
        assert_eq!(ignored, ["/bank_ids", "/members/0/a~1b"]);
        for (text, description) in [
            (r#"{"name": "H"}"#, "body: a field is missing in it."),
            (
                r#"{"name": "H", "members": [{"name": 7}]}"#,
                "members[0].name: it does not fit the field.",
            ),
            (r#"{"name": "H", "members": []"#, "It is no JSON, at line 1 column 27."),
            (r#"{"name": "H", "members": []} x"#, "Something follows the JSON."),
        ] {
            let fault = parsed::<Group>(text.as_bytes()).unwrap_err();
            assert_eq!((&*fault.code, &*fault.description), ("ROLLCALL-REQ-001", description));
        }
    }
}
