//! Which results are asked for, and where a page of them begins.

use crate::apply::batches::BatchOutcome;
use crate::http::cursor;
use crate::http::extract::{FromQuery, Parameters};
use crate::http::problem::{Code, Problem};
use crate::store::batches::Place;
use time::OffsetDateTime;
use utoipa::IntoParams;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

/// Which results.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// Only those of these; of any, if none is named.
    #[param(rename = "outcome", schema_with = outcomes)]
    pub(super) outcomes: Vec<BatchOutcome>,
    /// Only those with this reason code, of an error or an item.
    pub(super) code: Option<String>,
    /// How many: 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub(super) limit: i64,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

fn outcomes() -> Array {
    let spellings = BatchOutcome::ALL
        .into_iter()
        .flat_map(|outcome| [outcome.word().to_owned(), outcome.word().to_uppercase()]);
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(spellings));
    let about = "Only those of this outcome, in small or large letters; may repeat.";
    ArrayBuilder::new().items(word).description(Some(about)).build()
}

impl FromQuery for Listing {
    const NAMES: &'static [&'static str] = &["outcome", "code", "limit", "cursor"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let allowed = "one of applied, unchanged, partial, rejected, held";
        let known = |word: &str| {
            BatchOutcome::named(word).ok_or_else(|| Problem::parameter("outcome", allowed))
        };
        let named = parameters.all("outcome").map(known).collect::<Result<Vec<_>, _>>()?;
        // Each once, in one order: the same choice is the same list.
        let outcomes = BatchOutcome::ALL.into_iter().filter(|known| named.contains(known));
        Ok(Self {
            outcomes: outcomes.collect(),
            code: parameters.one("code", "a reason code")?,
            limit: parameters.limit()?,
            cursor: parameters.one("cursor", "a cursor")?,
        })
    }
}

impl Listing {
    /// The name of the list in cursors: another filter is another list.
    pub(super) fn name(&self, source: &str, batch_id: &str) -> String {
        let (outcomes, code) = (&self.outcomes, self.code.as_deref());
        format!("results/{source}/{batch_id}/{outcomes:?}/{code:?}")
    }

    pub(super) fn after(&self, name: &str) -> Result<Place, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(Place::START) };
        let place = cursor::open(name, cursor)?;
        let read = || {
            let (micros, message_id) = place.split_once('/')?;
            let nanos = micros.parse::<i128>().ok()?.checked_mul(1_000)?;
            let recorded_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
            Some(Place { recorded_at, message_id: message_id.to_owned() })
        };
        read().ok_or_else(|| Problem::of(Code::InvalidCursor))
    }
}

/// The cursor after a place.
pub(super) fn seal(name: &str, place: &Place) -> String {
    let micros = place.recorded_at.unix_timestamp_nanos() / 1_000;
    cursor::seal(name, &format!("{micros}/{}", place.message_id))
}
