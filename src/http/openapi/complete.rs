//! What holds of many operations, said once: who is asked for a token, what every error looks like, and what fits a
//! parameter of a name.

use super::{BASIC, BEARER, messages};
use crate::config::Openg2pAuth;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// Who is asked for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Whether a token is asked for at all.
    pub(super) token: bool,
    /// As what OpenG2P's clients send it.
    pub(super) openg2p: Openg2pAuth,
}

/// The tag of the routes with errors of their own.
const OPENG2P: &str = "OpenG2P";

/// A header of an answer: its name, and what it says.
type Header = Option<(&'static str, &'static str)>;

/// Errors as they are answered: status, what it says, its header.
const ERRORS: [(&str, &str, Header); 12] = [
    ("400", "A parameter, a header or the JSON is not as it must be", None),
    ("401", "It is not known who asks", Some(("WWW-Authenticate", "How to say it"))),
    ("403", "The token has not the scope, or speaks for another source", None),
    ("404", "There is no such thing", None),
    ("408", "The body did not come in time", None),
    ("409", "Refused: what stands does not allow it", None),
    ("412", "Refused: it has another version by now", None),
    ("413", "The body is too large", None),
    ("415", "The body has another content type", None),
    ("422", "Refused: the body does not fit, or breaks a rule", None),
    (
        "429",
        "There is too much to do",
        Some(("Retry-After", "After how many seconds to ask again")),
    ),
    ("503", "The database is away", Some(("Retry-After", "After how many seconds to ask again"))),
];

/// The description as it is served.
pub(super) fn complete(description: &OpenApi, asked: Asked) -> Value {
    // Made of texts and maps: there is nothing that could fail.
    let mut value = serde_json::to_value(description).unwrap_or_default();
    if let Some(schemas) = value["components"]["schemas"].as_object_mut() {
        schemas.extend(messages::components());
    }
    let paths = value.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                self::parameter(parameter);
            }
            if let Some(body) = operation.get_mut("requestBody") {
                self::body(body);
            }
            // Probes say themselves that they ask nobody.
            if operation.get("security").is_none() {
                let openg2p =
                    operation["tags"].as_array().is_some_and(|t| t.contains(&OPENG2P.into()));
                operation["security"] = asked.security(openg2p);
                errors(path, operation, openg2p);
            }
        }
    }
    value
}

impl Asked {
    fn security(self, openg2p: bool) -> Value {
        let scheme = match self.openg2p {
            Openg2pAuth::Basic if openg2p => BASIC,
            Openg2pAuth::Basic | Openg2pAuth::Bearer => BEARER,
        };
        // Where nobody is asked, what is sent does not matter.
        if self.token { json!([{ scheme: [] }]) } else { json!([{ scheme: [] }, {}]) }
    }
}

/// Neither a URL nor a header has a null; what has a default, or may be of any number, may be left out.
fn parameter(parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let in_path = parameter["in"] == "path";
    let Some(schema) = parameter.get_mut("schema") else { return };
    // What is said of a list by its schema is said of the parameter.
    let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    if let Some(types) = schema["type"].as_array() {
        let kind = types.iter().find(|kind| *kind != "null").cloned();
        schema["type"] = kind.unwrap_or_default();
    }
    if let Some(fits) = fits(&name, in_path).as_object() {
        for (word, value) in fits {
            schema[word] = value.clone();
        }
    }
    let may_be_left_out = schema.get("default").is_some() || schema["type"] == "array";
    if !in_path && may_be_left_out {
        parameter["required"] = false.into();
    }
    if let Some(about) = about {
        parameter["description"] = about;
    }
}

/// What fits the parameters that are the same everywhere.
fn fits(name: &str, in_path: bool) -> Value {
    match name {
        "source" | "Rollcall-Source" => {
            json!({"pattern": "^[A-Za-z0-9._~-]+$", "minLength": 1, "maxLength": 64})
        }
        "batch_id" | "message_id" => {
            json!({"pattern": "^[A-Za-z0-9._~:-]+$", "minLength": 1, "maxLength": 99})
        }
        "Idempotency-Key" => {
            json!({"pattern": "^(\"[A-Za-z0-9._~:-]{1,99}\"|[A-Za-z0-9._~:-]{1,99})$"})
        }
        "If-Match" => json!({"pattern": "^(\\*|(W/)?\"[^\"]*\")$"}),
        "code" if in_path => json!({"minLength": 1, "maxLength": 1_000}),
        "cursor" => json!({"pattern": "^([0-9a-f]{2})+$"}),
        _ => Value::Null,
    }
}

