//! Who changed what, when and why. Rows stay when their membership is removed.

use crate::domain::{MembershipId, event_id};
use crate::store::Result;
use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A change of a membership. Names and identifiers are those of now.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct Row {
    pub membership_id: Uuid,
    pub version: i32,
    pub change: String,
    pub previous_state: Option<String>,
    pub state: Option<String>,
    pub spell: i32,
    pub program_id: Uuid,
    pub program_code: String,
    pub program_name: String,
    pub registrant: Named,
    /// Who was paid after the change; none: nobody.
    pub payee: Option<Payee>,
    pub enrollment_date: Option<Date>,
    pub exit_date: Option<Date>,
    pub effective_date: Date,
    pub reason_code: Option<String>,
    pub reason_note: Option<String>,
    pub channel: String,
    pub source: String,
    pub message_id: String,
    pub actor: Option<String>,
    pub batch_id: Option<String>,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub occurred_at: OffsetDateTime,
    pub recorded_at: OffsetDateTime,
}

impl std::fmt::Debug for Row {
    /// P9: a reference, an identifier or a note is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "History({}, {})", self.membership_id, self.version)
    }
}

/// A registrant as events name it.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct Named {
    pub registrant_id: Uuid,
    pub kind: String,
    /// Of its reference: the changing source's if there is one, else the first by source.
    pub source: Option<String>,
    pub reference: Option<String>,
    /// Types and values of its identifiers, by type.
    pub ids: Vec<(String, String)>,
}

impl std::fmt::Debug for Named {
    /// P9: a reference or an identifier is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Named({})", self.registrant_id)
    }
}

/// A payee as events name it; where and whether it can be paid is as of now too.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct Payee {
    pub named: Named,
    pub payment_address: Option<String>,
    pub disabled: bool,
}

impl std::fmt::Debug for Payee {
    /// P9: an address is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payee({:?})", self.named)
    }
}

/// Whose history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Of a membership, by version.
    Membership(Uuid),
    /// Of all that a registrant has and had, as it was recorded.
    Registrant(Uuid),
}

impl Of {
    const fn ids(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::Membership(id) => (Some(id), None),
            Self::Registrant(id) => (None, Some(id)),
        }
    }
}

/// Where a page begins: after this change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the order")]
pub struct Place {
    pub recorded_at: OffsetDateTime,
    pub membership_id: Uuid,
    pub version: i32,
}

impl Place {
    /// Before every change.
    pub const START: Self =
        Self { recorded_at: OffsetDateTime::UNIX_EPOCH, membership_id: Uuid::nil(), version: 0 };
}

impl Row {
    /// The id of its event.
    pub fn event_id(&self) -> Uuid {
        event_id(MembershipId(self.membership_id), self.version)
    }

    /// Where the page after this change begins.
    pub const fn place(&self) -> Place {
        Place {
            recorded_at: self.recorded_at,
            membership_id: self.membership_id,
            version: self.version,
        }
    }
}

