//! Fields that have one of a few symbols: the description refers to what the messages' schemas say of them.

use utoipa::openapi::schema::{AnyOfBuilder, Array, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Object, Ref};

/// A state of a membership.
pub(in crate::http) fn state() -> Ref {
    Ref::from_schema_name("State")
}

/// Any number of states.
pub(in crate::http) fn states() -> Array {
    let about = "A state; may repeat: those in any of them.";
    ArrayBuilder::new().items(state()).description(Some(about)).build()
}

/// A state, or null.
pub(in crate::http) fn state_or_none() -> Schema {
    let none = ObjectBuilder::new().schema_type(Type::Null);
    Schema::AnyOf(AnyOfBuilder::new().item(state()).item(none).build())
}

/// What a registrant is.
pub(in crate::http) fn kind() -> Ref {
    Ref::from_schema_name("RegistrantKind")
}

/// What happened.
pub(in crate::http) fn change() -> Ref {
    Ref::from_schema_name("Change")
}

/// How it came.
pub(in crate::http) fn channel() -> Object {
    let symbols = ["KAFKA", "HTTP", "REPLAY"];
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(symbols)).build()
}
