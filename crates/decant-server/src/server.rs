//! Listening, and ending well.

use crate::app::{App, Serving, Settings};
use crate::{connection, router};
use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// The most connections at once; more wait to be accepted. A process may usually have 1024 open files.
const CONNECTIONS: usize = 1000;

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long requests that were stopped, and then connections, may take to end.
const STOPPING: Duration = Duration::from_secs(5);
const CLOSING: Duration = Duration::from_secs(2);

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// A name or an address.
    pub host: String,
    /// 0 for one that is free.
    pub port: u16,
}

/// Why a server ended that nobody asked to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Nothing can listen there.
    #[error("cannot listen on {host}:{port}: {source}")]
    Bind {
        /// The host asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no threads, or no word of signals.
    #[error("cannot start the server: {0}")]
    Start(io::Error),
    /// The model cannot be loaded.
    #[error("{0}")]
    Load(Box<dyn Error + Send + Sync>),
}

/// Serves until a signal says otherwise: SIGTERM or Ctrl-C lets what runs end and lets nothing more in; a second one
/// stops what runs. The model is loaded meanwhile, by `load`; `listening` is told where the server listens.
///
/// # Errors
/// [`ServeError`], at once or when loading fails.
pub fn serve(
    listen: &Listen,
    settings: Settings,
    listening: impl FnOnce(SocketAddr),
    load: impl FnOnce() -> Result<Serving, Box<dyn Error + Send + Sync>> + Send + 'static,
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::Start)?;
    let served = runtime.block_on(async {
        let bind = |source| ServeError::Bind { host: listen.host.clone(), port: listen.port, source };
        let listener = TcpListener::bind((listen.host.as_str(), listen.port)).await.map_err(bind)?;
        listening(listener.local_addr().map_err(bind)?);
        run(listener, App::new(settings), load).await
    });
    // A thread that computes for a client who is gone is not waited for.
    runtime.shutdown_background();
    served
}

async fn run(
    listener: TcpListener,
    app: App,
    load: impl FnOnce() -> Result<Serving, Box<dyn Error + Send + Sync>> + Send + 'static,
) -> Result<(), ServeError> {
    let mut signals = Signals::new().map_err(ServeError::Start)?;
    let door = Door::new(listener, &app);
    let failed = in_background(app.clone(), load);
    tokio::select! {
        never = door.accept() => match never {},
        error = failed => return Err(ServeError::Load(error)),
        () = signals.next() => info!("ending: requests under way are completed; a second signal stops them"),
    }
    app.traffic.drain();
    if let Some(serving) = app.serving.get() {
        serving.scheduler.drain();
    }
    // New connections are told so until the last request has ended.
    tokio::select! {
        never = door.accept() => match never {},
        () = app.traffic.ended() => {}
        () = signals.next() => stop(&app).await,
    }
    let _ = timeout(CLOSING, door.connections.shutdown()).await; // who has not ended by then is cut off
    info!("ended");
    Ok(())
}

async fn stop(app: &App) {
    warn!("stopping {} requests", app.traffic.running());
    if let Some(serving) = app.serving.get() {
        serving.scheduler.stop();
    }
    let _ = timeout(STOPPING, app.traffic.ended()).await; // as above
}

/// Loads the model on a thread of its own. The future ends only if that fails, with the reason.
fn in_background(
    app: App,
    load: impl FnOnce() -> Result<Serving, Box<dyn Error + Send + Sync>> + Send + 'static,
) -> impl Future<Output = Box<dyn Error + Send + Sync>> {
    let (tell, told) = oneshot::channel();
    thread::spawn(move || {
        let loaded = load().map(|serving| {
            info!(model = serving.name, "ready");
            let _ = app.serving.set(serving); // it is set only here
        });
        let _ = tell.send(loaded); // nobody listens when the server has ended
    });
    async {
        match told.await {
            Ok(Ok(())) => std::future::pending().await,
            Ok(Err(error)) => error,
            Err(_) => "the thread that loaded the model broke".into(),
        }
    }
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    router: Router,
    patience: Duration,
    room: Arc<Semaphore>,
    connections: GracefulShutdown,
}

impl Door {
    fn new(listener: TcpListener, app: &App) -> Self {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let patience = app.settings.client_timeout;
        Door { listener, router: router(app.clone()), patience, room, connections: GracefulShutdown::new() }
    }

    /// Takes connections, for ever.
    async fn accept(&self) -> Infallible {
        loop {
            let place = self.room.clone().acquire_owned().await;
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let watcher = self.connections.watcher();
                    let answer = connection::answer(stream, self.router.clone(), watcher, self.patience);
                    tokio::spawn(async move {
                        let _place = place;
                        answer.await;
                    });
                }
                // The client went away, or there are too many open files: those that close make room.
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The signals that ask a server to end.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The signals that ask a server to end.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
