//! Decisions in the model's words, to be compared.

use super::super::{ChangeEvent, Decision, Missing, ProgramId, Verdict};
use super::model::{Row, Said};

pub(super) fn event(program: &str, what: &str, row: &Row, reference: &str, payee: &str) -> String {
    let Row { id, state, spell, version, date, exit } = row;
    format!(
        "{id} {version:03} {program} {what} {state} {spell} {date:?} {exit:?} {reference} {payee}"
    )
}

/// A verdict in the model's words.
pub(super) fn in_words(verdict: &Verdict, codes: impl Fn(ProgramId) -> String) -> Said {
    match verdict {
        Verdict::Decided(decision) => decision_in_words(decision, codes),
        Verdict::Waits(Missing::Registrant) => Said::waits("a registrant"),
        Verdict::Waits(Missing::Membership(id)) => {
            Said::waits(&format!("a membership of {}", id.0))
        }
    }
}

fn event_in_words(e: &ChangeEvent, codes: &impl Fn(ProgramId) -> String) -> String {
    let m = &e.membership;
    let row = Row {
        id: m.membership_id.0.to_string(),
        state: m.state.as_str(),
        spell: m.spell,
        version: m.version,
        date: m.enrollment_date,
        exit: m.exit_date,
    };
    let reason = (&e.reason_code, &e.reason_note);
    let change = format!("{:?}{}", e.change, if e.present { "" } else { "!" });
    let what = format!("{change} {:?} {} {reason:?}", e.previous_state, e.effective_date);
    let reference = format!("{:?}", e.registrant.reference.as_ref());
    let payee = e.payee.as_ref().map(|p| {
        let id = p.registrant.registrant_id.0.to_string();
        (id, p.registrant.ids.clone(), p.payment_address.clone(), p.disabled)
    });
    event(&codes(m.program_id), &what, &row, &reference, &format!("{payee:?}"))
}

fn decision_in_words(decision: &Decision, codes: impl Fn(ProgramId) -> String) -> Said {
    let mut events: Vec<_> = decision.events.iter().map(|e| event_in_words(e, &codes)).collect();
    events.sort();
    let items = decision.items.iter().map(|item| {
        let stands = item.membership.map(|(id, state, version)| {
            format!("{} {} {version}", id.0, state.map_or("-", crate::domain::State::as_str))
        });
        let whose = item.registrant_id.map_or_else(|| "-".to_owned(), |id| id.0.to_string());
        let stands = stands.unwrap_or_default();
        format!(
            "{} {} {:?} {:?} {whose} {stands}",
            item.pointer, item.program, item.outcome, item.reason
        )
    });
    Said {
        status: format!("{:?}", decision.status),
        whom: decision.registrant_id.map_or_else(|| "-".to_owned(), |id| id.0.to_string()),
        faults: decision.faults.iter().map(|f| format!("{} {:?}", f.pointer, f.reason)).collect(),
        items: items.collect(),
        events,
    }
}

#[test]
fn every_reason_code_has_its_section_with_its_meaning() {
    let page = include_str!("../../../docs/REASONS.md");
    for reason in crate::domain::Reason::ALL {
        let section =
            page.split("\n## ").find(|text| text.starts_with(&format!("`{}`", reason.code())));
        let section = section.unwrap_or_default().to_lowercase();
        assert!(section.contains(&reason.detail().to_lowercase()), "{}", reason.code());
    }
}
