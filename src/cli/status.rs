//! x
use super::{Context, exit::*};
/// Say how it goes
#[derive(Debug, clap::Args)]
pub(super) struct Args {}
pub(super) async fn main(_: &Args, _: &Context) -> Result<Exit> {
    Ok(Exit::Done)
}
