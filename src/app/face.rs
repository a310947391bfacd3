//! The HTTP face of a worker, put together.

use super::submit::uploader;
use super::wiring::{http_auth, http_limits, http_tls, lane_limits};
use super::worker::StartError;
use crate::apply::Applier;
use crate::config::Settings;
use crate::contract::Dates;
use crate::http;
use crate::lifecycle::clock::Clock;
use crate::lifecycle::health::Health;
use crate::lifecycle::{Group, Lifecycle};
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
    let listener = http::bind(address, tls).await.map_err(listen)?;
    let address = listener.address().map_err(listen)?;
    let face = http::Face::new(health, figures, around, auth, http_limits(settings))
        .with_openg2p(settings.openg2p.clone())
        .with_uploader(uploader(settings));
    let stop = lifecycle.token(Group::Rest).clone();
    lifecycle.spawn(Group::Rest, "http", http::serve(listener, face.clone(), stop));
    Ok((address, face))
}

/// Takes writes over HTTP; those that were taken are applied before intake ends.
pub(super) fn open_http(
    settings: &Settings,
    lifecycle: &Lifecycle,
    face: &http::Face,
    applier: &Applier,
) {
    let work = face.open(applier.clone(), lane_limits(settings));
    let (stop, hard) = (lifecycle.token(Group::Intake).clone(), lifecycle.hard().clone());
    lifecycle.spawn(Group::Intake, "http-lane", work.run(stop, hard));
}
