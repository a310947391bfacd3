//! Letters as an operator works on them: found, understood, and put right (P5).
//!
//! Whoever looks at a letter sees what it is; what it says of persons is masked unless that is asked for, which leaves a
//! row in the audit (P9).

mod advice;
mod desk;
mod mask;
mod preview;
mod refusal;
mod run;
mod show;
mod slice;
mod wish;
pub mod words;

/// The store's part: what is asked for and how much of it there is.
pub use crate::store::letters_list::{Alike, Filter, Listed, Place, groups, list, open_groups};
pub use crate::store::letters_runs::{
    Item, Run, counts as run_counts, left as left_of_run, list as runs,
};
pub use advice::Advice;
pub use desk::{Desk, Selection};
pub use preview::Preview;
pub use refusal::Refusal;
pub use show::{Shown, discarded, group_object, object, outcome_word, run_object, show};
pub use wish::{How, Wish};
