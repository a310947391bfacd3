//! Bodies of POST, checked as that module checks them.

use super::fault::{Fault, codes};
use crate::contract::wire::{
    Day, PhoneNumber, RegistrantIdentifier, RegistrantInfo, RegistrantKind,
};
use serde::Deserialize;

/// An individual, by itself or as a member of a group.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = OpenG2pMemberIn)]
pub(super) struct Individual {
    #[schema(value_type = String, required = true, max_length = 1_000, pattern = "^[^\\u0000]*\\S[^\\u0000]*$")]
    name: Option<String>,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*$")]
    given_name: Option<String>,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*$")]
    family_name: Option<String>,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*$")]
    addl_name: Option<String>,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*$")]
    gender: Option<String>,
    #[schema(value_type = Option<String>, format = Date)]
    birthdate: Option<Day>,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*$")]
    birth_place: Option<String>,
    ids: Option<Vec<Identifier>>,
    #[schema(value_type = Option<String>, format = Date)]
    registration_date: Option<Day>,
    phone_numbers: Option<Vec<Phone>>,
    #[schema(max_length = 1_000, pattern = "^(\\s*|\\S+@[^\\s@]*\\.[^\\s@]*)$")]
    email: Option<String>,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*$")]
    address: Option<String>,
    // The route says which it is.
    #[serde(rename = "is_group")]
    _is_group: Option<bool>,
    /// Of a member: as what.
    kind: Option<Vec<Kind>>,
    pub(super) program_memberships: Option<Vec<Membership>>,
}

/// A group with its members.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = OpenG2pGroupIn, example = json!({
    "name": "Household 1", "is_group": true, "kind": "Household", "is_partial_group": false,
    "members": [{"name": "Head One", "given_name": "Head", "family_name": "One", "kind": [{"name": "Head"}],
                 "program_memberships": [{"name": "Cash for all"}]}],
}))]
#[expect(clippy::struct_field_names, reason = "the names are those of the module")]
pub(super) struct Group {
    #[schema(value_type = String, required = true, max_length = 1_000, pattern = "^[^\\u0000]*\\S[^\\u0000]*$")]
    name: Option<String>,
    ids: Option<Vec<Identifier>>,
    #[schema(value_type = Option<String>, format = Date)]
    registration_date: Option<Day>,
    phone_numbers: Option<Vec<Phone>>,
    #[schema(max_length = 1_000, pattern = "^(\\s*|\\S+@[^\\s@]*\\.[^\\s@]*)$")]
    email: Option<String>,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*$")]
    address: Option<String>,
    #[serde(rename = "is_group")]
    _is_group: Option<bool>,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*\\S[^\\u0000]*$")]
    kind: Option<String>,
    is_partial_group: Option<bool>,
    pub(super) members: Vec<Individual>,
    pub(super) program_memberships: Option<Vec<Membership>>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = OpenG2pIdentifierIn)]
struct Identifier {
    #[schema(value_type = String, required = true, max_length = 255, pattern = "^[^\\u0000]*\\S[^\\u0000]*$")]
    id_type: Option<String>,
    #[schema(value_type = String, required = true, max_length = 255, pattern = "^[^\\u0000]*\\S[^\\u0000]*$")]
    value: Option<String>,
    #[schema(value_type = Option<String>, format = Date)]
    expiry_date: Option<Day>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = OpenG2pPhoneIn)]
struct Phone {
    #[schema(max_length = 255, pattern = "^[^\\u0000]*[0-9][^\\u0000]*$")]
    phone_no: String,
    #[schema(value_type = Option<String>, format = Date)]
    date_collected: Option<Day>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = OpenG2pKindIn)]
struct Kind {
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*\\S[^\\u0000]*$")]
    name: String,
}

/// A program by its name.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = OpenG2pMembershipIn)]
pub(super) struct Membership {
    pub(super) name: Option<String>,
    #[schema(value_type = Option<String>, format = Date)]
    pub(super) enrollment_date: Option<Day>,
}

/// An individual by itself, which has all its names: what the description says of [`Individual`] there.
#[derive(utoipa::ToSchema)]
#[schema(as = OpenG2pIndividualIn, example = json!({
    "name": "DELA CRUZ, MARIA", "given_name": "MARIA", "family_name": "DELA CRUZ", "is_group": false,
    "ids": [{"id_type": "National ID", "value": "112233445566778899", "expiry_date": "2030-12-31"}],
    "phone_numbers": [{"phone_no": "+639123456789", "date_collected": "2024-01-10"}],
    "program_memberships": [{"name": "Cash for all", "enrollment_date": "2024-01-15"}],
}))]
#[expect(dead_code, reason = "the fields are its description")]
pub(super) struct Alone {
    #[serde(flatten)]
    member: Individual,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*\\S[^\\u0000]*$")]
    given_name: String,
    #[schema(max_length = 1_000, pattern = "^[^\\u0000]*\\S[^\\u0000]*$")]
    family_name: String,
}

/// P9: bodies hold values of persons.
macro_rules! redacted_debug {
    ($($body:ident),*) => {
        $(impl std::fmt::Debug for $body {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($body)).finish_non_exhaustive()
            }
        })*
    };
}

redacted_debug!(Individual, Group, Identifier, Phone, Kind, Membership);

/// A text that is there: Odoo keeps no difference between none and an empty one.
fn filled(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty()).cloned()
}

