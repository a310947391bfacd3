//! What can be read of a request that cannot be decoded: for an operator who looks for what is wrong with it.

use super::decode::named_fingerprint;
use super::schemas::{MessageType, Schemas};
use super::wire::{Day, Millis};
use apache_avro::Schema;
use apache_avro::schema::Name;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Deeper than any message of the contract nests.
const DEEPEST: usize = 32;
/// Elements of one list that are read: damaged bytes may promise any number.
const MOST_ELEMENTS: usize = 100_000;

/// How far the bytes of a value decode.
#[derive(Debug, Clone, PartialEq)]
pub struct Partly {
    /// Which message the bytes say they are.
    pub message: MessageType,
    /// The version of its schema.
    pub version: u32,
    /// The fields that could be read, as plain JSON.
    pub value: Value,
    /// Whether that is all of them.
    pub complete: bool,
    /// How many bytes follow what was read.
    pub rest: usize,
}

/// Reads a value in Avro's single-object encoding as far as it goes, by the schema that it names; none if that is not
/// known.
pub fn decode_partly(schemas: &Schemas, bytes: &[u8]) -> Option<Partly> {
    let version = schemas.version(&named_fingerprint(bytes)?)?;
    let (_, body) = bytes.split_first_chunk::<10>()?;
    let mut names = HashMap::new();
    collect(version.schema, &mut names);
    let mut reader = Reader { bytes: body, names };
    let mut value = Value::Null;
    let complete = reader.read(version.schema, &mut value, 0).is_some();
    let (message, number) = (version.message, version.number);
    Some(Partly { message, version: number, value, complete, rest: reader.bytes.len() })
}

/// The named types of a schema: where one is used again, only its name stands.
fn collect<'s>(schema: &'s Schema, names: &mut HashMap<&'s Name, &'s Schema>) {
    match schema {
        Schema::Record(record) => {
            names.insert(&record.name, schema);
            record.fields.iter().for_each(|field| collect(&field.schema, names));
        }
        Schema::Enum(symbols) => {
            names.insert(&symbols.name, schema);
        }
        Schema::Array(array) => collect(&array.items, names),
        Schema::Union(union) => union.variants().iter().for_each(|one| collect(one, names)),
        _ => {}
    }
}

struct Reader<'b, 's> {
    bytes: &'b [u8],
    names: HashMap<&'s Name, &'s Schema>,
}

impl Reader<'_, '_> {
    /// Reads a value into `into`; none where it ends early or is none, with what was read until then.
    fn read(&mut self, schema: &Schema, into: &mut Value, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        *into = match schema {
            Schema::Null => Value::Null,
            Schema::Boolean => match self.take(1)? {
                [0] => false.into(),
                [1] => true.into(),
                _ => return None,
            },
            Schema::Int | Schema::Long => self.long()?.into(),
            Schema::Date => {
                let day = Day(i32::try_from(self.long()?).ok()?);
                serde_json::to_value(day).ok()?
            }
            Schema::TimestampMillis => serde_json::to_value(Millis(self.long()?)).ok()?,
            Schema::String => {
                let length = usize::try_from(self.long()?).ok()?;
                std::str::from_utf8(self.take(length)?).ok()?.into()
            }
            Schema::Bytes => {
                let length = usize::try_from(self.long()?).ok()?;
                hex::encode(self.take(length)?).into()
            }
            Schema::Enum(symbols) => {
                let place = usize::try_from(self.long()?).ok()?;
                symbols.symbols.get(place)?.as_str().into()
            }
            Schema::Ref { name } => {
                let named = *self.names.get(name)?;
                return self.read(named, into, depth + 1);
            }
            Schema::Union(union) => {
                let place = usize::try_from(self.long()?).ok()?;
                return self.read(union.variants().get(place)?, into, depth + 1);
            }
            Schema::Record(record) => {
                let mut fields = Map::new();
                let mut read = Some(());
                for field in &record.fields {
                    let mut value = Value::Null;
                    read = self.read(&field.schema, &mut value, depth + 1);
                    if read.is_some() || value.is_object() || value.is_array() {
                        fields.insert(field.name.clone(), value);
                    }
                    if read.is_none() {
                        break;
                    }
                }
                *into = Value::Object(fields);
                return read;
            }
            Schema::Array(array) => {
                let mut elements = Vec::new();
                let read = self.elements(&array.items, &mut elements, depth + 1);
                *into = Value::Array(elements);
                return read;
            }
            _ => return None,
        };
        Some(())
    }

    fn elements(&mut self, items: &Schema, into: &mut Vec<Value>, depth: usize) -> Option<()> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Some(());
            }
            if count < 0 {
                // A block that says its length in bytes too.
                self.long()?;
                count = count.checked_neg()?;
            }
            for _ in 0..count {
                if into.len() >= MOST_ELEMENTS {
                    return None;
                }
                let mut value = Value::Null;
                let read = self.read(items, &mut value, depth);
                if read.is_some() || value.is_object() {
                    into.push(value);
                }
                read?;
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    /// A number: seven bits a byte, the lowest first, zigzag.
    fn long(&mut self) -> Option<i64> {
        let mut number: u64 = 0;
        for place in 0..10 {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Some((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        None
    }
}
