//! Ways to a cluster, and rights in it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Site, assert_says};
use crate::database::tls::shows;

/// What a server shows whose name is `host`, and the same as PEM for those who are to trust it.
fn certified(host: &str) -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().self_signed(&key).unwrap();
    (shows(&certificate, &key), certificate.pem())
}

/// Lists no object to whoever comes over TLS, for as long as the process lives; gives the port.
fn serve_nothing(config: Arc<ServerConfig>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            // A client that trusts nobody leaves in the middle.
            let _ = list_nothing(connection.unwrap(), Arc::clone(&config));
        }
    });
    port
}

fn list_nothing(connection: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let session = ServerConnection::new(config).unwrap();
    let mut reader = BufReader::new(StreamOwned::new(session, connection));
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let body = r#"{"apiVersion":"batch/v1","kind":"JobList","metadata":{},"items":[]}"#;
    let stream = reader.get_mut();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    stream.conn.send_close_notify();
    stream.flush()
}

#[test]
fn tls_is_spoken_with_whom_the_kubeconfig_trusts_and_with_nobody_else() {
    let mut site = Site::new();
    let trusted = site.folder.path().join("authority.pem");
    let (config, pem) = certified("127.0.0.1");
    fs_err::write(&trusted, pem).unwrap();
    let url = format!("https://127.0.0.1:{}", serve_nothing(config));
    site.cluster = Some(format!("{{server: {url:?}, certificate-authority: {trusted:?}}}"));
    let outcome = site.ends(&["status"], 3);
    assert_says(&outcome.stdout, &["inventory    absent"]);

    // The right name, by an authority nobody has named.
    let url = format!("https://127.0.0.1:{}", serve_nothing(certified("127.0.0.1").0));
    site.cluster = Some(format!("{{server: {url:?}, certificate-authority: {trusted:?}}}"));
    assert_says(&site.ends(&["status"], 1).stderr, &["cannot reach the cluster", "certificate"]);

    // Trusted, but another host's.
    let (config, pem) = certified("cluster.example.org");
    fs_err::write(&trusted, pem).unwrap();
    let url = format!("https://127.0.0.1:{}", serve_nothing(config));
    site.cluster = Some(format!("{{server: {url:?}, certificate-authority: {trusted:?}}}"));
    assert_says(&site.ends(&["status"], 1).stderr, &["cannot reach the cluster", "certificate"]);
}

#[test]
fn a_right_that_is_missing_is_named() {
    let site = Site::new();
    site.world().deny = Some(("create", "jobs"));
    let outcome = site.ends(&["submit"], 1);
    assert_says(
        &outcome.stderr,
        &[
            "error: the cluster does not let this account create jobs in namespace `mill`",
            "User \"ada\" cannot create resource \"jobs\"",
            "help: jobs/cluster/role.yaml",
        ],
    );
    assert_eq!(site.made(), Vec::<String>::new());
    site.world().deny = Some(("get", "pods/log"));
    site.ends(&["logs"], 0);
    site.world().deny = Some(("list", "pods"));
    assert_says(&site.ends(&["logs"], 1).stderr, &["list pods in namespace `mill`"]);
}

#[test]
fn a_token_lets_one_in_and_a_wrong_one_does_not() {
    let mut site = Site::new();
    site.world().token = Some("opensesame".to_owned());
    site.user = "{token: opensesame}".to_owned();
    site.ends(&["submit"], 0);
    site.user = "{token: openwheat}".to_owned();
    let outcome = site.ends(&["status"], 1);
    assert_says(&outcome.stderr, &["does not know who asks: Unauthorized", "help: renew the credentials"]);
    assert!(!outcome.stderr.contains("openwheat"), "{}", outcome.stderr);
}

#[test]
fn a_namespace_that_is_not_there_is_named() {
    let site = Site::new();
    site.world().no_namespace = true;
    let outcome = site.ends(&["submit"], 2);
    assert_says(
        &outcome.stderr,
        &["error: the cluster has no namespace `mill`", "help: correct [job] namespace"],
    );
}

#[test]
fn a_cluster_that_never_answers_is_given_up() {
    let mut site = Site::new();
    site.kubeconfig();
    site.server.down();
    let outcome = site.ends(&["submit"], 1);
    let url = site.server.url();
    assert_says(
        &outcome.stderr,
        &[&format!("cannot reach the cluster at {url}"), "refused", "help: check the address"],
    );
}

#[test]
fn no_kubeconfig_a_broken_one_and_an_unknown_context_are_bad_arguments() {
    let site = Site::new();
    let nowhere = site.folder.path().join("nowhere");
    let mut command = site.command(&["status"]);
    let outcome = super::Process::start({
        command.env("KUBECONFIG", &nowhere);
        command
    })
    .end();
    assert_eq!(outcome.code, 2);
    assert_says(&outcome.stderr, &["no cluster is named", "nowhere", "not in a pod", "help: set KUBECONFIG"]);

    fs_err::write(&nowhere, "users:\n- name: ada\n  user: {token: opensesame\n  - [}\n").unwrap();
    let mut command = site.command(&["status"]);
    command.env("KUBECONFIG", &nowhere);
    let outcome = super::Process::start(command).end();
    assert_eq!(outcome.code, 2);
    assert_says(&outcome.stderr, &["nowhere: is not a kubeconfig in YAML"]);
    assert!(!outcome.stderr.contains("opensesame"), "{}", outcome.stderr);

    let outcome = site.ends(&["status", "--context", "there"], 2);
    assert_says(&outcome.stderr, &["failed to load current context: there", "`--context` chooses"]);
}

#[test]
fn a_kubeconfig_may_be_several_files() {
    let site = Site::new();
    let first = site.folder.path().join("first");
    fs_err::write(&first, "apiVersion: v1\nkind: Config\ncurrent-context: here\n").unwrap();
    let listed =
        std::env::join_paths([first, site.folder.path().join("missing"), site.kubeconfig()]).unwrap();
    let mut command = site.command(&["status"]);
    command.env("KUBECONFIG", listed);
    let outcome = super::Process::start(command).end();
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert_says(&outcome.stdout, &["inventory    absent"]);
}

#[test]
fn a_time_between_looks_that_is_none_is_a_bad_argument() {
    let site = Site::new();
    for seconds in ["0", "-1", "nan", "inf", "1e9"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_specmill"));
        command.args(["job", "status"]).arg(site.run_file()).arg(format!("--poll-seconds={seconds}"));
        command.env("KUBECONFIG", site.kubeconfig());
        let outcome = super::Process::start(command).end();
        assert_eq!(outcome.code, 2, "{seconds}: {}", outcome.stderr);
        assert_says(&outcome.stderr, &["--poll-seconds"]);
    }
}
