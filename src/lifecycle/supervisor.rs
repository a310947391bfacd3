//! Tasks, signals and the two-stage shutdown.
//!
//! The first signal (or a task that ends unasked) cancels the *soft* token: intake stops taking and
//! finishes or drops its batch. When all intake tasks have ended, or at four fifths of the grace,
//! the *publish* token is cancelled: the relay flushes. When those have ended the *rest* token is
//! cancelled (leases, HTTP, metrics). A second signal, or the end of the grace, cancels the *hard*
//! token, parent of all, and nothing is waited for any longer.

use std::{
    any::Any,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// When in the order of shutdown a task is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Consumer and lanes: first.
    Intake,
    /// The relay: when nothing is applied any more.
    Publish,
    /// Everything else: last.
    Rest,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By a signal, in order.
    Clean,
    /// Because this task ended unasked.
    Failed {
        /// The task.
        task: &'static str,
    },
    /// By a second signal or the end of the grace, with tasks still running.
    Forced,
}

#[derive(Debug)]
struct Stage {
    token: CancellationToken,
    tasks: TaskTracker,
}

/// The supervisor of all tasks; clones share it.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    grace: Duration,
    hard: CancellationToken,
    intake: Stage,
    publish: Stage,
    rest: Stage,
    failed: Mutex<Option<&'static str>>,
}

impl Lifecycle {
    /// A supervisor whose orderly shutdown may take `grace`.
    pub fn new(grace: Duration) -> Self {
        let hard = CancellationToken::new();
        let stage = || Stage { token: hard.child_token(), tasks: TaskTracker::new() };
        let (intake, publish, rest) = (stage(), stage(), stage());
        let failed = Mutex::new(None);
        Self { inner: Arc::new(Inner { grace, hard, intake, publish, rest, failed }) }
    }

    /// Cancelled when intake shall stop; the beginning of shutdown.
    pub fn soft(&self) -> &CancellationToken {
        &self.inner.intake.token
    }

    /// Cancelled when everything shall end at once.
    pub fn hard(&self) -> &CancellationToken {
        &self.inner.hard
    }

    /// The token that tells the tasks of a group to end.
    pub fn token(&self, group: Group) -> &CancellationToken {
        &self.stage(group).token
    }

    /// Runs a task that must not end before its group is told to.
    ///
    /// An unasked end, by return or panic, shuts the process down as failed.
    pub fn spawn(
        &self,
        group: Group,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let watched = self.clone();
        self.stage(group).tasks.spawn(async move {
            let end = AssertUnwindSafe(task).catch_unwind().await;
            watched.ended(group, name, &end);
        });
    }

    /// Runs a task on a thread of its own, such as a consumer's poll loop; as [`Self::spawn`].
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn spawn_blocking_thread(
        &self,
        group: Group,
        name: &'static str,
        task: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let watched = self.clone();
        let tracked = self.stage(group).tasks.token();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let end = catch_unwind(AssertUnwindSafe(task));
            watched.ended(group, name, &end);
            drop(tracked);
        })?;
        Ok(())
    }

    /// Begins an orderly shutdown, as the first signal does.
    pub fn shut_down(&self) {
        self.soft().cancel();
    }

    /// Waits for a signal or a failed task, then ends all groups in order.
    ///
    /// # Errors
    /// The handlers for SIGTERM and SIGINT cannot be installed.
    pub async fn run_until_stopped(&self) -> io::Result<Outcome> {
        let mut signals = Signals::install()?;
        tokio::select! {
            signal = signals.next() => tracing::info!(signal, "{signal}: shutting down"),
            () = self.soft().cancelled() => {}
        }
        self.soft().cancel();
        let deadline = Instant::now() + self.inner.grace;
        let forced = tokio::select! {
            forced = self.drain(deadline) => forced,
            signal = signals.next() => {
                tracing::warn!(signal, "{signal} again: ending at once");
                true
            }
            () = self.hard().cancelled() => true,
        };
        self.hard().cancel();
        let failed = *self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match failed {
            Some(task) => Outcome::Failed { task },
            None if forced => Outcome::Forced,
            None => Outcome::Clean,
        })
    }

    /// Ends group after group; true if the grace was not enough.
    async fn drain(&self, deadline: Instant) -> bool {
        let inner = &self.inner;
        // The relay and the leases keep a fifth of the grace, however slow intake is.
        let margin = inner.grace / 5;
        let mut late = false;
        for (stage, until) in [
            (&inner.intake, deadline - margin),
            (&inner.publish, deadline - margin / 2),
            (&inner.rest, deadline),
        ] {
            stage.token.cancel();
            stage.tasks.close();
            late |= timeout_at(until, stage.tasks.wait()).await.is_err();
        }
        late && !(inner.intake.tasks.is_empty()
            && inner.publish.tasks.is_empty()
            && inner.rest.tasks.is_empty())
    }

    fn ended(&self, group: Group, name: &'static str, end: &Result<(), Box<dyn Any + Send>>) {
        // What a panic says is not logged here: it may hold values (P9).
        match end {
            Ok(()) if self.token(group).is_cancelled() => return,
            Ok(()) => tracing::error!(task = name, "task {name} ended unasked: shutting down"),
            Err(_) => tracing::error!(task = name, "task {name} panicked: shutting down"),
        }
        self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(name);
        self.soft().cancel();
    }

    fn stage(&self, group: Group) -> &Stage {
        match group {
            Group::Intake => &self.inner.intake,
            Group::Publish => &self.inner.publish,
            Group::Rest => &self.inner.rest,
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const GRACE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn groups_end_in_order() {
        let lifecycle = Lifecycle::new(GRACE);
        let (said, heard) = mpsc::channel();
        for (group, name) in
            [(Group::Rest, "rest"), (Group::Publish, "publish"), (Group::Intake, "intake")]
        {
            let (token, said) = (lifecycle.token(group).clone(), said.clone());
            lifecycle.spawn(group, name, async move {
                token.cancelled().await;
                said.send(name).unwrap();
            });
        }
        lifecycle.shut_down();
        assert_eq!(lifecycle.run_until_stopped().await.unwrap(), Outcome::Clean);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["intake", "publish", "rest"]);
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_is_a_failure() {
        let lifecycle = Lifecycle::new(GRACE);
        lifecycle.spawn(Group::Rest, "short", async {});
        let failed = Outcome::Failed { task: "short" };
        assert_eq!(lifecycle.run_until_stopped().await.unwrap(), failed);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_on_a_thread_too() {
        let lifecycle = Lifecycle::new(GRACE);
        lifecycle.spawn_blocking_thread(Group::Intake, "poll", || panic!("seeded")).unwrap();
        let failed = Outcome::Failed { task: "poll" };
        assert_eq!(lifecycle.run_until_stopped().await.unwrap(), failed);
    }

    #[tokio::test]
    async fn what_does_not_end_is_forced_and_the_others_still_get_their_turn() {
        let lifecycle = Lifecycle::new(Duration::from_millis(200));
        lifecycle.spawn(Group::Intake, "stuck", std::future::pending());
        let token = lifecycle.token(Group::Publish).clone();
        let (said, heard) = mpsc::channel();
        lifecycle.spawn(Group::Publish, "relay", async move {
            token.cancelled().await;
            said.send("flushed").unwrap();
        });
        lifecycle.shut_down();
        assert_eq!(lifecycle.run_until_stopped().await.unwrap(), Outcome::Forced);
        assert_eq!(heard.try_recv(), Ok("flushed"));
        assert!(lifecycle.hard().is_cancelled());
    }
}
