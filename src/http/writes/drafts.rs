//! The draft of somebody who is known. Drafts are asked for by enrollments, which tell of their registrant and so of its
//! kind: of one that is named by reference or identifiers alone it is looked up.

use super::Made;
use super::answer::Answer;
use super::message::Said;
use crate::contract::wire::RegistrantRef;
use crate::contract::{Identity, MessageType, Reason, Request, command, refused};
use crate::http::Face;
use crate::http::problem::{Code, Problem};
use crate::store::inbox;
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
    let reason = match find(&mut connection, &registrant, said.source).await? {
        Ok(row) => {
            body.insert("registrant".to_owned(), told(&registrant, &row));
            return Ok(Ok(body));
        }
        Err(reason) => reason,
    };
    let (sources, message_ids) = ([said.source], [said.message_id]);
    let is_used = !inbox::find(&mut connection, &sources, &message_ids).await?.is_empty();
    let fault = if is_used {
        ("/message_id".to_owned(), Reason::MessageIdReused)
    } else {
        ("/registrant".to_owned(), reason)
    };
    refuse(&identity, vec![fault])
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
    let found = registrants::named(connection, kind, &scopes, &values).await?;
    Ok(match found.as_slice() {
        [] => Err(Reason::RegistrantNotFound),
        [_] => {
            let row = registrants::by_ids(connection, &found).await?.pop();
            row.ok_or(Reason::RegistrantNotFound)
        }
        _ => Err(Reason::RegistrantAmbiguous),
    })
}

/// The registrant as an enrollment names it that adds nothing to what is known: by one name only.
fn told(named: &RegistrantRef, row: &Row) -> Value {
    if let Some(reference) = &named.reference {
        return json!({"kind": row.kind, "source": named.source, "reference": reference});
    }
    let has = |id_type: &str, value: &str| {
        row.ids.iter().any(|(own_type, own, _)| own_type == id_type && own == value)
    };
    let known = named.ids.iter().find(|id| has(&id.id_type, &id.value));
    let ids: Vec<_> =
        known.map(|id| json!({"id_type": id.id_type, "value": id.value})).into_iter().collect();
    json!({"kind": row.kind, "ids": ids})
}
