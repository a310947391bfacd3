//! In which form results are answered: what `Accept` likes best.

use axum::http::{HeaderMap, header};

/// The forms that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Ndjson,
    Csv,
}

impl Form {
    /// All of them, the one that is answered if nothing is said first.
    const ALL: [Self; 3] = [Self::Json, Self::Ndjson, Self::Csv];

    /// The ranges of media types that it is in, the narrowest first.
    const fn ranges(self) -> [&'static str; 3] {
        match self {
            Self::Json => ["application/json", "application/*", "*/*"],
            Self::Ndjson => ["application/x-ndjson", "application/*", "*/*"],
            Self::Csv => ["text/csv", "text/*", "*/*"],
        }
    }
}

/// A range of `Accept`, and how much it is liked, in thousandths.
fn range(text: &str) -> Option<(String, u32)> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().filter(|kind| kind.contains('/'))?.to_ascii_lowercase();
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().ok())
    });
    let weight = match weight {
        None => 1.0,
        Some(weight) => weight.filter(|weight| (0.0..=1.0).contains(weight))?,
    };
    Some((kind, (weight * 1_000.0).round() as u32))
}

/// The form that is liked best; of those liked alike the one that is named first, then in our order. Whoever likes none
/// gets JSON: an answer that may be of use, rather than none (RFC 9110, 12.5.1).
pub(super) fn accepted(headers: &HeaderMap) -> Form {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<_> = values.flat_map(|value| value.split(',')).filter_map(range).collect();
    let liked = |form: Form| {
        let of = |kind: &str| ranges.iter().position(|(range, _)| range == kind);
        // The narrowest range that it is in says how much it is liked.
        let place = form.ranges().into_iter().find_map(of)?;
        ranges.get(place).map(|(_, weight)| (*weight, std::cmp::Reverse(place)))
    };
    let mut best = (Form::Json, None);
    for form in Form::ALL {
        let liked = liked(form).filter(|(weight, _)| *weight > 0);
        if liked > best.1 {
            best = (form, liked);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_liked_best() {
        let form = |accept: &str| {
            accepted(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]))
        };
        for (accept, expected) in [
            ("text/csv", Form::Csv),
            ("Text/CSV; header=present", Form::Csv),
            ("text/csv;q=0.5, application/x-ndjson", Form::Ndjson),
            ("text/csv;q=0.5, application/x-ndjson; Q=0.4", Form::Csv),
            ("application/json;q=0.9, text/*", Form::Csv),
            ("application/json;q=0, */*", Form::Ndjson),
            ("*/*", Form::Json),
            ("application/*", Form::Json),
            ("*/*;q=0.1, text/csv;q=0.2", Form::Csv),
            ("text/csv, application/json", Form::Csv),
            ("application/json, text/csv", Form::Json),
            ("text/csv;q=0", Form::Json),
            ("text/csv;q=two", Form::Json),
            ("text/html", Form::Json),
            ("", Form::Json),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
        assert_eq!(accepted(&HeaderMap::new()), Form::Json);
    }
}
