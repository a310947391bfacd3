//! Lists that are shown page by page.

use super::output::push;

/// A page of a list.
#[derive(Debug, clap::Args)]
pub(super) struct Page {
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(super) limit: u16,
    /// Where the page begins: `next_cursor` of the one before
    #[arg(long)]
    pub(super) cursor: Option<String>,
}

/// The text of a page, with where the next one begins if there is one.
pub(super) fn paged(mut text: String, next_cursor: Option<&str>) -> String {
    if let Some(next) = next_cursor {
        push(&mut text, format_args!("More: --cursor {next}\n"));
    }
    text
}
