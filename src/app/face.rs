//! The HTTP face of a worker, put together.

use super::status::status;
use super::submit::uploader;
use super::wiring::{http_auth, http_limits, http_tls, lane_limits};
use super::worker::StartError;
use crate::apply::Applier;
use crate::config::Settings;
use crate::contract::Dates;
use crate::dead_letter::Desk;
use crate::http;
use crate::lifecycle::clock::Clock;
use crate::lifecycle::health::Health;
use crate::lifecycle::{Group, Lifecycle};
use crate::store;
use crate::telemetry::metrics;
use sqlx::PgPool;
use std::net::SocketAddr;
use std::sync::Arc;

/// Opens the port and serves; `/livez` answers from now on.
pub(super) async fn start_http(
    settings: &Settings,
    lifecycle: &Lifecycle,
    (health, figures): (Health, metrics::Handle),
    around: (PgPool, Arc<dyn Clock>, Arc<Dates>),
) -> Result<(SocketAddr, http::Face), StartError> {
    let address = settings.http.listen;
    let listen = |error| StartError::Listen(address, error);
    let (auth, tls) = (http_auth(settings)?, http_tls(settings)?);
    if !auth.is_on() {
        tracing::warn!("http: nobody is asked who calls, as [auth] names no keys; loopback only");
    }
    let pool = around.0.clone();
    let listener = http::bind(address, tls).await.map_err(listen)?;
    let address = listener.address().map_err(listen)?;
    let face = http::Face::new(health, figures, around, auth, http_limits(settings))
        .with_openg2p(settings.openg2p.clone())
        .with_uploader(uploader(settings))
        .with_operator(operator(settings, pool));
    let stop = lifecycle.token(Group::Rest).clone();
    lifecycle.spawn(Group::Rest, "http", http::serve(listener, face.clone(), stop));
    Ok((address, face))
}

/// Takes writes over HTTP; those that were taken are applied before intake ends.
pub(super) fn open_http(
    settings: &Settings,
    lifecycle: &Lifecycle,
    face: &http::Face,
    (applier, pool, clock): (&Applier, &PgPool, &Arc<dyn Clock>),
) {
    let work = face.open(applier.clone(), lane_limits(settings));
    let (stop, hard) = (lifecycle.token(Group::Intake).clone(), lifecycle.hard().clone());
    lifecycle.spawn(Group::Intake, "http-lane", work.run(stop, hard));
    let desk = Desk { applier: applier.clone(), pool: pool.clone(), clock: Arc::clone(clock) };
    let replays = face.open_office(desk);
    let stop = lifecycle.token(Group::Intake).clone();
    lifecycle.spawn(Group::Intake, "replays", replays.run(stop));
}

/// What operators' routes need: status asks the brokers too.
fn operator(settings: &Settings, pool: PgPool) -> http::Operator {
    let all = Arc::new(settings.clone());
    let status = http::Status::new(move || {
        let (settings, pool) = (Arc::clone(&all), pool.clone());
        Box::pin(async move {
            let mut connection = pool.acquire().await.map_err(store::Error::from)?;
            let status = status(&settings, &mut connection).await?;
            // Texts and numbers: there is nothing that could fail.
            Ok(serde_json::to_value(status).unwrap_or_default())
        })
    });
    http::Operator { status, topics: settings.topics.clone() }
}
