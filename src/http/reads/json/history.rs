//! Changes of memberships.

use super::{Identifier, Program, program, symbols};
use crate::contract::wire::{Day, Millis};
use crate::store::reads::history;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A registrant as events name it, with the names of now.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct Named {
    pub registrant_id: Uuid,
    #[schema(schema_with = symbols::kind)]
    pub kind: String,
    pub source: Option<String>,
    pub reference: Option<String>,
    pub ids: Vec<Identifier>,
}

impl From<history::Named> for Named {
    fn from(named: history::Named) -> Self {
        let ids = named.ids.into_iter();
        Self {
            registrant_id: named.registrant_id,
            kind: named.kind,
            source: named.source,
            reference: named.reference,
            ids: ids.map(|(id_type, value)| Identifier { id_type, value }).collect(),
        }
    }
}

/// Who is paid, as events name it, with the names, the address and the standing of now.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct Payee {
    #[serde(flatten)]
    pub named: Named,
    pub payment_address: Option<String>,
    pub disabled: bool,
}

impl From<history::Payee> for Payee {
    fn from(payee: history::Payee) -> Self {
        let (payment_address, disabled) = (payee.payment_address, payee.disabled);
        Self { named: payee.named.into(), payment_address, disabled }
    }
}

/// A change of a membership: what its event said, who made it, through which channel, and from which record.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct HistoryItem {
    pub event_id: Uuid,
    pub membership_id: Uuid,
    pub version: i32,
    #[schema(schema_with = symbols::change)]
    pub change: String,
    #[schema(schema_with = symbols::state_or_none)]
    pub previous_state: Option<String>,
    #[schema(schema_with = symbols::state_or_none)]
    pub state: Option<String>,
    pub spell: i32,
    pub program: Program,
    pub registrant: Named,
    /// Who was paid after the change; null: nobody.
    pub payee: Option<Payee>,
    #[schema(value_type = Option<String>, format = Date)]
    pub enrollment_date: Option<Day>,
    #[schema(value_type = Option<String>, format = Date)]
    pub exit_date: Option<Day>,
    #[schema(value_type = String, format = Date)]
    pub effective_date: Day,
    pub reason_code: Option<String>,
    pub reason_note: Option<String>,
    pub source: String,
    pub message_id: String,
    pub batch_id: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Millis,
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Millis,
    /// KAFKA, HTTP or REPLAY.
    #[schema(schema_with = symbols::channel)]
    pub channel: String,
    pub actor: Option<String>,
    /// The record that brought it; null for what came over HTTP.
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
}

impl From<history::Row> for HistoryItem {
    fn from(row: history::Row) -> Self {
        Self {
            event_id: row.event_id(),
            membership_id: row.membership_id,
            version: row.version,
            change: row.change,
            previous_state: row.previous_state,
            state: row.state,
            spell: row.spell,
            program: program(row.program_id, row.program_code, row.program_name),
            registrant: row.registrant.into(),
            payee: row.payee.map(Payee::from),
            enrollment_date: row.enrollment_date.map(Day::from),
            exit_date: row.exit_date.map(Day::from),
            effective_date: row.effective_date.into(),
            reason_code: row.reason_code,
            reason_note: row.reason_note,
            source: row.source,
            message_id: row.message_id,
            batch_id: row.batch_id,
            occurred_at: row.occurred_at.into(),
            recorded_at: row.recorded_at.into(),
            channel: row.channel,
            actor: row.actor,
            topic: row.topic,
            partition: row.partition,
            offset: row.offset,
        }
    }
}

/// What stands for a value of a person that is not shown.
const MASK: &str = "***";

fn mask<'a>(texts: impl IntoIterator<Item = &'a mut String>) {
    texts.into_iter().for_each(|text| MASK.clone_into(text));
}

impl Named {
    fn mask(&mut self) {
        mask(self.reference.iter_mut().chain(self.ids.iter_mut().map(|id| &mut id.value)));
    }
}

impl Payee {
    fn mask(&mut self) {
        self.named.mask();
        mask(&mut self.payment_address);
    }
}

impl HistoryItem {
    /// Without values of persons (P9): for eyes that need not see them.
    #[must_use]
    pub fn masked(mut self) -> Self {
        self.registrant.mask();
        self.payee.iter_mut().for_each(Payee::mask);
        // A note is free text.
        mask(&mut self.reason_note);
        self
    }
}

redacted_debug!(Named, Payee, HistoryItem);
