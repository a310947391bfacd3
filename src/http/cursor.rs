//! Cursors of lists: where a page ended, opaque to the caller, good for the list that gave it.

use super::problem::{Code, Flaw, Problem};
use sha2::{Digest as _, Sha256};
use utoipa::IntoParams;

/// Which part of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by name; the fields are its description")]
pub(super) struct Page {
    /// How many items: 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub(super) limit: Option<i64>,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

/// How many bytes of the checksum a cursor carries: against mistakes, it is no secret.
const CHECK: usize = 6;

fn check(list: &str, place: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(list.as_bytes());
    hash.update([0]);
    hash.update(place);
    hash.finalize().iter().copied().take(CHECK).collect()
}

/// The cursor after `place` in `list`; `list` names the list and the parameters that it depends on.
pub(super) fn seal(list: &str, place: &str) -> String {
    let mut bytes = check(list, place.as_bytes());
    bytes.extend_from_slice(place.as_bytes());
    hex::encode(bytes)
}

/// The place of a cursor that [`seal`] gave for this list.
///
/// # Errors
/// It is none.
pub(super) fn open(list: &str, cursor: &str) -> Result<String, Problem> {
    let invalid = || {
        let detail = "it must be the next_cursor of the page before, with the same parameters";
        let flaw = Flaw::of_parameter("cursor", Code::InvalidCursor, detail);
        Problem::of(Code::InvalidCursor).with_errors(vec![flaw])
    };
    let bytes = hex::decode(cursor).map_err(|_error| invalid())?;
    let (given, place) = bytes.split_at_checked(CHECK).ok_or_else(invalid)?;
    if given != check(list, place) {
        return Err(invalid());
    }
    let place = String::from_utf8(place.to_vec()).map_err(|_error| invalid())?;
    // Anybody can seal a place: it goes to the database, which takes no NUL.
    if place.contains('\0') { Err(invalid()) } else { Ok(place) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list() {
        let cursor = seal("programs", "CASH");
        assert_eq!(open("programs", &cursor).unwrap(), "CASH");
        for (list, cursor) in [
            ("memberships", cursor.as_str()),
            ("programs", ""),
            ("programs", "zz"),
            ("programs", "00"),
        ] {
            assert!(open(list, cursor).is_err(), "{list} {cursor}");
        }
        assert!(open("programs", &seal("programs", "CA\0SH")).is_err());
    }
}
