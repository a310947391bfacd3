//! Ids are functions of what was said, and nothing else.

use super::super::{ProgramId, event_id, membership_id, registrant_id};
use std::collections::HashSet;
use time::Duration;
use time::macros::datetime;

#[test]
fn ids_are_functions_of_the_request() {
    let at = datetime!(2026-03-10 9:00:00.123456 UTC);
    let one = membership_id(at, "registry", "m-1", "/program_memberships/0");
    assert_eq!(one, membership_id(at, "registry", "m-1", "/program_memberships/0"));
    assert_eq!(one.0.get_version_num(), 8);
    let millis = u64::from_be_bytes([&[0, 0], &one.0.as_bytes()[..6]].concat().try_into().unwrap());
    assert_eq!(millis, 1_773_133_200_123, "48 bits of the record's timestamp in ms come first");
    let others = [
        membership_id(at, "registry", "m-2", "/program_memberships/0"),
        membership_id(at, "registry", "m-1", "/program_memberships/1"),
        membership_id(at, "registr", "ym-1", "/program_memberships/0"),
        membership_id(at + Duration::milliseconds(1), "registry", "m-1", "/program_memberships/0"),
    ];
    assert_eq!(others.iter().chain([&one]).collect::<HashSet<_>>().len(), 5);
    assert_ne!(registrant_id(at, "registry", "m-1", "/program_memberships/0").0, one.0);
    // Times outside of 48 bits are kept within.
    for at in [datetime!(1900-01-01 0:00 UTC), datetime!(9999-12-31 0:00 UTC)] {
        assert_eq!(membership_id(at, "s", "m", "").0.get_version_num(), 8);
    }
}

/// Ids stand in other systems: a change here would make new ones for what is known already.
#[test]
fn ids_stay_what_they_are() {
    let at = datetime!(2026-03-10 9:00 UTC);
    let membership = membership_id(at, "registry", "m-1", "/program_memberships/0");
    let said = [
        registrant_id(at, "registry", "m-1", "/registrant").0,
        membership.0,
        event_id(membership, 1),
        event_id(membership, 12),
        ProgramId::of("cash").0,
    ];
    insta::assert_snapshot!("ids", said.map(|id| id.to_string()).join("\n"));
}
