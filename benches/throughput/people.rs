//! Made-up persons: names of several scripts, keys that are spread over their whole range.

use rollcall::contract::wire::{
    Day, EnrollmentRequest, Millis, ProgramMembershipIn, RegistrantIdentifier, RegistrantInfo,
    RegistrantKind, RequestedState,
};

/// The source that all requests name.
pub(crate) const SOURCE: &str = "civil-registry";
/// The type of their identifiers.
pub(crate) const ID_TYPE: &str = "national_id";
/// The programs: code and name.
pub(crate) const PROGRAMS: [(&str, &str); 5] = [
    ("CASH-2026", "Cash transfer 2026"),
    ("FOOD-AID", "Food assistance"),
    ("SCHOOL-MEALS", "School meals"),
    ("PENSION", "Social pension"),
    ("HEALTH-COVER", "Health insurance for households"),
];
/// The program of households. Its code is the last of all, so that `preload` finds the others before it.
pub(crate) const HOUSEHOLDS: (&str, &str) = ("SHELTER-2026", "Shelter for households 2026");

const GIVEN: [&str; 16] = [
    "Amara",
    "Juan",
    "Nguyễn",
    "José",
    "सुनीता",
    "राम",
    "فاطمة",
    "محمد",
    "Ольга",
    "ሰላም",
    "நிலா",
    "සඳුනි",
    "สมชาย",
    "明",
    "Zsófia",
    "Rosa",
];
const FAMILY: [&str; 16] = [
    "Okafor",
    "García",
    "Trần",
    "dela Cruz",
    "शर्मा",
    "थापा",
    "العلي",
    "حسن",
    "Іваненко",
    "በቀለ",
    "முருகன்",
    "පෙරේරා",
    "ใจดี",
    "王",
    "Kovács",
    "Ramaroson",
];

/// The n-th value of a sequence that visits every number below 10¹⁰ once, in no order: so keys of new registrants
/// fall between those that are there, and not behind them. `preload` has the same in SQL.
pub(crate) const fn spread(n: u64) -> u64 {
    n * SPREAD % KEYS
}

/// Odd and no multiple of 5, so it has no factor in common with [`KEYS`].
pub(crate) const SPREAD: u64 = 6_180_339_887;
/// How many keys there are.
pub(crate) const KEYS: u64 = 10_000_000_000;

/// The reference of the n-th person.
pub(crate) fn reference(n: u64) -> String {
    format!("CR-{:010}", spread(n))
}

/// The request that enrolls the n-th person; the same person again is the same content under another id.
pub(crate) fn request(n: u64, message_id: String, sent_at_ms: i64) -> EnrollmentRequest {
    let pick = |list: &[&'static str; 16], by: u64| {
        list.get((by % 16) as usize).copied().unwrap_or_default()
    };
    // Given and family name of the same script more often than not.
    let given = pick(&GIVEN, n);
    let family = pick(&FAMILY, if n.is_multiple_of(5) { n / 7 } else { n });
    let program = PROGRAMS.get((n % 5) as usize).map_or("", |program| program.0);
    EnrollmentRequest {
        message_id,
        source: SOURCE.to_owned(),
        sent_at: Millis(sent_at_ms),
        attempt: 1,
        batch: None,
        actor: None,
        atomic: false,
        registrant: RegistrantInfo {
            reference: Some(reference(n)),
            ids: vec![RegistrantIdentifier {
                id_type: ID_TYPE.to_owned(),
                value: format!("{:012}", spread(n + 500_000_000) * 97),
                expiry_date: None,
            }],
            name: Some(format!("{given} {family} {n}")),
            given_name: Some(given.to_owned()),
            family_name: Some(family.to_owned()),
            gender: Some(if n.is_multiple_of(2) { "F" } else { "M" }.to_owned()),
            birthdate: Some(Day(-10_000 + (n % 20_000) as i32)),
            payment_address: Some(format!("mm:{:011}", n * 13)),
            ..nobody()
        },
        program_memberships: vec![ProgramMembershipIn {
            program: program.to_owned(),
            state: RequestedState::Enrolled,
            enrollment_date: Some(Day(20_454)),
        }],
    }
}

/// An individual of whom nothing is said.
pub(crate) fn nobody() -> RegistrantInfo {
    RegistrantInfo { kind: RegistrantKind::Individual, ..RegistrantInfo::default() }
}
