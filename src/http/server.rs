//! Connections: how many, with TLS or without, and how long a client may take for the head of a request.

use super::{Face, router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bytes that a client does not take for so long end its connection.
const UNREAD: Duration = Duration::from_secs(30);
/// hyper reads heads of so many times `http.max_header`, so that those that are too large are told so by the router, with
/// a problem; what is larger still hears the status alone.
const HEAD_ROOM: usize = 4;
/// After an error of accepting, such as no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there can be no TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("a PEM file with certificates")]
    Certificate,
    /// A file cannot be read, or holds nothing of the kind.
    #[error("a PEM file with a private key")]
    Key,
    /// They do not belong together.
    #[error("the private key of the certificate in http.tls_cert")]
    Mismatch,
}

/// What TLS is done with.
pub type Tls = Arc<ServerConfig>;

/// A port that is open.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Tls>,
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// TLS with these PEM files.
///
/// # Errors
/// When one of them cannot be used.
pub fn tls(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|_error| TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|_error| TlsError::Key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_error| TlsError::Mismatch)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|_error| TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Opens the port, so that one that is taken stops the start.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(address: SocketAddr, tls: Option<Tls>) -> std::io::Result<Listener> {
    Ok(Listener { tcp: TcpListener::bind(address).await?, tls })
}

/// Serves until `stop`; requests under way are answered.
pub async fn serve(listener: Listener, face: Face, stop: CancellationToken) {
    let limits = Arc::clone(&face.limits);
    let database = Arc::clone(&face.database);
    let room = Arc::new(Semaphore::new(limits.max_connections));
    let service = TowerToHyperService::new(router::router(face));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.max_header * HEAD_ROOM)
        .half_close(false);
    let ending = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let acceptor = listener.tls.map(TlsAcceptor::from);
    connections.spawn(async move { database.prepare().await });
    loop {
        let accepted = async {
            // Never closed, so there always is a permit in the end.
            let room = Arc::clone(&room).acquire_owned().await.ok();
            (room, listener.tcp.accept().await)
        };
        let Some((room, accepted)) = stop.run_until_cancelled(accepted).await else { break };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "http: a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        prepare(&stream);
        let (http, service, watcher) = (http.clone(), service.clone(), ending.watcher());
        let (acceptor, handshake) = (acceptor.clone(), limits.header_timeout);
        connections.spawn(async move {
            let io: Box<dyn Stream> = match acceptor {
                None => Box::new(stream),
                Some(acceptor) => {
                    match tokio::time::timeout(handshake, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => Box::new(stream),
                        // Who does not come to an end with it, or speaks no TLS, is not let in.
                        Ok(Err(_)) | Err(_) => return,
                    }
                }
            };
            let connection = http.serve_connection(TokioIo::new(io), service);
            // What ends a connection early is the client's doing: it went away, was too slow, or speaks no HTTP.
            drop(watcher.watch(connection).await);
            drop(room);
        });
    }
    drop(listener.tcp);
    ending.shutdown().await;
    connections.close();
    connections.wait().await;
}

/// A connection, whatever carries it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Small answers leave at once, and who does not read them is cut.
fn prepare(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    // What cannot be set is not there on this system; the connection works without.
    drop(stream.set_nodelay(true));
    #[cfg(target_os = "linux")]
    drop(socket.set_tcp_user_timeout(Some(UNREAD)));
    drop(socket.set_keepalive(true));
}
