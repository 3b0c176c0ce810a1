//! A stand-in for a cluster's API server: the few endpoints that `job` may ask, over HTTP, with objects in memory.
//!
//! It refuses what the Role in `jobs/cluster` does not allow, and can be stopped, restarted, and told to fail.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::world::{Reply, Request, World};

/// How a request goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The connection ends without an answer, before anything is done.
    Lost,
    /// It is done, and the connection ends in the middle of the answer.
    HalfAnswered,
    /// An answer with this code, and nothing is done.
    Code(u16),
}

/// The server.
pub(crate) struct Server {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    faults: Arc<Mutex<VecDeque<(&'static str, Fault)>>>,
    running: Option<Running>,
}

/// A server that is up.
struct Running {
    down: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    listener: JoinHandle<()>,
}

impl Server {
    /// One with nothing in it.
    pub(crate) fn start() -> Self {
        let mut server = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            world: Arc::default(),
            faults: Arc::default(),
            running: None,
        };
        server.up();
        server
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it holds.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Lets the next requests of these methods go wrong, one after the other.
    pub(crate) fn fail_next(&self, faults: impl IntoIterator<Item = (&'static str, Fault)>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Whether all faults asked for have happened.
    pub(crate) fn has_failed_all(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }

    /// Ends every connection and takes no more; what it holds stays.
    pub(crate) fn down(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.down.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        running.listener.join().unwrap();
        for connection in running.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Listens again at the same address.
    pub(crate) fn up(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        let down = Arc::new(AtomicBool::new(false));
        let connections: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (is_down, all) = (Arc::clone(&down), Arc::clone(&connections));
        let (world, faults) = (Arc::clone(&self.world), Arc::clone(&self.faults));
        let listener = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if is_down.load(Ordering::SeqCst) {
                    return;
                }
                let connection = connection.unwrap();
                all.lock().unwrap().push(connection.try_clone().unwrap());
                let (world, faults) = (Arc::clone(&world), Arc::clone(&faults));
                std::thread::spawn(move || serve(connection, &world, &faults));
            }
        });
        self.running = Some(Running { down, connections, listener });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}

/// Answers the requests of a connection until it ends.
fn serve(connection: TcpStream, world: &Mutex<World>, faults: &Mutex<VecDeque<(&'static str, Fault)>>) {
    // A client that forgets a connection keeps no thread for ever.
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut writer = connection;
    while let Some(request) = read_request(&mut reader) {
        let fault = faults.lock().unwrap().pop_front_if(|(method, _)| *method == request.method);
        let fault = fault.map(|(_, fault)| fault);
        let reply = match fault {
            Some(Fault::Lost) => break,
            Some(Fault::Code(code)) => Reply::status(code, "InternalError", "injected", json!({})),
            Some(Fault::HalfAnswered) | None => match world.lock() {
                Ok(mut world) => world.answer(&request),
                // A failed assertion in the world: the test says so itself.
                Err(_) => break,
            },
        };
        let kind = if reply.is_text { "text/plain" } else { "application/json" };
        let head = format!(
            "HTTP/1.1 {} -\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            reply.code,
            reply.body.len()
        );
        let mut bytes = head.into_bytes();
        bytes.extend(&reply.body);
        if let Some(Fault::HalfAnswered) = fault {
            bytes.truncate(bytes.len() - reply.body.len() / 2);
        }
        let sent = writer.write_all(&bytes);
        if sent.is_err() || matches!(fault, Some(Fault::HalfAnswered)) {
            break;
        }
    }
    let _ = writer.shutdown(Shutdown::Both);
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect();
    Some(Request { method, path: path.to_owned(), query, headers, body })
}

/// A value of a query as it was before it was encoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}
