//! One client's connection, with a limit on everything that it could make the server wait for.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The most headers of a request, and the most bytes of its head.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 32 << 10;

/// How often a silent peer is asked in vain whether it is there.
const UNANSWERED: u32 = 3;

/// Answers the requests of one connection until it closes, breaks, or the server lets its connections end. The client has this
/// time for a head, also to begin one, and to take some of a response.
pub async fn answer(stream: TcpStream, router: Router, watcher: Watcher, patience: Duration) {
    if let Err(error) = set_up(&stream, patience) {
        tracing::debug!(%error, "a connection went before it began");
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream, patience)), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Tokens go out at once; a peer that is gone without a word is noticed when it has been silent twice as long as it may.
fn set_up(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // The system counts whole seconds, at least one.
    let interval = (patience / UNANSWERED).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(patience).with_interval(interval).with_retries(UNANSWERED);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    // Keepalive does not ask while sent bytes are unacknowledged.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(2 * patience))?;
    Ok(())
}

/// A stream that is given up when its reader takes nothing for too long.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Patient { stream, patience, stalled: None }
    }

    /// The result of a write, or an error if writes have been pending for too long.
    fn wait<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wait(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.wait(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures_util::stream;
    use hyper_util::server::graceful::GracefulShutdown;
    use std::convert::Infallible;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A client's end of a connection that is answered. Time stands still while anybody has something to do, and leaps to
    /// the next timer when nobody has.
    async fn connected(router: Router) -> (TcpStream, GracefulShutdown) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let server = GracefulShutdown::new();
        tokio::spawn(answer(stream, router, server.watcher(), PATIENCE));
        (client, server)
    }

    /// What the server says until it closes the connection.
    async fn until_closed(client: &mut TcpStream) -> String {
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said).await; // a reset closes it too
        String::from_utf8(said).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end() {
        let (mut client, _server) = connected(Router::new()).await;
        let started = Instant::now();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
        until_closed(&mut client).await;
        assert!(started.elapsed() >= PATIENCE && started.elapsed() < 2 * PATIENCE, "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_idles() {
        let (mut client, _server) = connected(Router::new().route("/", get(async || "here"))).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let said = until_closed(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("here"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read() {
        let held = Arc::new(());
        let holding = held.clone();
        let endless = async move || {
            let chunk = Bytes::from(vec![b'a'; 1 << 16]);
            Body::from_stream(stream::repeat_with(move || {
                let _ = &holding;
                Ok::<_, Infallible>(chunk.clone())
            }))
        };
        let (mut client, _server) = connected(Router::new().route("/", get(endless))).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let started = Instant::now();
        while Arc::strong_count(&held) > 1 {
            assert!(started.elapsed() < 10 * PATIENCE, "the response is still held");
            sleep(PATIENCE / 4).await;
        }
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_headers() {
        for (count, len) in [(HEADERS + 1, 1), (2, HEAD_BYTES)] {
            let (mut client, _server) = connected(Router::new()).await;
            let headers: String = (0..count).map(|i| format!("X-{i}: {}\r\n", "a".repeat(len))).collect();
            let _ = client.write_all(format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes()).await; // it may be closed
            let said = until_closed(&mut client).await;
            assert!(said.starts_with("HTTP/1.1 431") || said.is_empty(), "{said}");
        }
    }
}
