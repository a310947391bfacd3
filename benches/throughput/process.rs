//! CPU time and memory of processes, from /proc.

use std::collections::HashMap;

/// Clock ticks a second: what Linux has told programs on every machine of the last twenty years.
const TICKS: f64 = 100.0;

struct Stat {
    parent: u32,
    own: f64,
    children: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Some(Stat {
        parent: number(1)? as u32,
        own: (number(11)? + number(12)?) / TICKS,
        children: (number(13)? + number(14)?) / TICKS,
    })
}

/// CPU seconds of a process, of its children and of those that have ended.
pub(crate) fn cpu(pid: u32) -> f64 {
    let Some(root) = stat(pid) else { return 0.0 };
    let all: HashMap<u32, Stat> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect();
    let descends = |mut at: u32| {
        while let Some(stat) = all.get(&at) {
            if stat.parent == pid {
                return true;
            }
            at = stat.parent;
        }
        false
    };
    let living = all.iter().filter(|(other, _)| descends(**other));
    root.own + root.children + living.map(|(_, stat)| stat.own + stat.children).sum::<f64>()
}

/// The greatest resident memory that a process has had, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}
