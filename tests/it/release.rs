//! Waiting records that an operator lets go: decided as things stand, and never before their turn.

use rollcall::app::parked::{Order, release, release_all};
use rollcall::apply::TopicPartition;
use rollcall::contract::wire::Action;
use rollcall::lifecycle::clock::Clock as _;
use rollcall::store::parked::{self, Most};
use rollcall::store::parked_list::{Filter, Outcome};
use uuid::Uuid;

use crate::scene::{Scene, carrying, enrollment, partition, partition_of, record, update};

struct Released {
    scene: Scene,
    enrollments: TopicPartition,
    updates: TopicPartition,
    fence: Uuid,
}

impl Released {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let (enrollments, updates) = (partition(0), partition_of("membership-updates", 0));
        let fence = scene.lease(&enrollments).await;
        scene.lease(&updates).await;
        sqlx::query("UPDATE partition_leases SET fence = $1")
            .bind(fence)
            .execute(&scene.pool)
            .await
            .unwrap();
        Self { scene, enrollments, updates, fence }
    }

    async fn act(&self, offset: i64, reference: &str, action: Action) {
        let request = update(&format!("u{offset}"), reference, "CASH", action);
        let record = carrying(&self.updates, offset, Some(reference), &request);
        self.scene.apply(self.fence, vec![record]).await;
    }

    fn order(&self) -> Order<'static> {
        Order { actor: Some("clerk"), reason: "enough", at: self.scene.clock.now() }
    }

    /// Message and outcome of every parked record, in order.
    async fn parked(&self) -> String {
        self.scene
            .text("SELECT string_agg(message_id || coalesce(outcome, '-'), ' ' ORDER BY parked_id) FROM parked_records")
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_ahead_by_being_released() {
    let w = Released::new().await;
    w.act(0, "r1", Action::Pause).await;
    w.act(1, "r1", Action::Resume).await;
    w.act(2, "r1", Action::Exit).await;
    let mut connection = w.scene.pool.acquire().await.unwrap();
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT parked_id FROM parked_records ORDER BY parked_id")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    // The last of the queue: it stays behind the two before it.
    let done = release(&mut connection, &ids[2..], w.order()).await.unwrap();
    assert_eq!(done, Outcome { released: 1, behind: 1, before: 0 });
    w.scene.drain().await;
    assert_eq!(w.parked().await, "u0- u1- u2-");
    // The first too: the one between goes on waiting for its own grace, and the last behind it.
    release(&mut connection, &ids[..1], w.order()).await.unwrap();
    w.scene.drain().await;
    assert_eq!(w.parked().await, "u0R u1- u2-");
    let all = release_all(&mut connection, Filter::default(), w.order()).await.unwrap();
    assert_eq!(all, Outcome { released: 1, behind: 0, before: 1 });
    w.scene.drain().await;
    assert_eq!(w.parked().await, "u0R u1R u2R");
    let none = release_all(&mut connection, Filter::default(), w.order()).await.unwrap();
    assert_eq!(none, Outcome::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_waits_for_the_letter_before_it() {
    let w = Released::new().await;
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name poison')",
    )
    .execute(&w.scene.pool)
    .await
    .unwrap();
    let enroll = |offset| record(&w.enrollments, offset, &enrollment("e", "poison", "CASH"));
    w.scene.apply(w.fence, vec![enroll(0)]).await;
    w.act(0, "poison", Action::Pause).await;
    let mut connection = w.scene.pool.acquire().await.unwrap();
    release_all(&mut connection, Filter::default(), w.order()).await.unwrap();
    w.scene.clock.advance(time::Duration::hours(1));
    w.scene.drain().await;
    assert_eq!(w.parked().await, "u0-");
    sqlx::query("ALTER TABLE registrants DROP CONSTRAINT no_poison")
        .execute(&w.scene.pool)
        .await
        .unwrap();
    w.scene.apply(w.fence, vec![enroll(1)]).await;
    w.scene.drain().await;
    assert_eq!(w.parked().await, "u0A");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_while_the_queue_is_looked_at_is_not_lost() {
    let w = Released::new().await;
    w.act(0, "r1", Action::Pause).await;
    // A drain has read the record, and puts it off after it was released.
    let mut connection = w.scene.pool.acquire().await.unwrap();
    release_all(&mut connection, Filter::default(), w.order()).await.unwrap();
    let mut tx = w.scene.pool.begin().await.unwrap();
    let waiting =
        parked::due(&mut tx, w.scene.clock.now(), Most { records: 1, bytes: 1 }).await.unwrap();
    let later = w.scene.clock.now() + time::Duration::hours(1);
    parked::put_off(&mut tx, &waiting, &["REGISTRANT"], &[None], &[Some(later)]).await.unwrap();
    tx.commit().await.unwrap();
    w.scene.drain().await;
    assert_eq!(w.parked().await, "u0R");
}
