//! Letters as an operator works on them: found, understood, and put right (P5).
//!
//! Whoever looks at a letter sees what it is; what it says of persons is masked unless that is asked for, which leaves a
//! row in the audit (P9).

mod advice;
mod desk;
mod mask;
mod run;
mod show;

/// The store's part: what is asked for and how much of it there is.
pub use crate::store::letters_list::{Alike, Filter, Listed, Place, groups, list, open_groups};
pub use crate::store::letters_runs::{
    Item, Run, counts as run_counts, left as left_of_run, list as runs,
};
pub use advice::Advice;
pub use desk::{Desk, How, Preview, Refusal, Selection, Wish};
pub use show::{Shown, group_object, object, run_object, show};
