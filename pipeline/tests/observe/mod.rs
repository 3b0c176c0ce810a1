//! What a run tells of itself: metrics by every way out, log lines, dashboard and alerts.

mod boards;
mod exposition;
mod logs;
mod outlets;
mod query;

use crate::run_folder::send_signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// An answer over HTTP.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// One request on a connection of its own; `None` where nobody listens any more.
fn request(address: SocketAddr, method: &str, path: &str, accept: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// What was pushed to a gateway.
struct Pushed {
    line: String,
    head: String,
    body: String,
}

/// A gateway that takes one push.
struct Gateway {
    address: SocketAddr,
    push: JoinHandle<Pushed>,
}

impl Gateway {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, push: std::thread::spawn(move || Self::take(&listener)) }
    }

    fn take(listener: &TcpListener) -> Pushed {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_ascii_lowercase());
        }
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        Pushed { line: lines.remove(0), head: lines.join("\n"), body: String::from_utf8(body).unwrap() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn pushed(self) -> Pushed {
        self.push.join().unwrap()
    }
}

/// A run going on, and the lines it has written.
struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    said: Vec<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        command.env("SPECMILL_LOG_FORMAT", "json").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line that holds all of `words`.
    fn wait_for(&mut self, words: &[&str]) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "no line with {words:?}: {:#?}", self.said);
            self.said.push(line.trim_end().to_owned());
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    /// Where it serves its metrics.
    fn address(&mut self) -> SocketAddr {
        let line: serde_json::Value = serde_json::from_str(&self.wait_for(&["metrics are served"])).unwrap();
        let url = line["url"].as_str().unwrap().to_owned();
        url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap().parse().unwrap()
    }

    fn terminate(&self) {
        send_signal(self.child.id(), "TERM");
    }

    /// Exit code and every line it wrote.
    fn end(mut self) -> (i32, Vec<String>) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        self.said.extend(rest.lines().map(str::to_owned));
        (self.child.wait().unwrap().code().expect("ended by itself"), self.said)
    }
}
