//! JSON as a type has it, with all that does not fit: serde ends at the first fault, so what is at fault is made to fit and
//! the rest looked at again.

use crate::contract::Reason;
use crate::http::problem::{Flaw, Problem};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::Segment;

/// Faults that are looked for at most.
const MOST: usize = 100;

/// What a body says, made to fit where it does not, and all in which it does not.
#[derive(Debug)]
pub(in crate::http) struct Mended<T> {
    /// None if nothing can be made of it.
    said: Option<T>,
    flaws: Vec<Flaw>,
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Element(usize),
    Unknown,
}

/// What is wrong, and where.
struct Fault {
    place: Vec<Step>,
    kind: Kind,
    /// What the field could be, if it is one of few words.
    word: Option<String>,
    /// What it must be, in serde's words.
    expected: Option<String>,
}

#[derive(PartialEq, Eq)]
enum Kind {
    UnknownField,
    MissingField,
    Misfit,
}

impl<T: DeserializeOwned> Mended<T> {
    /// Of a value.
    pub(in crate::http) fn of(mut value: Value) -> Self {
        let mut flaws = Vec::new();
        let mut mended: Vec<Vec<Step>> = Vec::new();
        loop {
            let fault = match read::<T>(&value) {
                Ok(said) => return Self { said: Some(said), flaws },
                Err(fault) => fault,
            };
            // What stands in for a misfit may lack something of its own.
            if !mended.iter().any(|place| fault.place.starts_with(place)) {
                flaws.push(fault.flaw());
            }
            if mended.len() == MOST || !mend::<T>(&mut value, &fault) {
                return Self { said: None, flaws };
            }
            mended.push(fault.place);
        }
    }

    /// What it says, if it fits and breaks no rule; `broken` names the rules that one breaks.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(in crate::http) fn checked(
        self,
        broken: impl FnOnce(&T) -> Vec<Flaw>,
    ) -> Result<T, Problem> {
        let Self { said, mut flaws } = self;
        // What stands in for a misfit may break a rule of its own.
        let is_new = |flaw: &Flaw| !flaws.iter().any(|known| known.pointer == flaw.pointer);
        let more: Vec<_> = said.as_ref().map(broken).into_iter().flatten().filter(is_new).collect();
        flaws.extend(more);
        match said {
            Some(said) if flaws.is_empty() => Ok(said),
            _ => Err(Problem::misfit(flaws)),
        }
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut place: Vec<_> = error.path().iter().map(step).collect();
        // serde's words repeat values; what they begin with does not, and neither do names of fields and variants.
        let words = error.inner().to_string();
        let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
        let kind = if words.starts_with("unknown field") {
            Kind::UnknownField
        } else if words.starts_with("missing field") {
            place.push(quoted(&words).map_or(Step::Unknown, Step::Field));
            Kind::MissingField
        } else {
            Kind::Misfit
        };
        let variants =
            words.strip_prefix("unknown variant").and_then(|_| words.rsplit_once("expected"));
        let word = variants.and_then(|(_, variants)| quoted(variants));
        // The last of these words is serde's: what comes before may be the caller's.
        let expected = words.rsplit_once(", expected ").map(|(_, expected)| expected.to_owned());
        Fault { place, kind, word, expected }
    })
}

fn step(segment: &Segment) -> Step {
    match segment {
        Segment::Seq { index } => Step::Element(*index),
        Segment::Map { key } | Segment::Enum { variant: key } => Step::Field(key.clone()),
        Segment::Unknown => Step::Unknown,
    }
}

impl Fault {
    fn flaw(&self) -> Flaw {
        let (reason, detail) = match (&self.kind, &self.expected) {
            (Kind::UnknownField, _) => (Reason::FieldUnsupported, "there is no such field".into()),
            (Kind::MissingField, _) => (Reason::FieldInvalid, "it must be given".into()),
            (Kind::Misfit, Some(expected)) => {
                (Reason::FieldInvalid, format!("it must be {expected}"))
            }
            (Kind::Misfit, None) => (Reason::FieldInvalid, "it does not fit the field".into()),
        };
        let pointer = self.place.iter().map(|step| match step {
            Step::Element(index) => format!("/{index}"),
            // Of a name that is no field's, nothing but that there is one.
            Step::Field(name) if is_plain(name) => format!("/{name}"),
            Step::Field(_) | Step::Unknown => "/?".to_owned(),
        });
        Flaw::of(pointer.collect::<String>(), reason, detail)
    }
}