fn name(given: Option<&String>) -> Result<Option<String>, Fault> {
    match filled(given) {
        Some(name) => Ok(Some(name)),
        None => Err(Fault::new(
            codes::REQUIRED,
            "Name should not be empty. Please provide a valid name.",
        )),
    }
}

fn identifiers(given: Option<&Vec<Identifier>>) -> Result<Vec<RegistrantIdentifier>, Fault> {
    let given = given.into_iter().flatten();
    given
        .map(|id| {
            let wrong = |what| Fault::new(codes::IDENTIFIER, what);
            Ok(RegistrantIdentifier {
                id_type: filled(id.id_type.as_ref())
                    .ok_or_else(|| wrong("ID type should not be empty."))?,
                value: filled(id.value.as_ref())
                    .ok_or_else(|| wrong("ID value should not be empty."))?,
                expiry_date: id.expiry_date,
            })
        })
        .collect()
}

fn phone_numbers(given: Option<&Vec<Phone>>) -> Result<Vec<PhoneNumber>, Fault> {
    let given = given.into_iter().flatten();
    given
        .map(|phone| {
            if !phone.phone_no.contains(|c: char| c.is_ascii_digit()) {
                return Err(Fault::new(codes::PHONE, "The phone number has no digit."));
            }
            Ok(PhoneNumber {
                phone_no: phone.phone_no.clone(),
                date_collected: phone.date_collected,
            })
        })
        .collect()
}

fn email(given: Option<&String>) -> Result<Option<String>, Fault> {
    let email = filled(given);
    let fits = email.as_ref().is_none_or(|email| {
        let plain = !email.contains(char::is_whitespace);
        let parts = email.rsplit_once('@');
        plain && parts.is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
    });
    if fits { Ok(email) } else { Err(Fault::new(codes::EMAIL, "The email address is not valid.")) }
}

fn registration_date(given: Option<Day>, today: Day) -> Result<Option<Day>, Fault> {
    match given {
        Some(day) if day > today => {
            Err(Fault::new(codes::FUTURE, "Registration date cannot be in the future"))
        }
        given => Ok(given),
    }
}

fn kind(name: &str, whose: &'static str) -> Result<String, Fault> {
    if name.trim().is_empty() {
        Err(Fault::new(codes::KIND, format!("{whose} should not be blank.")))
    } else {
        Ok(name.to_owned())
    }
}

/// How somebody without identifiers is known: by a reference of ours.
fn reference_of(ids: &[RegistrantIdentifier], reference: &str) -> Option<String> {
    ids.is_empty().then(|| reference.to_owned())
}

impl Individual {
    /// The names that the module asks of an individual by itself.
    pub(super) fn check_names(&self) -> Result<(), Fault> {
        let given = [("given_name", &self.given_name), ("family_name", &self.family_name)];
        match given.iter().find(|(_, text)| filled(text.as_ref()).is_none()) {
            Some((field, _)) => Err(Fault::new(codes::MANDATORY, format!("{field} is mandatory."))),
            None => Ok(()),
        }
    }

    /// As our messages say it; with `reference`, if nothing else names it.
    pub(super) fn info(&self, reference: &str, today: Day) -> Result<RegistrantInfo, Fault> {
        let ids = identifiers(self.ids.as_ref())?;
        Ok(RegistrantInfo {
            source: None,
            reference: reference_of(&ids, reference),
            ids,
            kind: RegistrantKind::Individual,
            name: name(self.name.as_ref())?,
            given_name: filled(self.given_name.as_ref()),
            family_name: filled(self.family_name.as_ref()),
            addl_name: filled(self.addl_name.as_ref()),
            gender: filled(self.gender.as_ref()),
            birthdate: self.birthdate,
            birth_place: filled(self.birth_place.as_ref()),
            email: email(self.email.as_ref())?,
            address: filled(self.address.as_ref()),
            registration_date: registration_date(self.registration_date, today)?,
            payment_address: None,
            disabled: None,
            phone_numbers: phone_numbers(self.phone_numbers.as_ref())?,
            group_kind: None,
            is_partial_group: None,
            clear: Vec::new(),
        })
    }

    /// Whether it says something that only a member can.
    pub(super) fn has_kind(&self) -> bool {
        self.kind.is_some()
    }

    /// As what it is a member.
    pub(super) fn kinds(&self) -> Result<Option<Vec<String>>, Fault> {
        let kinds = self.kind.as_ref().map(|kinds| kinds.iter());
        kinds.map(|kinds| kinds.map(|of| kind(&of.name, "Membership kind")).collect()).transpose()
    }
}

impl Group {
    /// As our messages say it; with `reference`, if nothing else names it.
    pub(super) fn info(&self, reference: &str, today: Day) -> Result<RegistrantInfo, Fault> {
        let ids = identifiers(self.ids.as_ref())?;
        Ok(RegistrantInfo {
            source: None,
            reference: reference_of(&ids, reference),
            ids,
            kind: RegistrantKind::Group,
            name: name(self.name.as_ref())?,
            given_name: None,
            family_name: None,
            addl_name: None,
            gender: None,
            birthdate: None,
            birth_place: None,
            email: email(self.email.as_ref())?,
            address: filled(self.address.as_ref()),
            registration_date: registration_date(self.registration_date, today)?,
            payment_address: None,
            disabled: None,
            phone_numbers: phone_numbers(self.phone_numbers.as_ref())?,
            group_kind: self.kind.as_deref().map(|of| kind(of, "Group type")).transpose()?,
            is_partial_group: self.is_partial_group,
            clear: Vec::new(),
        })
    }
}
