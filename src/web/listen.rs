//! Takes connections, in TLS where there is a certificate. No more than a few dozen at a time: a panel needs two.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use axum::{extract::connect_info::Connected, serve};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Most connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// A client has this long for its part of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Connections on their way to the server.
pub struct Listener {
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
    address: SocketAddr,
}

impl Listener {
    /// Listens on an address.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<&(PathBuf, PathBuf)>,
    ) -> anyhow::Result<Self> {
        let certificate = match tls {
            Some((certificate, key)) => Some(Certificate::load(certificate, key)?),
            None => None,
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let (take, ready) = mpsc::channel(8);
        tokio::spawn(accept(listener, certificate, take));
        Ok(Self { ready, address })
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Connected<serve::IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: serve::IncomingStream<'_, Listener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Waiting for ever, the dashboard would look well.
        let taken = self.ready.recv().await;
        taken.expect("the task that takes connections ends only with this listener")
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn accept(
    listener: TcpListener,
    mut certificate: Option<Certificate>,
    take: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = take.closed() => return,
        };
        let Ok(permit) = permit else { return };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    // Out of file handles, as a rule: others have to close first.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            },
            () = take.closed() => return,
        };
        // Small messages of a live page wait for nothing.
        let _ = stream.set_nodelay(true);
        let acceptor = certificate.as_mut().map(Certificate::acceptor);
        let take = take.clone();
        tokio::spawn(async move {
            let wire = match acceptor {
                None => Wire::Plain(stream),
                Some(acceptor) => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => Wire::Tls(Box::new(stream)),
                    _ => return,
                },
            };
            let connection = Connection {
                wire,
                _permit: permit,
            };
            // The server has gone.
            let _ = take.send((connection, peer)).await;
        });
    }
}

/// Certificate and key as last read; a renewed one is taken at the next connection.
pub struct Certificate {
    paths: (PathBuf, PathBuf),
    /// When either file was last changed.
    changed: [Option<SystemTime>; 2],
    acceptor: TlsAcceptor,
}

impl Certificate {
    /// Reads them; they must fit each other.
    pub fn load(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            changed: [certificate, key].map(changed),
            acceptor: acceptor(certificate, key)?,
            paths: (certificate.to_owned(), key.to_owned()),
        })
    }

    fn acceptor(&mut self) -> TlsAcceptor {
        let (certificate, key) = &self.paths;
        let changed = [certificate, key].map(|path| changed(path));
        // While one of them is still to come, the last ones go on, and the next connection looks again.
        if changed != self.changed
            && let Ok(renewed) = acceptor(certificate, key)
        {
            self.changed = changed;
            self.acceptor = renewed;
            log::info!("the dashboard uses the renewed certificate");
        }
        self.acceptor.clone()
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|it| it.modified()).ok()
}

fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificate in {}", certificate.display()))?;
    anyhow::ensure!(
        !chain.is_empty(),
        "{} holds no certificate",
        certificate.display()
    );
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the key in {}", key.display()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("{} does not fit its key", certificate.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A client's connection; it holds its place among those that there may be.
pub struct Connection {
    wire: Wire,
    _permit: OwnedSemaphorePermit,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
