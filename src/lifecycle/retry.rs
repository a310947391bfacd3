//! All retry policies: how long to wait before what is tried again.

use std::{fmt::Display, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

/// The first pause; jitter makes it 50 to 100 ms.
const FIRST: Duration = Duration::from_millis(50);

/// Pauses for as long as an outage lasts (P6): doubling, with jitter, never longer than
/// `max_delay`, never ending.
pub fn outage(max_delay: Duration) -> impl Iterator<Item = Duration> + Send {
    // Jitter adds up to the pause itself, so half of the cap is doubled at the most.
    backoff(max_delay / 2).without_end()
}

/// A few pauses for what is retried a limited number of times, such as a lost race.
pub fn limited(times: usize, max_delay: Duration) -> impl Iterator<Item = Duration> + Send {
    backoff(max_delay / 2).times(times)
}

struct Policy(ExponentialBuilder);

fn backoff(cap: Duration) -> Policy {
    let first = FIRST.min(cap);
    Policy(ExponentialBuilder::default().with_min_delay(first).with_max_delay(cap).with_jitter())
}

impl Policy {
    fn without_end(self) -> ExponentialBackoff {
        self.0.without_max_times().build()
    }

    fn times(self, times: usize) -> ExponentialBackoff {
        self.0.with_max_times(times).build()
    }
}

/// Runs `op` until it succeeds or `token` is cancelled; `None` then.
///
/// Only for errors that are the system's; `what` names the operation in the log. The error's
/// `Display` is logged, so it must hold nothing of a person (P9).
#[expect(clippy::module_name_repetitions, reason = "it is named alone where it is used")]
pub async fn retry_outage<T, E: Display>(
    token: &CancellationToken,
    pauses: impl Iterator<Item = Duration>,
    what: &'static str,
    mut op: impl AsyncFnMut() -> Result<T, E>,
) -> Option<T> {
    let attempts = async {
        let mut pauses = pauses;
        let mut attempt = 0_u64;
        loop {
            attempt += 1;
            match op().await {
                Ok(value) => {
                    if attempt > 1 {
                        tracing::info!(what, attempt, "{what}: works again");
                    }
                    return Some(value);
                }
                Err(error) => {
                    let pause = pauses.next()?;
                    tracing::warn!(what, attempt, %error, ?pause, "{what}: failed, trying again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    };
    token.run_until_cancelled(attempts).await.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_of_an_outage_grow_to_the_cap_and_never_end() {
        let cap = Duration::from_secs(5);
        let pauses: Vec<_> = outage(cap).take(1_000).collect();
        assert_eq!(pauses.len(), 1_000);
        assert!(pauses[0] <= 2 * FIRST, "{:?}", pauses[0]);
        assert!(pauses.iter().all(|pause| *pause <= cap), "longer than the cap");
        assert!(pauses[999] >= cap / 2);
    }

    #[tokio::test]
    async fn an_outage_is_waited_out() {
        let mut left = 3;
        let token = CancellationToken::new();
        let pauses = std::iter::repeat(Duration::ZERO);
        let done = retry_outage(&token, pauses, "test", async || {
            left -= 1;
            if left == 0 { Ok(7) } else { Err("away") }
        })
        .await;
        assert_eq!(done, Some(7));
    }

    #[tokio::test]
    async fn cancelling_ends_the_wait() {
        let token = CancellationToken::new();
        token.cancel();
        let pauses = std::iter::repeat(Duration::from_hours(1));
        let done: Option<()> = retry_outage(&token, pauses, "test", async || Err("away")).await;
        assert_eq!(done, None);
    }
}
