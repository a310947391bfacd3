//! The description of the API (OpenAPI 3.1), made from the handlers and their types, and a page that shows it.

mod complete;
mod messages;

use super::auth;
use super::page::{Html, html};
use super::problem::Document;
use crate::http::Face;
use axum::Router;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use bytes::Bytes;
use complete::{Asked, complete};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

/// What every description begins with.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Rollcall",
        description = "Memberships of registrants in programs: send requests, read what stands. Errors are problem \
                       documents (RFC 9457); each `type` leads to a page of this server.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        version = env!("CARGO_PKG_VERSION"),
    ),
    servers((url = "/", description = "This server")),
    components(schemas(Document)),
    tags(
        (name = "Writes", description = "Requests, applied at once"),
        (name = "Memberships", description = "Memberships and their history"),
        (name = "Registrants", description = "Individuals and groups"),
        (name = "Batches", description = "Many requests as a stream, and what came of them"),
        (name = "Programs", description = "What there is to be a member of"),
        (name = "Operations", description = "Status and dead letters"),
        (name = "OpenG2P", description = "Routes that answer as the OpenG2P 15.0 module does"),
        (name = "Probes", description = "For those who run the server"),
    ),
)]
struct Base;

const BEARER: &str = "bearer";
const BASIC: &str = "basic";

/// The description without routes.
pub(super) fn base() -> OpenApi {
    let mut description = Base::openapi();
    let scopes: Vec<_> =
        auth::SCOPES.iter().map(|(name, allows)| format!("`{name}`:{allows}")).collect();
    let about = format!("A JSON Web Token with scopes. {}", scopes.join(" "));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(about))
        .build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let about = "For OpenG2P's routes, where `openg2p.auth` is `basic`: the password is the token, the name is anything.";
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(about)).build();
    components.add_security_scheme(BASIC, SecurityScheme::Http(basic));
    description
}

/// The description as it is served, and the page that shows it.
pub(super) fn routes(description: &OpenApi, face: &Face) -> Router<Face> {
    let asked = Asked { token: face.auth.is_on(), openg2p: face.openg2p.auth };
    let text = Bytes::from(complete(description, asked).to_string());
    let serve = move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text).into_response() }
    };
    let script = || async { ([(header::CONTENT_TYPE, "text/javascript")], SCRIPT).into_response() };
    Router::new()
        .route("/openapi.json", get(serve))
        .route("/docs", get(page))
        .route("/docs/page.js", get(script))
}

const SCRIPT: &str = include_str!("page.js");

async fn page() -> Html {
    html(
        "Rollcall",
        "<p>The API as <a href=\"/openapi.json\">/openapi.json</a> describes it. <a href=\"/problems\">All problem \
         and reason codes</a>.</p><main id=\"api\"></main><script src=\"/docs/page.js\"></script>",
    )
}
