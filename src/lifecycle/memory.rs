//! How much memory the allocator holds on to.

/// Sees to it that a process that runs for long uses few arenas of glibc's allocator.
///
/// By default threads share eight arenas a core, and each keeps what it once held: with librdkafka's threads that was
/// a quarter of the worker's memory, for no gain in speed. With fewer than one a core threads wait for each other
/// (docs/BENCHMARKS.md). glibc reads the number from the environment when a process begins, so the process begins once
/// more, under the same id. Where the variable is set already, or nothing can be done, everything stays as it is.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_few_arenas() {
    use std::os::unix::process::CommandExt as _;
    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Returns only if it fails; then this process goes on, with more memory.
    drop(again.args(arguments).env(ARENAS, cores.to_string()).exec());
}

/// Other allocators have no such arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_few_arenas() {}
