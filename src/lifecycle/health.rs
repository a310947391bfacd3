//! Whether the process makes progress (`/livez`) and is able to commit (`/readyz`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Heartbeats and conditions of one process; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    beats: BTreeMap<&'static str, Beat>,
    /// Why a condition does not hold; `None` if it does.
    conditions: BTreeMap<&'static str, Option<String>>,
}

#[derive(Debug)]
struct Beat {
    last: Instant,
    stall: Duration,
}

/// A task without progress for longer than it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// The task.
    pub task: &'static str,
    /// Time since its last sign of life.
    pub silent: Duration,
}

impl Health {
    /// Registers a task; it must beat more often than every `stall`, or `/livez` fails.
    ///
    /// The task leaves the list when its heartbeat is dropped.
    #[must_use]
    pub fn heartbeat(&self, task: &'static str, stall: Duration) -> Heartbeat {
        self.state().beats.insert(task, Beat { last: Instant::now(), stall });
        Heartbeat { health: self.clone(), task }
    }

    /// Declares a condition of readiness, such as `postgres`; it does not hold until it is set.
    pub fn require(&self, condition: &'static str) {
        self.state().conditions.entry(condition).or_insert_with(|| Some("starting".to_owned()));
    }

    /// Says that a condition holds.
    pub fn set_ready(&self, condition: &'static str) {
        self.state().conditions.insert(condition, None);
    }

    /// Says that a condition does not hold, and why; nothing of a person in it (P9).
    pub fn set_not_ready(&self, condition: &'static str, reason: impl Into<String>) {
        self.state().conditions.insert(condition, Some(reason.into()));
    }

    /// Tasks that stall; empty means alive.
    pub fn stalled(&self) -> Vec<Stalled> {
        let now = Instant::now();
        let state = self.state();
        let silent = |beat: &Beat| now.saturating_duration_since(beat.last);
        let stalls = state.beats.iter().filter(|(_, beat)| silent(beat) > beat.stall);
        stalls.map(|(task, beat)| Stalled { task, silent: silent(beat) }).collect()
    }

    /// Conditions with the reason why they do not hold.
    pub fn conditions(&self) -> Vec<(&'static str, Option<String>)> {
        self.state().conditions.iter().map(|(name, reason)| (*name, reason.clone())).collect()
    }

    /// Whether all conditions hold, and at least one was declared.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        !state.conditions.is_empty() && state.conditions.values().all(Option::is_none)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's sign of life.
#[derive(Debug)]
pub struct Heartbeat {
    health: Health,
    task: &'static str,
}

impl Heartbeat {
    /// Says that the task made progress, or waits for something it may wait for.
    pub fn beat(&self) {
        if let Some(beat) = self.health.state().beats.get_mut(self.task) {
            beat.last = Instant::now();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.health.state().beats.remove(self.task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_task_is_stalled_until_it_beats_or_ends() {
        let health = Health::default();
        let quick = health.heartbeat("quick", Duration::ZERO);
        let _slow = health.heartbeat("slow", Duration::from_hours(1));
        while health.stalled().is_empty() {
            std::hint::spin_loop();
        }
        assert_eq!(health.stalled()[0].task, "quick");
        drop(quick);
        assert_eq!(health.stalled(), []);
    }

    #[test]
    fn ready_means_that_every_condition_holds() {
        let health = Health::default();
        assert!(!health.is_ready());
        health.require("postgres");
        health.set_ready("kafka");
        assert!(!health.is_ready());
        health.set_ready("postgres");
        health.require("postgres");
        assert!(health.is_ready());
        health.set_not_ready("kafka", "no broker answers");
        assert!(!health.is_ready());
        assert_eq!(health.conditions()[0], ("kafka", Some("no broker answers".to_owned())));
    }
}
