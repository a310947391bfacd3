//! Logs of `membership-events` and `membership-state` made by hand, with whatever can stand in them.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rollcall::contract::encode;
use rollcall::contract::wire::{
    Change, Day, MembershipChanged, MembershipState, MembershipStatus, Millis, Payee, ProgramRef,
    PublishedRegistrant, RegistrantKind,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Printed;
use crate::scene::SENT;
use crate::support::NewRecord;

/// Everything that was said in one partition: number *n* is at *n* − 1.
pub(super) struct Story {
    partition: i32,
    said: Vec<Said>,
    members: BTreeMap<String, Member>,
}

struct Said {
    membership_id: String,
    event: Vec<u8>,
    /// None: removed.
    state: Option<Vec<u8>>,
}

#[derive(Clone)]
struct Member {
    version: i32,
    state: MembershipStatus,
    payee: Option<Payee>,
}

impl Story {
    /// A made-up story of so many changes: members come, change state and payee, and go.
    pub(super) fn tell(partition: i32, changes: usize) -> Self {
        let mut random = StdRng::seed_from_u64(partition as u64);
        let mut story = Self { partition, said: Vec::new(), members: BTreeMap::new() };
        while story.said.len() < changes {
            let member = random.random_range(0..story.members.len() + 4);
            let known = story.members.keys().nth(member).cloned();
            match known {
                Some(id) if random.random_ratio(1, 5) => story.remove(&id),
                Some(id) => story.change(&id, &mut random),
                None => {
                    let id = Uuid::from_u128(random.random()).to_string();
                    story.change(&id, &mut random);
                }
            }
        }
        story
    }

    fn change(&mut self, id: &str, random: &mut StdRng) {
        let before = self.members.get(id).cloned();
        let state = match before.as_ref().map(|member| member.state) {
            Some(MembershipStatus::Enrolled) => MembershipStatus::Paused,
            _ => MembershipStatus::Enrolled,
        };
        let payee = random.random_ratio(4, 5).then(|| Payee {
            registrant_id: Uuid::from_u128(random.random()).to_string(),
            kind: RegistrantKind::Individual,
            source: None,
            reference: None,
            ids: Vec::new(),
            payment_address: random.random_ratio(4, 5).then(|| format!("bank:{}", self.said.len())),
            disabled: random.random_ratio(1, 5),
        });
        let version = before.map_or(1, |member| member.version + 1);
        let member = Member { version, state, payee };
        self.say(id, &member, Some(state));
        self.members.insert(id.to_owned(), member);
    }

    fn remove(&mut self, id: &str) {
        let member = self.members.remove(id).expect("a member");
        self.say(id, &Member { version: member.version + 1, ..member }, None);
    }

    fn say(&mut self, id: &str, member: &Member, state: Option<MembershipStatus>) {
        let day = Day::from(SENT.date());
        let program = ProgramRef {
            program_id: Uuid::nil().to_string(),
            code: "CASH".to_owned(),
            name: "Cash".to_owned(),
        };
        let registrant = PublishedRegistrant {
            registrant_id: Uuid::nil().to_string(),
            kind: RegistrantKind::Group,
            source: None,
            reference: None,
            ids: Vec::new(),
        };
        let event = MembershipChanged {
            event_id: Uuid::nil().to_string(),
            membership_id: id.to_owned(),
            version: member.version,
            change: if state.is_none() { Change::Removed } else { Change::Corrected },
            previous_state: None,
            state,
            spell: 1,
            program,
            registrant,
            payee: member.payee.clone(),
            enrollment_date: Some(day),
            exit_date: None,
            effective_date: day,
            reason_code: None,
            source: "registry".to_owned(),
            message_id: "m".to_owned(),
            batch_id: None,
            occurred_at: Millis::from(SENT),
            recorded_at: Millis::from(SENT),
        };
        let bytes = encode(&event).expect("it fits its schema");
        let state = state.map(|state| {
            encode(&MembershipState {
                membership_id: event.membership_id,
                version: event.version,
                event_id: event.event_id,
                state,
                spell: event.spell,
                program: event.program,
                registrant: event.registrant,
                payee: event.payee,
                enrollment_date: event.enrollment_date,
                exit_date: event.exit_date,
                effective_date: event.effective_date,
                reason_code: event.reason_code,
                source: event.source,
                message_id: event.message_id,
                batch_id: event.batch_id,
                occurred_at: event.occurred_at,
                recorded_at: event.recorded_at,
            })
            .expect("it fits its schema")
        });
        self.said.push(Said { membership_id: id.to_owned(), event: bytes, state });
    }

    /// How many numbers there are.
    pub(super) fn last(&self) -> i64 {
        self.said.len() as i64
    }

    /// What a consumer should have made of it.
    pub(super) fn expect(&self, printed: &mut Printed) {
        for (id, member) in &self.members {
            let state = serde_json::to_value(member.state).expect("a symbol");
            let payee = member.payee.as_ref().map(|payee| {
                json!({
                    "registrant_id": payee.registrant_id,
                    "payment_address": payee.payment_address,
                    "disabled": payee.disabled,
                })
            });
            let line: Value = json!({
                "membership_id": id, "version": member.version, "state": state, "payee": payee,
            });
            printed.members.insert(id.clone(), line);
        }
        printed.seen.insert(i64::from(self.partition), self.last());
    }

    /// What compaction leaves of a log: the last record of each membership. With `tombstones` gone, as after their
    /// time, also that of removed ones.
    pub(super) fn compacted(&self, log: &[i64], tombstones: bool) -> Vec<i64> {
        let last: HashMap<&str, usize> =
            log.iter().enumerate().map(|(at, number)| (self.id(*number), at)).collect();
        let keeps = |at: usize, number: i64| {
            let is_gone = !tombstones && self.at(number).state.is_none() && at + 1 < log.len();
            last[self.id(number)] == at && !is_gone
        };
        let numbered = log.iter().copied().enumerate();
        numbered.filter(|(at, number)| keeps(*at, *number)).map(|(_, number)| number).collect()
    }

    /// Records of `membership-events` for these numbers, in this order.
    pub(super) fn events(&self, log: &[i64]) -> Vec<NewRecord> {
        let value = |said: &Said| Some(said.event.clone());
        log.iter().map(|number| self.record(*number, "changed", value)).collect()
    }

    /// Records of `membership-state` for these numbers, in this order.
    pub(super) fn states(&self, log: &[i64]) -> Vec<NewRecord> {
        log.iter().map(|number| self.record(*number, "state", |said| said.state.clone())).collect()
    }

    fn record(
        &self,
        number: i64,
        kind: &str,
        value: impl FnOnce(&Said) -> Option<Vec<u8>>,
    ) -> NewRecord {
        let said = self.at(number);
        let headers = [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", Uuid::from_u128(number as u128).to_string()),
            ("ce_type", format!("org.rollcall.membership.{kind}.v1")),
            ("ce_subject", said.membership_id.clone()),
            ("ce_sequence", format!("{number:020}")),
            ("ce_generation", "1".to_owned()),
            ("content-type", "application/avro".to_owned()),
        ];
        let header = |(name, value): (&str, String)| (name.to_owned(), Some(value.into_bytes()));
        NewRecord {
            partition: Some(self.partition),
            key: Some(said.membership_id.clone().into_bytes()),
            value: value(said),
            headers: headers.into_iter().map(header).collect(),
            timestamp: None,
        }
    }

    fn at(&self, number: i64) -> &Said {
        &self.said[usize::try_from(number - 1).expect("a number of the story")]
    }

    fn id(&self, number: i64) -> &str {
        &self.at(number).membership_id
    }
}

/// Numbers in log order, piece by piece.
pub(super) fn log(pieces: &[RangeInclusive<i64>]) -> Vec<i64> {
    pieces.iter().flat_map(Clone::clone).collect()
}
