//! Which results are asked for, and where a page of them begins.

use crate::apply::batches::BatchOutcome;
use crate::http::cursor;
use crate::http::extract::{FromQuery, Parameters};
use crate::http::problem::{Code, Problem};
use crate::store::batches::Place;
use time::OffsetDateTime;
use utoipa::IntoParams;

/// Which results.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// Only those of this outcome.
    #[param(value_type = Option<String>, example = "rejected")]
    pub(super) outcome: Option<BatchOutcome>,
    /// Only those with this reason code, of an error or an item.
    pub(super) code: Option<String>,
    /// How many: 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub(super) limit: i64,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for Listing {
    const NAMES: &'static [&'static str] = &["outcome", "code", "limit", "cursor"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let allowed = "one of applied, unchanged, partial, rejected, held";
        let word: Option<String> = parameters.one("outcome", allowed)?;
        let outcome = word.map(|word| {
            let known = BatchOutcome::ALL.into_iter().find(|known| known.word() == word);
            known.ok_or_else(|| Problem::parameter("outcome", allowed))
        });
        Ok(Self {
            outcome: outcome.transpose()?,
            code: parameters.one("code", "a reason code")?,
            limit: parameters.limit()?,
            cursor: parameters.one("cursor", "a cursor")?,
        })
    }
}

impl Listing {
    /// The name of the list in cursors: another filter is another list.
    pub(super) fn name(&self, source: &str, batch_id: &str) -> String {
        let (outcome, code) = (self.outcome.map(BatchOutcome::word), self.code.as_deref());
        format!("results/{source}/{batch_id}/{outcome:?}/{code:?}")
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
