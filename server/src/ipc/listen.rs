//! Where connections come in: a Unix socket for this user, TCP on loopback for
//! whoever knows the token.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{TcpListener, UnixListener, tcp, unix},
    task::JoinHandle,
};

use super::{
    connection::{Ends, Shared, serve},
    outbox::Sink,
};

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{} is in use by a running Pulse; connect to it, or choose another --socket", .0.display())]
    InUse(PathBuf),
    #[error("can't listen on {}: {error}; choose another --socket", .path.display())]
    Socket { path: PathBuf, error: io::Error },
    #[error("{0} is not on this machine; --tcp takes a loopback address such as 127.0.0.1:0")]
    NotLoopback(SocketAddr),
    #[error("can't listen on {address}: {error}; choose another --tcp")]
    Tcp { address: SocketAddr, error: io::Error },
}

/// The reading half of a socket, by which other threads write answers too.
struct SharedRead<H>(Arc<H>);

impl<H> Clone for SharedRead<H> {
    fn clone(&self) -> SharedRead<H> {
        SharedRead(Arc::clone(&self.0))
    }
}

macro_rules! shared_read {
    ($half:ty) => {
        impl AsyncRead for SharedRead<$half> {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let stream = (*self.0).as_ref();
                loop {
                    ready!(stream.poll_read_ready(cx))?;
                    match stream.try_read(buffer.initialize_unfilled()) {
                        Ok(count) => {
                            buffer.advance(count);
                            return Poll::Ready(Ok(()));
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }

        impl Sink for SharedRead<$half> {
            fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                (*self.0).as_ref().try_write(bytes)
            }
        }
    };
}

shared_read!(unix::OwnedReadHalf);
shared_read!(tcp::OwnedReadHalf);

/// Listens on a Unix socket that only this user may open.
pub fn unix(path: &Path, shared: Shared) -> Result<JoinHandle<()>, ListenError> {
    let failed = |error| ListenError::Socket { path: path.to_owned(), error };
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(ListenError::InUse(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (reader, writer) = stream.into_split();
                    let reader = SharedRead(Arc::new(reader));
                    let sink = Box::new(reader.clone());
                    let ends = Ends { reader, writer, sink };
                    tokio::spawn(serve(shared.clone(), ends, None));
                }
                Err(error) => pause(&error).await,
            }
        }
    }))
}

/// Listens on loopback; every client must know `token`.
pub async fn tcp(
    address: SocketAddr,
    token: Arc<str>,
    shared: Shared,
) -> Result<(SocketAddr, JoinHandle<()>), ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    let failed = |error| ListenError::Tcp { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::warn!(%error, "a connection without TCP_NODELAY");
                    }
                    let (reader, writer) = stream.into_split();
                    let reader = SharedRead(Arc::new(reader));
                    let sink = Box::new(reader.clone());
                    let ends = Ends { reader, writer, sink };
                    tokio::spawn(serve(shared.clone(), ends, Some(Arc::clone(&token))));
                }
                Err(error) => pause(&error).await,
            }
        }
    });
    Ok((bound, task))
}

/// Too many open files pass; a loop that spins on them does not.
async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}
