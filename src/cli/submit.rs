//! x
use super::{Context, exit::*};
/// Send a file
#[derive(Debug, clap::Args)]
pub(super) struct Args {}
pub(super) async fn main(_: Args, _: &Context) -> Result<Exit> {
    Ok(Exit::Done)
}
