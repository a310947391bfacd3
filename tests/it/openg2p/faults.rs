//! Errors that no handler gives are in that module's form too.

use hyper::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{GROUP, INDIVIDUAL, description};
use crate::http::Served;
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_as_that_module_says_it() {
    let served = Served::new().await;
    let client = &served.client;
    let update = "/api/v1/registry/individual/updateIdentification/1";
    description(&client.get(update).await, 404, "not-found");
    let answer = client.send(Method::DELETE, &format!("{GROUP}/1"), &[], "").await;
    description(&answer, 405, "method-not-allowed");
    assert!(answer.header("allow").contains("GET"), "{}", answer.header("allow"));
    for wrong in [format!("{INDIVIDUAL}/%FF"), format!("{INDIVIDUAL}/1?colour=red")] {
        description(&client.get(&wrong).await, 400, "invalid-parameter");
    }
    // Elsewhere it is a problem.
    client.get("/api/v1/other").await.problem(404, "not-found");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_to_do_is_said_as_that_module_says_it() {
    let served = Served::with(&[("ROLLCALL_HTTP__MAX_REQUESTS", "1")]).await;
    let mut slow = TcpStream::connect(served.client.address()).await.unwrap();
    let head = b"POST /api/v1/registry/individual HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\
                 Expect: 100-continue\r\n\r\n";
    slow.write_all(head).await.unwrap();
    let mut asked = [0; 12];
    slow.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    let answer = served.client.get(INDIVIDUAL).await;
    description(&answer, 429, "too-many-requests");
    assert_eq!(
        (answer.header("retry-after"), answer.header("content-type")),
        ("1", "application/json")
    );
    drop(slow);
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_said_as_that_module_says_it() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[("ROLLCALL_HTTP__REQUEST_TIMEOUT", "1s")]).await;
    let mut lock = scene.pool.begin().await.unwrap();
    let away = "LOCK TABLE registrants IN ACCESS EXCLUSIVE MODE";
    sqlx::query(away).execute(&mut *lock).await.unwrap();
    let answer = served.client.get(INDIVIDUAL).await;
    description(&answer, 503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    lock.rollback().await.unwrap();
    served.worker.stop().await;
}
