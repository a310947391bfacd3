//! Pages of lists: parameters, cursors, links.

use super::json::Page;
use crate::http::cursor;
use crate::http::extract::{FromQuery, Parameters};
use crate::http::problem::{Code, Problem};
use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use std::str::FromStr;
use uuid::Uuid;

/// Which part of a list.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Part {
    /// How many items: 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub(super) limit: i64,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

impl FromQuery for Part {
    const NAMES: &'static [&'static str] = &["limit", "cursor"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let limit = parameters.limit()?;
        Ok(Self { limit, cursor: parameters.one("cursor", "a cursor")? })
    }
}

/// A list under way: its path with the parameters that choose what is in it, and the part that is asked for.
#[derive(Debug)]
pub(in crate::http) struct Listing {
    path: String,
    chosen: String,
    part: Part,
}

impl Listing {
    /// The list at `path` that these parameters choose.
    pub(in crate::http) fn new<'a>(
        path: String,
        chosen: impl IntoIterator<Item = (&'a str, &'a str)>,
        part: Part,
    ) -> Self {
        let mut parameters = form_urlencoded::Serializer::new(String::new());
        parameters.extend_pairs(chosen);
        Self { path, chosen: parameters.finish(), part }
    }

    /// Its name in cursors: one is good for the same path and parameters only.
    fn name(&self) -> String {
        format!("{}?{}", self.path, self.chosen)
    }

    /// After which place the page begins; none at the beginning.
    ///
    /// # Errors
    /// A cursor that this list did not give.
    pub(in crate::http) fn after<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        let Some(given) = &self.part.cursor else { return Ok(None) };
        let place = cursor::open(&self.name(), given)?;
        place.parse().map(Some).map_err(|_no_place| Problem::of(Code::InvalidCursor))
    }

    /// After which id the page begins.
    ///
    /// # Errors
    /// As [`Listing::after`].
    pub(in crate::http) fn after_id(&self) -> Result<Uuid, Problem> {
        Ok(self.after()?.unwrap_or_default())
    }

    /// How many rows to read: one more than the page has says that there is another page.
    pub(in crate::http) const fn rows(&self) -> i64 {
        self.part.limit + 1
    }

    /// The page of these rows; `place` is where the page after a row begins.
    pub(in crate::http) fn page<R, T: Serialize + From<R>>(
        &self,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> String,
    ) -> Response {
        let more = rows.len() as i64 > self.part.limit;
        rows.truncate(self.part.limit as usize);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| cursor::seal(&self.name(), &place(row)));
        let link = next_cursor.as_ref().map(|cursor| {
            let Self { path, chosen, part: Part { limit, .. } } = self;
            let and = if chosen.is_empty() { "" } else { "&" };
            let next = format!("<{path}?{chosen}{and}limit={limit}&cursor={cursor}>; rel=\"next\"");
            [(header::LINK, next)]
        });
        let items: Vec<T> = rows.into_iter().map(T::from).collect();
        (link, Json(Page { items, next_cursor })).into_response()
    }
}
