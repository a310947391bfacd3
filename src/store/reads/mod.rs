//! What callers read: pages in the order of a key, each from one statement.
//!
//! A page holds what was committed when it was read, and begins after the last key of the one before: what comes and
//! goes meanwhile neither repeats nor hides another row.

pub mod groups;
pub mod history;
pub mod memberships;
pub mod openg2p;
pub mod registrants;
