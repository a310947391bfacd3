//! Pages for eyes: one style, nothing from elsewhere.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A page.
#[derive(Debug)]
pub(super) struct Html(String);

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            // Everything a page needs is in it, or comes from this server.
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'self'; style-src 'self' 'unsafe-inline'",
            ),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, self.0).into_response()
    }
}

/// A page with a title; `body` is HTML.
pub(super) fn html(title: &str, body: &str) -> Html {
    let title = escape(title);
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}"
    ))
}

const STYLE: &str = ":root{color-scheme:light dark}\
    body{font:16px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem}\
    code,pre{font-family:ui-monospace,monospace;font-size:.9em;background:#8882;border-radius:.2rem;padding:0 .2rem}\
    pre{padding:.5rem;overflow:auto}h4{margin:.8rem 0 .2rem}\
    table{border-collapse:collapse}tr{border-top:1px solid #8883}\
    td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top;overflow-wrap:break-word}td:first-child{white-space:nowrap}\
    details{border-bottom:1px solid #8883}details[open]{padding-bottom:1rem}summary{cursor:pointer;padding:.3rem 0}";

/// Text as HTML shows it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