fn is_plain(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Makes what is at fault fit; whether it could.
fn mend<T: DeserializeOwned>(value: &mut Value, fault: &Fault) -> bool {
    let Some((last, parents)) = fault.place.split_last() else { return false };
    if fault.kind != Kind::UnknownField {
        let word = fault.word.as_ref().map(|word| json!(word));
        let stand_ins = [Value::Null, json!(""), json!(1), json!(false), json!([]), json!({})];
        for stand_in in word.into_iter().chain(stand_ins) {
            if !put(value, parents, last, Some(stand_in)) {
                return false;
            }
            if read::<T>(value).map_or_else(|again| again.place != fault.place, |_| true) {
                return true;
            }
        }
    }
    put(value, parents, last, None)
        && read::<T>(value).map_or_else(|again| again.place != fault.place, |_| true)
}

/// Puts a value there, or takes out what is there.
fn put(value: &mut Value, parents: &[Step], last: &Step, stand_in: Option<Value>) -> bool {
    let mut parent = Some(value);
    for step in parents {
        parent = parent.and_then(|value| match step {
            Step::Field(name) => value.get_mut(name),
            Step::Element(index) => value.get_mut(index),
            Step::Unknown => None,
        });
    }
    match (parent, last, stand_in) {
        (Some(Value::Object(fields)), Step::Field(name), Some(stand_in)) => {
            fields.insert(name.clone(), stand_in);
            true
        }
        (Some(Value::Object(fields)), Step::Field(name), None) => fields.remove(name).is_some(),
        (Some(Value::Array(elements)), Step::Element(index), Some(stand_in)) => {
            elements.get_mut(*index).map(|element| *element = stand_in).is_some()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "name")]
        _name: String,
        count: Option<u8>,
        #[serde(rename = "word")]
        _word: Word,
        #[serde(default, rename = "list")]
        _list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "id")]
        _id: u32,
    }

    fn faults(value: Value) -> Vec<String> {
        let broken = |outer: &Outer| match outer.count {
            Some(0) => vec![Flaw::of("/count", Reason::FieldInvalid, "it must be from 1")],
            _ => Vec::new(),
        };
        let Err(problem) = Mended::<Outer>::of(value).checked(broken) else { return Vec::new() };
        let said = |flaw: &Flaw| format!("{} {}", flaw.pointer, flaw.code);
        let mut said: Vec<_> = problem.errors().iter().map(said).collect();
        said.sort();
        said
    }

    #[test]
    fn every_fault_of_a_body_is_named() {
        assert_eq!(faults(json!({"name": "a", "word": "two", "list": [{"id": 1}]})), [""; 0]);
        let all = json!({
            "name": 5, "count": 0, "word": "three", "list": [{"id": "x"}, {}, 5, {"id": 1, "more": 2}],
            "colour": "red", "Maria Cruz": 1,
        });
        let expected = [
            "/? rjct.field.unsupported",
            "/colour rjct.field.unsupported",
            "/count rjct.field.invalid",
            "/list/0/id rjct.field.invalid",
            "/list/1/id rjct.field.invalid",
            "/list/2 rjct.field.invalid",
            "/list/3/more rjct.field.unsupported",
            "/name rjct.field.invalid",
            "/word rjct.field.invalid",
        ];
        assert_eq!(faults(all), expected);
        assert_eq!(faults(json!({})), ["/name rjct.field.invalid", "/word rjct.field.invalid"]);
        assert_eq!(faults(json!([])), [" rjct.field.invalid"]);
        assert_eq!(
            faults(json!({"name": "a", "word": "one", "list": 5})),
            ["/list rjct.field.invalid"]
        );
    }
}
