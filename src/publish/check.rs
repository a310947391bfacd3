//! Whether the topics are ahead of the database: after a failover that lost commits, or a restore, new records would
//! get numbers that consumers have already seen, and be ignored.

use super::heads::{Head, Look};
use super::route::Route;
use super::{Config, Error};
use crate::store::leases;
use crate::store::relay::{Feed, feeds};
use crate::store::relay_progress::set_behind_topics;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What [`check_topics`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No topic is ahead of the database.
    Fine,
    /// A topic is ahead: nothing may be applied or published. The halt `database_behind_topics` is set.
    Ahead {
        /// Topic, partition and both numbers.
        cause: String,
    },
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Compares the last number in each output partition with the last one given in the database, and sets or lifts the
/// halt `database_behind_topics`.
///
/// # Errors
/// [`Error::Topics`] when a topic is missing or has fewer partitions than there are shards: nothing can start then.
/// [`Error::OtherCluster`]: what is published there, nobody gets, and its numbers say nothing of ours; the halt is left alone.
/// [`Error::Kafka`] and [`Error::Store`] are outages: try again.
pub async fn check_topics(
    config: &Config,
    pool: &PgPool,
    cancel: &CancellationToken,
) -> Result<Verdict, Error> {
    let mut db = pool.acquire().await.map_err(crate::store::Error::from)?;
    let routes = routes(&feeds(&mut db).await?, config);
    let clusters = leases::clusters(&mut db).await?;
    // No connection is held while Kafka is asked.
    drop(db);
    let heads = {
        let (config, routes, cancel) = (config.clone(), routes.clone(), cancel.clone());
        let look = tokio::task::spawn_blocking(move || {
            let look = Look::new(&config, PATIENCE, &cancel)?;
            look.require_cluster(&clusters)?;
            all_heads(&look, &routes)
        });
        look.await.map_err(|_panicked| Error::Cancelled)??
    };
    // Read after the topics: whatever a topic held then was committed before, unless commits were lost.
    let mut db = pool.acquire().await.map_err(crate::store::Error::from)?;
    let verdict = compare(&feeds(&mut db).await?, &heads, config);
    let cause = match &verdict {
        Verdict::Fine => None,
        Verdict::Ahead { cause } => Some(cause.as_str()),
    };
    set_behind_topics(&mut db, cause).await?;
    Ok(verdict)
}

/// The routes of all topics that this version knows.
pub(super) fn routes(feeds: &[Feed], config: &Config) -> Vec<Route> {
    feeds.iter().filter_map(|feed| Route::new(feed, config)).collect()
}

type Heads = BTreeMap<(String, i32), Head>;

fn all_heads(look: &Look<'_>, routes: &[Route]) -> Result<Heads, Error> {
    look.require_topics(routes)?;
    let mut topics: BTreeMap<&str, Vec<&Route>> = BTreeMap::new();
    for route in routes {
        topics.entry(&route.full_topic).or_default().push(route);
    }
    let mut heads = Heads::new();
    for (topic, routes) in topics {
        let Some(kind) = routes.first().map(|route| route.kind) else {
            continue;
        };
        let partitions: Vec<i32> = routes.iter().map(|route| route.partition).collect();
        let found = look.heads(topic, kind, &partitions)?;
        heads.extend(
            found.into_iter().map(|(partition, head)| ((topic.to_owned(), partition), head)),
        );
    }
    Ok(heads)
}

fn compare(feeds: &[Feed], heads: &Heads, config: &Config) -> Verdict {
    for feed in feeds {
        let topic = config.full_topic(&feed.topic);
        let ours = Head { generation: i64::from(feed.generation), sequence: feed.last_seq };
        match heads.get(&(topic.clone(), feed.shard)) {
            Some(head) if *head > ours => {
                let cause = format!(
                    "{topic} partition {} holds number {} of generation {}, but the database has given only {} of \
                     generation {}: it has lost commits",
                    feed.shard, head.sequence, head.generation, ours.sequence, ours.generation,
                );
                return Verdict::Ahead { cause };
            }
            _ => {}
        }
    }
    Verdict::Fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greater_number_or_generation_in_the_topic_is_ahead() {
        let config = Config::new("b:1", "t.", "o");
        let feed = Feed {
            stream: 0,
            kind: "results".to_owned(),
            shard: 3,
            generation: 1,
            topic: "results".to_owned(),
            acked: 5,
            last_seq: 7,
        };
        let verdict = |generation, sequence| {
            let heads = Heads::from([(("t.results".to_owned(), 3), Head { generation, sequence })]);
            compare(std::slice::from_ref(&feed), &heads, &config)
        };
        assert_eq!(verdict(1, 7), Verdict::Fine);
        assert_eq!(verdict(0, 9), Verdict::Fine);
        assert_ne!(verdict(2, 1), Verdict::Fine);
        let Verdict::Ahead { cause } = verdict(1, 8) else { panic!("8 is ahead of 7") };
        assert!(cause.contains("t.results partition 3 holds number 8") && cause.contains("only 7"));
        assert_eq!(compare(&[feed], &Heads::new(), &config), Verdict::Fine);
    }
}