/// Changes after this one.
pub async fn list(
    connection: &mut PgConnection,
    of: Of,
    after: Place,
    limit: i64,
) -> Result<Vec<Row>> {
    let (membership_id, registrant_id) = of.ids();
    // A membership's own order is that of its versions, whatever clocks say.
    let rows = sqlx::query!(
        r#"WITH page AS (
               SELECT history.*, CASE WHEN $1::uuid IS NULL THEN history.recorded_at
                                      ELSE 'epoch'::timestamptz END AS place
               FROM (
                   SELECT $1::uuid AS membership_id WHERE $1::uuid IS NOT NULL
                   UNION SELECT membership_id FROM memberships WHERE registrant_id = $2::uuid
                   UNION SELECT membership_id FROM membership_history
                         WHERE registrant_id = $2::uuid AND change = 'REMOVED'
               ) AS asked
               JOIN membership_history AS history USING (membership_id)
               WHERE (CASE WHEN $1::uuid IS NULL THEN history.recorded_at ELSE 'epoch'::timestamptz END,
                      history.membership_id, history.version)
                   > (CASE WHEN $1::uuid IS NULL THEN $3::timestamptz ELSE 'epoch'::timestamptz END, $4::uuid, $5::int)
               ORDER BY place, history.membership_id, history.version LIMIT $6
           )
           SELECT page.membership_id AS "membership_id!", version AS "version!", change AS "change!", previous_state,
                  page.state, spell AS "spell!", page.program_id AS "program_id!", programs.code, programs.name,
                  page.registrant_id AS "registrant_id!", registrants.kind, own.references_of AS "own_sources?",
                  own.references AS "own_references?", own.types AS "own_types?", own.values AS "own_values?",
                  payee_id, payees.kind AS "payee_kind?", payees.payment_address AS "payment_address?",
                  payees.disabled AS "payee_disabled?", paid.references_of AS "paid_sources?",
                  paid.references AS "paid_references?", paid.types AS "paid_types?", paid.values AS "paid_values?",
                  enrollment_date, exit_date, effective_date AS "effective_date!", reason_code, reason_note,
                  channel AS "channel!", source AS "source!", message_id AS "message_id!", actor, batch_id, topic,
                  partition, "offset", occurred_at AS "occurred_at!", recorded_at AS "recorded_at!"
           FROM page
           JOIN programs USING (program_id)
           JOIN registrants USING (registrant_id)
           LEFT JOIN registrants AS payees ON payees.registrant_id = page.payee_id
           CROSS JOIN LATERAL (
               SELECT array_agg(scope ORDER BY scope = page.source DESC, scope) FILTER (WHERE kind = 'REFERENCE') AS references_of,
                      array_agg(value ORDER BY scope = page.source DESC, scope) FILTER (WHERE kind = 'REFERENCE') AS references,
                      array_agg(scope ORDER BY scope) FILTER (WHERE kind = 'IDENTIFIER') AS types,
                      array_agg(value ORDER BY scope) FILTER (WHERE kind = 'IDENTIFIER') AS values
               FROM names WHERE names.registrant_id = page.registrant_id
           ) AS own
           CROSS JOIN LATERAL (
               SELECT array_agg(scope ORDER BY scope = page.source DESC, scope) FILTER (WHERE kind = 'REFERENCE') AS references_of,
                      array_agg(value ORDER BY scope = page.source DESC, scope) FILTER (WHERE kind = 'REFERENCE') AS references,
                      array_agg(scope ORDER BY scope) FILTER (WHERE kind = 'IDENTIFIER') AS types,
                      array_agg(value ORDER BY scope) FILTER (WHERE kind = 'IDENTIFIER') AS values
               FROM names WHERE names.registrant_id = page.payee_id
           ) AS paid
           ORDER BY place, page.membership_id, version"#,
        membership_id,
        registrant_id,
        after.recorded_at,
        after.membership_id,
        after.version,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row {
            membership_id: row.membership_id,
            version: row.version,
            change: row.change,
            previous_state: row.previous_state,
            state: row.state,
            spell: row.spell,
            program_id: row.program_id,
            program_code: row.code,
            program_name: row.name,
            registrant: named(
                (row.registrant_id, row.kind),
                (row.own_sources, row.own_references),
                (row.own_types, row.own_values),
            ),
            payee: row.payee_id.zip(row.payee_kind).map(|payee| {
                let references = (row.paid_sources, row.paid_references);
                let named = named(payee, references, (row.paid_types, row.paid_values));
                let disabled = row.payee_disabled.unwrap_or_default();
                Payee { named, payment_address: row.payment_address, disabled }
            }),
            enrollment_date: row.enrollment_date,
            exit_date: row.exit_date,
            effective_date: row.effective_date,
            reason_code: row.reason_code,
            reason_note: row.reason_note,
            channel: row.channel,
            source: row.source,
            message_id: row.message_id,
            actor: row.actor,
            batch_id: row.batch_id,
            topic: row.topic,
            partition: row.partition,
            offset: row.offset,
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
        })
        .collect())
}

type Texts = Option<Vec<String>>;

/// By the first reference, with all identifiers.
fn named(
    (registrant_id, kind): (Uuid, String),
    (sources, references): (Texts, Texts),
    (types, values): (Texts, Texts),
) -> Named {
    let types = types.unwrap_or_default().into_iter();
    Named {
        registrant_id,
        kind,
        source: sources.and_then(|sources| sources.into_iter().next()),
        reference: references.and_then(|references| references.into_iter().next()),
        ids: types.zip(values.unwrap_or_default()).collect(),
    }
}

/// Whether there is or was what the history is asked of: a page of nothing says no more.
pub async fn exists(connection: &mut PgConnection, of: Of) -> Result<bool> {
    Ok(match of {
        Of::Membership(id) => {
            sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT FROM membership_history WHERE membership_id = $1) AS "exists!""#,
                id
            )
            .fetch_one(connection)
            .await?
        }
        Of::Registrant(id) => super::registrants::exists(connection, id).await?,
    })
}
