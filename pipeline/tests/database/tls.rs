//! TLS: what each `sslmode` accepts, against a server that speaks just enough of the protocol.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::specmill;
use crate::run_folder::Outcome;

/// Stands in every password here.
const MARKED: &str = "s3cr3t-mark";
/// The code of a client's question whether TLS is spoken.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// An authority, and a certificate of it.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// What a server of this name shows.
    fn server_config(&self, host: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        shows(&certificate, &key)
    }
}

/// A server that shows this certificate.
pub(crate) fn shows(certificate: &Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    Arc::new(config)
}

/// How far a client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It asked for TLS and left.
    NothingMore,
    /// It said who it is, encrypted.
    UserEncrypted,
    /// It said who it is, in the clear.
    UserInTheClear,
}

/// A server that takes one client, lets it say who it is, and turns it away.
struct Responder {
    port: u16,
    thread: JoinHandle<Seen>,
}

impl Responder {
    fn start(config: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            answer(stream, config).unwrap_or(Seen::NothingMore)
        });
        Self { port, thread }
    }
}

fn answer(mut stream: TcpStream, config: Option<Arc<ServerConfig>>) -> std::io::Result<Seen> {
    let mut request = [0; 8];
    stream.read_exact(&mut request)?;
    assert_eq!(request, SSL_REQUEST);
    let Some(config) = config else {
        stream.write_all(b"N")?;
        turn_away(&mut stream)?;
        return Ok(Seen::UserInTheClear);
    };
    stream.write_all(b"S")?;
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    turn_away(&mut tls)?;
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok(Seen::UserEncrypted)
}

/// Reads the message that names the user and says that the password is wrong.
fn turn_away(stream: &mut impl ReadWrite) -> std::io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
    stream.read_exact(&mut message)?;
    assert!(String::from_utf8_lossy(&message).contains("some_user"));
    let fields = b"SFATAL\0VFATAL\0C28P01\0Mturned away by the test\0\0";
    stream.write_all(b"E")?;
    stream.write_all(&u32::try_from(fields.len() + 4).unwrap().to_be_bytes())?;
    stream.write_all(fields)?;
    stream.flush()
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Connects as `host` and says how far it came.
fn call(config: Option<Arc<ServerConfig>>, host: &str, mode: &str, root: Option<&Path>) -> (Seen, Outcome) {
    let responder = Responder::start(config);
    let root = root.map(|path| format!("&sslrootcert={}", path.display())).unwrap_or_default();
    let url = format!("postgres://some_user:{MARKED}@{host}:{}/desi?sslmode={mode}{root}", responder.port);
    let outcome = specmill(&url, &["db", "check"]);
    assert!(!outcome.stderr.contains(MARKED), "{}", outcome.stderr);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    (responder.thread.join().unwrap(), outcome)
}

fn assert_accepted((seen, outcome): (Seen, Outcome)) {
    assert_eq!(seen, Seen::UserEncrypted, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("turned away by the test"), "{}", outcome.stderr);
}

fn assert_refused((seen, outcome): (Seen, Outcome), reason: &str) {
    assert_eq!(seen, Seen::NothingMore, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("error: no trusted TLS connection to"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(reason), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("help: give the authority"), "{}", outcome.stderr);
}

/// The authority's certificate as a file.
fn root_file(folder: &TempDir, authority: &Authority, name: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs_err::write(&path, authority.certificate.pem()).unwrap();
    path
}

#[test]
fn verify_full_accepts_the_right_host_and_refuses_a_wrong_one_and_an_unknown_authority() {
    let folder = TempDir::new().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let root = root_file(&folder, &ours, "ours.pem");
    let with = |host: &str| Some(ours.server_config(host));
    assert_accepted(call(with("localhost"), "localhost", "verify-full", Some(&root)));
    assert_accepted(call(with("127.0.0.1"), "127.0.0.1", "verify-full", Some(&root)));
    assert_refused(call(with("db.example"), "localhost", "verify-full", Some(&root)), "not valid for name");
    let unknown = Some(theirs.server_config("localhost"));
    assert_refused(call(unknown, "localhost", "verify-full", Some(&root)), "UnknownIssuer");
}

#[test]
fn verify_ca_accepts_any_host_of_the_authority() {
    let folder = TempDir::new().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let root = root_file(&folder, &ours, "ours.pem");
    let with = |authority: &Authority| Some(authority.server_config("db.example"));
    assert_accepted(call(with(&ours), "localhost", "verify-ca", Some(&root)));
    assert_refused(call(with(&theirs), "localhost", "verify-ca", Some(&root)), "UnknownIssuer");
    // As in libpq, `require` with an authority checks it.
    assert_refused(call(with(&theirs), "localhost", "require", Some(&root)), "UnknownIssuer");
}

#[test]
fn require_and_prefer_encrypt_without_a_check() {
    let config = Authority::new("nobody's").server_config("db.example");
    assert_accepted(call(Some(Arc::clone(&config)), "localhost", "require", None));
    assert_accepted(call(Some(config), "localhost", "prefer", None));
}

#[test]
fn a_server_without_tls_is_enough_for_prefer_alone() {
    let folder = TempDir::new().unwrap();
    let root = root_file(&folder, &Authority::new("ours"), "ours.pem");
    assert_refused(call(None, "localhost", "require", None), "server does not support TLS");
    assert_refused(call(None, "localhost", "verify-full", Some(&root)), "server does not support TLS");
    let (seen, outcome) = call(None, "localhost", "prefer", None);
    assert_eq!(seen, Seen::UserInTheClear, "{}", outcome.stderr);
}

#[test]
fn an_authority_that_cannot_be_read_is_told() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty.pem");
    fs_err::write(&empty, "no certificate\n").unwrap();
    for (path, said) in
        [(folder.path().join("none.pem"), "cannot read sslrootcert"), (empty, "holds no PEM certificate")]
    {
        let url = format!("postgres://u@localhost:1/d?sslmode=verify-full&sslrootcert={}", path.display());
        let outcome = specmill(&url, &["db", "check"]);
        assert_eq!(outcome.code, 5, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
}
