//! A caller: one connection that is kept, one request a time.

use crate::backlog::Raw;
use crate::people::SOURCE;
use crate::worker::Process;
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rollcall::contract::{Schemas, decode_json};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long the worker may take until it can commit.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request: its key and its body.
#[derive(Debug)]
pub(super) struct Said {
    key: String,
    body: Bytes,
}

/// Records of a backlog as a caller says them: plain JSON, without what key and header say.
pub(super) fn bodies<'a>(records: impl Iterator<Item = &'a Raw>) -> Result<Vec<Said>> {
    let schemas = Schemas::embedded();
    let said = |raw: &Raw| {
        let mut value = decode_json(&schemas, &raw.value)
            .map_err(|error| anyhow::anyhow!("a made-up request: {error:?}"))?;
        let fields = value.as_object_mut().context("a request is an object")?;
        let key = fields.remove("message_id").as_ref().and_then(Value::as_str).map(str::to_owned);
        for name in ["type", "source", "sent_at", "attempt", "actor"] {
            fields.remove(name);
        }
        let body = serde_json::to_vec(&value)?.into();
        Ok(Said { key: key.context("a request has an id")?, body })
    };
    records.map(said).collect()
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection, for as long as the client lives.
    _driver: JoinSet<hyper::Result<()>>,
}

impl Client {
    /// A connection to a worker that can commit.
    pub(super) async fn ready(process: &mut Process) -> Result<Self> {
        let started = Instant::now();
        loop {
            process.check()?;
            if let Ok(mut client) = Self::connect(process.http).await {
                let ready = Request::get("/readyz").header("host", "localhost");
                if client.send(ready.body(Full::default())?).await?.0 == StatusCode::OK {
                    return Ok(client);
                }
            }
            ensure!(started.elapsed() < PATIENCE, "the worker does not become ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A connection.
    pub(super) async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        Ok(Self { sender, _driver: driver })
    }

    /// Has a person enrolled. Anything but an answer of success is an error: a fast refusal is no figure.
    pub(super) async fn post(&mut self, said: &Said) -> Result<()> {
        let request = Request::post("/v1/registrants")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("idempotency-key", &said.key)
            .header("rollcall-source", SOURCE)
            .body(Full::new(said.body.clone()))?;
        let (status, answer) = self.send(request).await?;
        if !matches!(status, StatusCode::CREATED | StatusCode::OK) {
            bail!("{status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}
