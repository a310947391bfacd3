//! The draft of somebody who is known. Drafts are asked for by enrollments, which tell of their registrant and so of its
//! kind: of one that is named by reference or identifiers alone it is looked up.

use super::answer::Answer;
use super::message::{Said, enroll};
use super::{Made, Write};
use crate::contract::wire::{IdentifierRef, RegistrantRef};
use crate::contract::{Identity, MessageType, Reason, Request, command, refused};
use crate::http::Face;
use crate::http::problem::{Code, Problem};
use crate::store::inbox::{self, Stored};
use crate::store::reads::registrants::{self, Row};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

/// The body with the registrant's kind, and the name by which it was found; else the refusal. Nothing of that stands under
/// the key: the same request is decided anew once the registrant is known.
pub(super) async fn named(
    face: &Face,
    said: &Said<'_>,
    mut body: Map<String, Value>,
) -> Result<Result<Map<String, Value>, Answer>, Problem> {
    // It has the fields of an ENROLL, and what is wrong with that is wrong with it.
    let mut enroll = body.clone();
    enroll.remove("state");
    let fixed = [("action".to_owned(), "ENROLL".into())].into_iter().collect();
    let kind = MessageType::MembershipUpdateRequest;
    let request = said.request(kind, enroll, fixed, &face.dates)?;
    let Request::Update(update) = &request else {
        return Err(Problem::of(Code::InternalError));
    };
    let registrant = update.registrant.clone();
    let refuse = |identity: &Identity, faults: Vec<(String, Reason)>| {
        let result = refused(identity, faults, said.now);
        Ok(Err(Answer::of_result(result, false, Made::Membership, false)))
    };
    let identity = match command(request, said.now, &face.dates) {
        Ok((meta, _)) => Identity::of(&meta),
        Err((identity, faults)) => {
            let faults = faults.into_iter().map(|fault| (fault.pointer, fault.reason));
            return refuse(&identity, faults.collect());
        }
    };
    let mut connection = face.connection().await?;
    let stored = inbox::find(&mut connection, &[said.source], &[said.message_id]).await?.pop();
    let again =
        stored.as_ref().and_then(|stored| answered(face, said, (&body, &registrant), stored));
    let is_same = again.is_some();
    let is_anew = stored.as_ref().is_some_and(|stored| {
        ["REJECTED", "PARTIAL"].contains(&stored.status.as_str()) && said.attempt > stored.attempt
    });
    // What is decided anew takes a registrant who is known now.
    if let Some(again) = again.filter(|_| !is_anew) {
        return Ok(Ok(again));
    }
    let reason = match find(&mut connection, &registrant, said.source).await? {
        Ok(row) => {
            let has = |id: &&IdentifierRef| {
                row.ids.iter().any(|(id_type, own, _)| *id_type == id.id_type && *own == id.value)
            };
            let known = registrant.ids.iter().find(has);
            body.insert("registrant".to_owned(), told(&row.kind, &registrant, known));
            return Ok(Ok(body));
        }
        Err(reason) => reason,
    };
    let fault = if stored.is_some() && !is_same {
        ("/message_id".to_owned(), Reason::MessageIdReused)
    } else {
        ("/registrant".to_owned(), reason)
    };
    refuse(&identity, vec![fault])
}

/// The body as it was answered before, if it says the same again: by what it names its registrant, nobody or somebody
/// else may be found since.
fn answered(
    face: &Face,
    said: &Said<'_>,
    (body, registrant): (&Map<String, Value>, &RegistrantRef),
    stored: &Stored,
) -> Option<Map<String, Value>> {
    let ids: Vec<_> = match registrant.reference {
        Some(_) => vec![None],
        None => registrant.ids.iter().map(Some).collect(),
    };
    let kinds = ["INDIVIDUAL", "GROUP"].into_iter();
    let mut candidates =
        kinds.flat_map(|kind| ids.iter().map(move |id| told(kind, registrant, *id)));
    candidates.find_map(|registrant| {
        let mut body = body.clone();
        body.insert("registrant".to_owned(), registrant);
        let Write { kind, body: inner, fixed, .. } = enroll(body.clone());
        said.is_again(stored, kind, (inner, fixed), &face.dates).then_some(body)
    })
}

/// The one registrant that is meant; else why none is.
async fn find(
    connection: &mut PgConnection,
    named: &RegistrantRef,
    source: &str,
) -> Result<Result<Row, Reason>, Problem> {
    let (kind, scopes, values) = if let Some(reference) = &named.reference {
        let scope = named.source.as_deref().unwrap_or(source);
        ("REFERENCE", vec![scope.to_owned()], vec![reference.clone()])
    } else {
        let ids = named.ids.iter().map(|id| (id.id_type.clone(), id.value.clone()));
        let (types, values): (Vec<_>, Vec<_>) = ids.unzip();
        ("IDENTIFIER", types, values)
    };
    if scopes.is_empty() {
        return Ok(Err(Reason::RegistrantUnnamed));
    }
    let mut found = registrants::named(connection, kind, &scopes, &values).await?;
    Ok(match (found.pop(), found.is_empty()) {
        (None, _) => Err(Reason::RegistrantNotFound),
        (Some(row), true) => Ok(row),
        (Some(_), false) => Err(Reason::RegistrantAmbiguous),
    })
}

/// The registrant as an enrollment names it that adds nothing to what is known: by one name only, its reference or else
/// this identifier.
fn told(kind: &str, named: &RegistrantRef, id: Option<&IdentifierRef>) -> Value {
    if let Some(reference) = &named.reference {
        return json!({"kind": kind, "source": named.source, "reference": reference});
    }
    let ids: Vec<_> =
        id.map(|id| json!({"id_type": id.id_type, "value": id.value})).into_iter().collect();
    json!({"kind": kind, "ids": ids})
}
