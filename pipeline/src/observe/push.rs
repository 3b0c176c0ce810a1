//! Metrics to a Pushgateway: the last word of a run that is too short to be asked.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;

use super::text::Format;
use crate::error::reason_of;
use crate::error::{Error, Result};

/// For all of it: the run has ended and waits for nothing else.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where a run's metrics are pushed to.
#[derive(Debug)]
pub(super) struct Gateway {
    host: String,
    port: u16,
    /// Of this run's group.
    path: String,
}

impl Gateway {
    /// The group of a run on the gateway at `url`.
    ///
    /// # Errors
    /// Where it is no address of plain HTTP.
    pub(super) fn at(url: &str, run_id: &str) -> Result<Self> {
        let refuse = |problem: String| Error::Argument { argument: "--metrics-push", problem };
        let uri: Uri = url.parse().map_err(|error| refuse(format!("`{url}` is no address: {error}")))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(scheme) => {
                return Err(refuse(format!(
                    "{scheme} is not spoken here, plain http alone: use http://HOST:PORT"
                )));
            }
            None => return Err(refuse(format!("`{url}` has no scheme: use http://HOST:PORT"))),
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(refuse(
                "names and passwords are not sent over plain http: leave them out".to_owned(),
            ));
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| refuse(format!("`{url}` names no host: use http://HOST:PORT")))?;
        let below = uri.path().trim_end_matches('/');
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            path: format!("{below}/metrics/job/specmill/instance/{}", escaped(run_id)),
        })
    }

    /// Replaces the group by these metrics.
    ///
    /// # Errors
    /// Where the gateway does not take them within seconds.
    pub(super) fn push(&self, metrics: String) -> std::result::Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let pushed = runtime.block_on(async { tokio::time::timeout(TIMEOUT, self.send(metrics)).await });
        // A name that is still being looked up is not waited for.
        runtime.shutdown_background();
        match pushed {
            Ok(pushed) => pushed.map_err(|error| reason_of(&*error)),
            Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
        }
    }

    async fn send(&self, metrics: String) -> std::result::Result<(), Box<dyn StdError>> {
        // An IPv6 address stands in brackets where a port follows.
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let stream = tokio::net::TcpStream::connect((host, self.port)).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::new(Full::new(Bytes::from(metrics)));
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = self.path.parse()?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(&format!("{}:{}", self.host, self.port))?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Format::Text.content_type()));
        // What the connection has to say of its end, the answer says too.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let response = sender.send_request(request).await?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(format!("the gateway answers {}", response.status()).into())
        }
    }
}

/// Text as one part of a path.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_the_runs() {
        let gateway = Gateway::at("http://gateway:9091/", "1-a/b c-2").unwrap();
        assert_eq!(gateway.path, "/metrics/job/specmill/instance/1-a%2Fb%20c-2");
        assert_eq!((gateway.host.as_str(), gateway.port), ("gateway", 9091));
        let gateway = Gateway::at("http://[::1]/below", "1").unwrap();
        assert_eq!(gateway.path, "/below/metrics/job/specmill/instance/1");
        assert_eq!((gateway.host.as_str(), gateway.port), ("[::1]", 80));
    }

    #[test]
    fn what_is_not_plain_http_is_refused_with_a_way_out() {
        for (url, problem) in [
            ("https://gateway:9091", "https is not spoken here"),
            ("gateway:9091", "has no scheme"),
            ("http://user:password@gateway", "leave them out"),
            ("http://", "no address"),
        ] {
            let error = Gateway::at(url, "1").unwrap_err().to_string();
            assert!(error.starts_with("--metrics-push: ") && error.contains(problem), "{error}");
        }
    }
}
