//! Metrics over HTTP, for whoever comes and asks.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::select;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};

use super::Metrics;
use super::text::Format;
use crate::error::{Error, Result};

/// Who is slower than this is not served.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head, at most.
const MOST_HEAD_BYTES: usize = 16 << 10;

/// Connections served at a time; others wait.
const MOST_CONNECTIONS: usize = 8;

/// Between attempts where no connection can be taken, for want of file descriptors say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A server that ends with this value.
#[derive(Debug)]
pub(super) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `GET /metrics` and `GET /healthz` from a thread of its own.
    ///
    /// # Errors
    /// Where the address cannot be listened on.
    pub(super) fn start(address: SocketAddr, metrics: &Metrics) -> Result<Self> {
        let cannot = |error: std::io::Error| Error::Argument {
            argument: "--metrics-listen",
            problem: format!("cannot listen on {address}: {error}"),
        };
        let listener = TcpListener::bind(address).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(cannot)?;
        let (stop, stopped) = oneshot::channel();
        let metrics = metrics.clone();
        let thread = std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // The sender is dropped at the end, never used.
                    select(pin!(accept(listener, metrics)), stopped).await;
                });
            })
            .map_err(cannot)?;
        tracing::info!(url = %format!("http://{bound}/metrics"), "metrics are served");
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A server that fell over is no reason to end otherwise.
            let _ = thread.join();
        }
    }
}

/// Takes connections for ever.
async fn accept(listener: TcpListener, metrics: Metrics) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!("metrics are not served: {error}"),
    };
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("a connection is lost: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let response = respond(&metrics, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(MOST_HEAD_BYTES)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!("a request for metrics failed: {error}"),
                Err(_) => tracing::debug!("a request for metrics took too long"),
            }
        });
    }
}

fn respond(metrics: &Metrics, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let plain = Format::Text.content_type();
    let (status, content_type, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
            let format = Format::accepted(accept.unwrap_or_default());
            (StatusCode::OK, format.content_type(), metrics.render(format))
        }
        (&Method::GET, "/healthz") => (StatusCode::OK, plain, "ok\n".to_owned()),
        (_, "/metrics" | "/healthz") => (StatusCode::METHOD_NOT_ALLOWED, plain, "use GET\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, plain, "/metrics and /healthz are here\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    }
    response
}
