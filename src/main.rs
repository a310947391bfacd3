//! The `rollcall` command.

use std::process::ExitCode;

/// Batches are built and dropped by several threads: glibc's allocator took a quarter of the worker's CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rollcall::cli::main()
}