/// A body that may be left out is not null where it is there; any other must be there.
fn body(body: &mut Value) {
    let mut optional = false;
    for (_, media) in body["content"].as_object_mut().into_iter().flatten() {
        let Some(either) = media["schema"]["oneOf"].as_array() else { continue };
        let there: Vec<_> = either.iter().filter(|one| one["type"] != "null").cloned().collect();
        if let ([one], true) = (there.as_slice(), there.len() < either.len()) {
            media["schema"] = one.clone();
            optional = true;
        }
    }
    body["required"] = (!optional).into();
}

/// The errors that an operation can answer with. Each has the content of its kind.
fn errors(path: &str, operation: &mut Value, openg2p: bool) {
    let has_body = operation.get("requestBody").is_some();
    let is_write = operation["tags"].as_array().is_some_and(|tags| tags.contains(&"Writes".into()))
        && operation["operationId"] != "getRequest";
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let conditional = parameters.into_iter().any(|parameter| parameter["name"] == "If-Match");
    let can = |status: &str| match status {
        "404" => !openg2p && path.contains('{'),
        "408" | "413" => has_body,
        "415" => has_body && !openg2p,
        "409" => is_write,
        "412" => conditional,
        "422" => has_body || is_write,
        _ => true,
    };
    let content = if openg2p {
        json!({"application/json": {"schema": {"$ref": "#/components/schemas/G2PErrorResponse"}}})
    } else {
        json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}})
    };
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, description, header) in ERRORS {
        if can(status) && !responses.contains_key(status) {
            responses.insert(status.to_owned(), response(description, header));
        }
    }
    let any = || response("Another error", None);
    responses.entry("default").or_insert_with(any);
    for (status, response) in responses {
        let is_error = status == "default" || status.starts_with(['4', '5']);
        if is_error && response.get("content").is_none() {
            response["content"] = content.clone();
        }
    }
}

fn response(description: &str, header: Header) -> Value {
    let mut response = json!({ "description": description });
    if let Some((name, about)) = header {
        let schema = if name == "Retry-After" { "integer" } else { "string" };
        let mut headers = Map::new();
        let header = json!({"description": about, "required": true, "schema": {"type": schema}});
        headers.insert(name.to_owned(), header);
        response["headers"] = headers.into();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_no_null_and_defaults_may_be_left_out() {
        let mut limit = json!({"name": "limit", "in": "query", "required": true,
            "schema": {"type": ["integer", "null"], "default": 50}});
        parameter(&mut limit);
        assert_eq!(
            (&limit["schema"]["type"], &limit["required"]),
            (&json!("integer"), &json!(false))
        );
        let mut source =
            json!({"name": "source", "in": "path", "required": true, "schema": {"type": "string"}});
        parameter(&mut source);
        assert_eq!(
            (&source["schema"]["maxLength"], &source["required"]),
            (&json!(64), &json!(true))
        );
    }

    #[test]
    fn a_body_must_be_there_unless_it_may_be_null() {
        let closing = json!({"$ref": "#/components/schemas/Closing"});
        let mut optional = json!({"content": {"application/json": {"schema": {"oneOf": [{"type": "null"}, closing]}}}});
        body(&mut optional);
        assert_eq!(optional["content"]["application/json"]["schema"], closing);
        assert_eq!(optional["required"], false);
        body(&mut optional);
        assert_eq!(optional["required"], true);
    }

    #[test]
    fn a_token_is_asked_for_where_it_is_looked_at() {
        let asked = |token, openg2p| Asked { token, openg2p };
        let (bearer, basic) = (Openg2pAuth::Bearer, Openg2pAuth::Basic);
        assert_eq!(asked(true, bearer).security(true), json!([{"bearer": []}]));
        assert_eq!(asked(true, basic).security(false), json!([{"bearer": []}]));
        assert_eq!(asked(true, basic).security(true), json!([{"basic": []}]));
        assert_eq!(asked(false, bearer).security(false), json!([{"bearer": []}, {}]));
    }
}
