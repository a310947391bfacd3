//! What a client still sends when its answer is known already, such as a refusal that needs no body: it is read for a moment,
//! or the end of the connection would overtake the answer.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// So much is read.
const MOST: usize = 32 << 20;
/// For so long.
const LONGEST: Duration = Duration::from_secs(2);

/// What is left of a body when nobody reads it any more.
type Left = Arc<Mutex<Option<Body>>>;

/// A body that leaves behind what was not read of it.
struct Lent {
    body: Option<Body>,
    left: Left,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = &polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = body;
    }
}

/// Answers once the client has said all, or a moment later.
pub(super) async fn linger(request: Request, next: Next) -> Response {
    // Who waits to be asked for the body is answered instead.
    let waits = request.headers().contains_key(header::EXPECT);
    if waits || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let left = Left::default();
    let lent = Arc::clone(&left);
    let request = request.map(|body| Body::new(Lent { body: Some(body), left: lent }));
    let response = next.run(request).await;
    let left = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Of one that is too slow nothing more is waited for.
    if let Some(left) = left.filter(|_| response.status() != StatusCode::REQUEST_TIMEOUT) {
        // Too late or too much: then its connection ends on it.
        drop(tokio::time::timeout(LONGEST, drain(left)).await);
    }
    response
}

async fn drain(body: Body) {
    let mut pieces = body.into_data_stream();
    let mut read = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        read += piece.len();
        if read > MOST {
            return;
        }
    }
}
