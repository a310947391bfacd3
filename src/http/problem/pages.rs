//! `/problems/{code}`: what a code means and what to do about it, from the documentation that is in the binary.

use super::{Code, Problem};
use crate::contract::Reason;
use crate::http::Face;
use crate::http::extract::Path;
use crate::http::page::{Html, escape, html};
use axum::Router;
use axum::routing::get;

/// The page of all reason codes, of which each has its section.
const REASONS: &str = include_str!("../../../docs/REASONS.md");

/// The codes of wrong lines of a batch that are neither reasons nor codes of problems: what each is, what it means, and
/// what to do about it.
const OF_LINES: [(&str, &str, &str, &str); 2] = [
    (
        "malformed-csv",
        "the line is no row of the CSV",
        "it has another number of cells than the first row, a quote that does not end, or is not UTF-8 (RFC 4180)",
        "Correct the line that `line` names, and send the whole batch again under the same Idempotency-Key.",
    ),
    (
        "too-large",
        "the line is too large",
        "the line, or the request that it is, has more bytes than a record may have",
        "Make several requests of it, and send the whole batch again under the same Idempotency-Key.",
    ),
];

/// The pages' routes.
pub(in crate::http) fn routes() -> Router<Face> {
    Router::new().route("/problems", get(all)).route("/problems/{code}", get(one))
}

async fn all() -> Html {
    let codes = Code::ALL.iter().map(|code| (code.code(), code.title()));
    let of_lines = OF_LINES.iter().map(|(code, title, ..)| (*code, *title));
    let reasons = Reason::ALL.iter().map(|reason| (reason.code(), reason.detail()));
    let line = |(code, title): (&str, &str)| {
        format!("<li><a href=\"/problems/{code}\"><code>{code}</code></a>: {}</li>", escape(title))
    };
    let lines: String = codes.chain(of_lines).chain(reasons).map(line).collect();
    let about = "Every <code>type</code> of a problem, and every code in its <code>errors</code>.";
    html("Problems", &format!("<p>{about}</p><ul>{lines}</ul>"))
}

async fn one(Path(code): Path<String>) -> Result<Html, Problem> {
    let text = page(&code).ok_or_else(|| Problem::of(Code::NotFound))?;
    Ok(html(&code, &(paragraphs(&text) + "<p><a href=\"/problems\">All codes</a></p>")))
}

/// What is said of a code, in Markdown's paragraphs.
fn page(code: &str) -> Option<String> {
    if let Some(known) = Code::ALL.iter().find(|known| known.code() == code) {
        let status = known.status();
        return Some(format!(
            "Status {status}: {}.\n\nIt means: {}.\n\n{}",
            known.title(),
            known.meaning(),
            known.advice()
        ));
    }
    if let Some((_, title, meaning, advice)) = OF_LINES.iter().find(|(known, ..)| *known == code) {
        return Some(format!("Of a line of a batch: {title}.\n\nIt means: {meaning}.\n\n{advice}"));
    }
    let heading = format!("`{code}`\n");
    let section = REASONS.split("\n## ").skip(1).find_map(|text| text.strip_prefix(&heading))?;
    Some(section.trim().to_owned())
}

/// Paragraphs and code words, which is all that these texts have.
fn paragraphs(text: &str) -> String {
    let paragraph = |text: &str| {
        let words = text.split('`').enumerate().map(|(place, words)| {
            let words = escape(words);
            if place % 2 == 1 { format!("<code>{words}</code>") } else { words }
        });
        format!("<p>{}</p>", words.collect::<String>())
    };
    text.split("\n\n").map(paragraph).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_with_what_to_do() {
        let reasons = Reason::ALL.iter().map(|reason| reason.code());
        let of_lines = OF_LINES.iter().map(|(code, ..)| *code);
        for code in reasons.chain(of_lines).chain(Code::ALL.iter().map(|code| code.code())) {
            let page = page(code).unwrap_or_default();
            assert!(page.split("\n\n").count() >= 2, "{code}: {page}");
            assert!(!paragraphs(&page).contains('`'), "{code}");
        }
        assert_eq!(page("rjct.unheard_of"), None);
        assert_eq!(page(""), None);
    }
}
