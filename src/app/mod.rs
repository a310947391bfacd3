//! The composition root: what is put together from the other modules.

pub mod embedded;
