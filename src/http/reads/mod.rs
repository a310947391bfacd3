//! Reads: memberships, their history, registrants, groups and members.

pub mod json;
