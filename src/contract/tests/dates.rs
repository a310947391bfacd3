//! The date of an instant in `dates.time_zone`.

use super::dates;
use crate::contract::wire::{Day, Millis};
use time::macros::{date, datetime, offset};
use time::{Date, OffsetDateTime};

#[test]
fn the_date_is_that_of_the_time_zone() {
    let cases: [(&str, OffsetDateTime, Date); 14] = [
        ("UTC", datetime!(2026-01-31 23:59:59.999 UTC), date!(2026 - 01 - 31)),
        ("UTC", datetime!(2026-02-01 0:00 UTC), date!(2026 - 02 - 01)),
        // + 5:30
        ("Asia/Kolkata", datetime!(2026-01-31 18:29:59.999 UTC), date!(2026 - 01 - 31)),
        ("Asia/Kolkata", datetime!(2026-01-31 18:30 UTC), date!(2026 - 02 - 01)),
        // - 3:30, in summer - 2:30
        ("America/St_Johns", datetime!(2026-02-01 3:29:59 UTC), date!(2026 - 01 - 31)),
        ("America/St_Johns", datetime!(2026-02-01 3:30 UTC), date!(2026 - 02 - 01)),
        ("America/St_Johns", datetime!(2026-07-01 2:29:59 UTC), date!(2026 - 06 - 30)),
        ("America/St_Johns", datetime!(2026-07-01 2:30 UTC), date!(2026 - 07 - 01)),
        // The hours around the change to summer time, at 2026-03-29 01:00 UTC.
        ("Europe/Berlin", datetime!(2026-03-28 22:59:59 UTC), date!(2026 - 03 - 28)),
        ("Europe/Berlin", datetime!(2026-03-28 23:00 UTC), date!(2026 - 03 - 29)),
        ("Europe/Berlin", datetime!(2026-03-29 22:00 UTC), date!(2026 - 03 - 30)),
        // A day that never was: Samoa left out 2011-12-30.
        ("Pacific/Apia", datetime!(2011-12-30 9:59:59 UTC), date!(2011 - 12 - 29)),
        ("Pacific/Apia", datetime!(2011-12-30 10:00 UTC), date!(2011 - 12 - 31)),
        // Before the epoch, with a fraction of a second.
        ("UTC", datetime!(1969-12-31 23:59:59.5 UTC), date!(1969 - 12 - 31)),
    ];
    for (zone, time, expected) in cases {
        assert_eq!(dates(zone).date_of(time), expected, "{zone} {time}");
    }
}

#[test]
fn the_offset_that_an_instant_is_written_with_does_not_matter() {
    let time = datetime!(2026-01-31 18:30 UTC);
    for zone in ["UTC", "Asia/Kolkata", "America/St_Johns"] {
        let dates = dates(zone);
        assert_eq!(dates.date_of(time.to_offset(offset!(+14))), dates.date_of(time));
        assert_eq!(dates.date_of(time.to_offset(offset!(-12))), dates.date_of(time));
    }
}

#[test]
fn the_ends_of_what_is_taken_do_not_overflow() {
    for millis in [datetime!(0001-01-03 0:00 UTC), datetime!(9989-12-31 23:59:59.999 UTC)] {
        let time = Millis::from(millis).time().unwrap();
        for zone in ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"] {
            let _ = dates(zone).date_of(time);
        }
    }
}

#[test]
fn days_count_from_the_epoch() {
    assert_eq!(Day::from(date!(1970 - 01 - 01)), Day(0));
    assert_eq!(Day::from(date!(1969 - 12 - 31)), Day(-1));
    assert_eq!(Day(20_484).date(), Some(date!(2026 - 01 - 31)));
    assert_eq!(Day(i32::MAX).date(), None);
    assert_eq!(Day(i32::MIN).date(), None);
}

#[test]
fn plain_json_takes_whole_days_and_zoned_times_only() {
    let day = |text: &str| serde_json::from_value::<Day>(text.into()).ok();
    assert_eq!(day("2024-02-29"), Some(Day::from(date!(2024 - 02 - 29))));
    for wrong in ["2026-02-30", "2026-1-31", "2026-01-31T00:00:00Z", "31.01.2026", "", "20260131"] {
        assert_eq!(day(wrong), None, "{wrong}");
    }
    let millis = |text: &str| serde_json::from_value::<Millis>(text.into()).ok();
    assert_eq!(millis("1970-01-01T00:00:00.001Z"), Some(Millis(1)));
    assert_eq!(millis("1970-01-01T05:30:00+05:30"), Some(Millis(0)));
    for wrong in ["1970-01-01T00:00:00", "1970-01-01", "now", ""] {
        assert_eq!(millis(wrong), None, "{wrong}");
    }
    assert!(serde_json::from_str::<Day>("20484").is_err());
}
