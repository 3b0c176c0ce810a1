//! Where the database is and who asks: `DATABASE_URL` over `PG*` over the run folder's private server.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::failure::DatabaseError;
use super::tls::Trust;
use crate::config::Environment;
use crate::server::ServerFile;

/// Where libpq looks for a server when no host is given.
const DEFAULT_SOCKET: &str = "/var/run/postgresql";
/// How long a server may take to answer where the address does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database's address with its credentials: neither `Debug` nor `Display` shows the password.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    /// How far TLS is trusted; `None` where the connection is not to be encrypted.
    trust: Option<Trust>,
    source: Source,
}

/// Who named the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    DatabaseUrl,
    Libpq,
    PrivateServer,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::DatabaseUrl => "DATABASE_URL",
            Self::Libpq => "PGHOST",
            Self::PrivateServer => "server.json",
        }
    }
}

/// libpq's words for `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            // `allow` would try without encryption first; with it is as good and safer.
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

impl Address {
    /// The database that the environment, or else the run folder, names.
    ///
    /// # Errors
    /// Where nothing names one, or what does cannot be understood.
    pub(crate) fn find(environment: &Environment, run_folder: &Path) -> Result<Self, DatabaseError> {
        let libpq = &environment.libpq;
        if let Some(url) = &environment.database_url {
            return Self::parse(url, libpq, Source::DatabaseUrl);
        }
        if ["PGHOST", "PGPORT", "PGDATABASE"].iter().any(|name| libpq.contains_key(*name)) {
            return Self::parse("", libpq, Source::Libpq);
        }
        match ServerFile::read(run_folder)? {
            Some(server) => Ok(Self::of_private_server(&server, &server.database)),
            None => Err(DatabaseError::NotConfigured { folder: run_folder.to_owned() }),
        }
    }

    /// A database of a private server.
    pub(crate) fn of_private_server(server: &ServerFile, database: &str) -> Self {
        let mut config = Config::new();
        config.host_path(&server.socket).port(server.port).user(&server.user).dbname(database);
        let mut address = Self { config, trust: None, source: Source::PrivateServer };
        address.complete();
        address
    }

    fn parse(text: &str, libpq: &BTreeMap<String, String>, source: Source) -> Result<Self, DatabaseError> {
        let wrong =
            |problem: &str| DatabaseError::Address { variable: source.name(), problem: problem.to_owned() };
        if has_misplaced_at(text) {
            return Err(wrong(
                "has `@` where it ends no credentials: percent-encode `@` as %40 and `/` as %2F",
            ));
        }
        let (rest, mut tls) =
            take_tls_options(text).ok_or_else(|| wrong("is not an address of a PostgreSQL database"))?;
        // The parser's own message may quote a piece of a password.
        let mut config: Config =
            rest.parse().map_err(|_| wrong("is not an address of a PostgreSQL database"))?;
        fill_in(&mut config, libpq)?;
        // What the parser takes for a host may be the end of a password.
        if !config.get_hosts().iter().all(is_host) {
            return Err(wrong("has a host that cannot be one: percent-encode `@` in credentials"));
        }
        for (option, variable) in [("sslmode", "PGSSLMODE"), ("sslrootcert", "PGSSLROOTCERT")] {
            if let Some(value) = libpq.get(variable) {
                tls.entry(option).or_insert_with(|| value.clone());
            }
        }
        let (mode, trust) = trust(&tls).map_err(|problem| wrong(&problem))?;
        config.ssl_mode(mode);
        let mut address = Self { config, trust, source };
        address.complete();
        Ok(address)
    }

    fn complete(&mut self) {
        if self.config.get_hosts().is_empty() && self.config.get_hostaddrs().is_empty() {
            self.config.host_path(DEFAULT_SOCKET);
        }
        if self.config.get_connect_timeout().is_none() {
            self.config.connect_timeout(CONNECT_TIMEOUT);
        }
        if self.config.get_application_name().is_none() {
            self.config.application_name("specmill");
        }
        // As in libpq, a socket is never encrypted.
        if self.config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)))
            && self.config.get_hostaddrs().is_empty()
        {
            self.trust = None;
        }
        if self.trust.is_none() {
            self.config.ssl_mode(SslMode::Disable);
        }
    }

    /// What to connect with; it holds the password.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How far TLS is trusted; `None` where the connection is not to be encrypted.
    pub(crate) fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// The variable or file that named the database.
    pub(crate) fn source(&self) -> &'static str {
        self.source.name()
    }

    /// Whether it is the run folder's private server, which serves nobody else.
    pub(crate) fn is_private(&self) -> bool {
        self.source == Source::PrivateServer
    }

    /// Whether the server is on this machine, as far as the address tells.
    pub(crate) fn is_local(&self) -> bool {
        // Where numbers are given, they are connected to and the names only checked.
        let numbers = self.config.get_hostaddrs();
        if !numbers.is_empty() {
            return numbers.iter().all(IpAddr::is_loopback);
        }
        self.config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        if hosts.is_empty() {
            hosts = self.config.get_hostaddrs().iter().map(ToString::to_string).collect();
        }
        let user = self.config.get_user();
        let database = self.config.get_dbname().or(user).unwrap_or("(the user's own)");
        write!(f, "database {database} at {}", hosts.join(","))?;
        if let Some(port) = self.config.get_ports().first() {
            write!(f, ":{port}")?;
        }
        user.map_or(Ok(()), |user| write!(f, " as {user}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("place", &self.to_string())
            .field("trust", &self.trust)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Whether the first `@` of an URL, where the library ends the credentials, is not where they end.
fn has_misplaced_at(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let Some((credentials, rest)) = rest.split_once('@') else { return false };
    let user = credentials.split(':').next().unwrap_or_default();
    let place = rest.split('?').next().unwrap_or_default();
    credentials.contains('/') || user.contains(['?', '&', '=']) || place.contains('@')
}

fn is_host(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:%-".contains(&byte)),
        Host::Unix(_) => true,
    }
}

/// What the address leaves open comes from libpq's variables.
fn fill_in(config: &mut Config, libpq: &BTreeMap<String, String>) -> Result<(), DatabaseError> {
    if let Some(host) = libpq.get("PGHOST")
        && config.get_hosts().is_empty()
        && config.get_hostaddrs().is_empty()
    {
        config.host(host);
    }
    if let Some(port) = libpq.get("PGPORT")
        && config.get_ports().is_empty()
    {
        let wrong =
            |_| DatabaseError::Address { variable: "PGPORT", problem: format!("`{port}` is not a port") };
        config.port(port.parse().map_err(wrong)?);
    }
    if let Some(database) = libpq.get("PGDATABASE")
        && config.get_dbname().is_none()
    {
        config.dbname(database);
    }
    if let Some(user) = libpq.get("PGUSER")
        && config.get_user().is_none()
    {
        config.user(user);
    }
    if let Some(password) = libpq.get("PGPASSWORD")
        && config.get_password().is_none()
    {
        config.password(password);
    }
    Ok(())
}

/// The library's mode, which says whether encryption is a must, and how far the certificate is checked.
fn trust(tls: &TlsOptions) -> Result<(SslMode, Option<Trust>), String> {
    // As in libpq, the system's authorities sign for anybody: only with the host's name are they a check.
    let is_system = tls.get("sslrootcert").is_some_and(|root| root == "system");
    let mode = match tls.get("sslmode") {
        Some(word) => Mode::parse(word).ok_or_else(|| {
            format!("has sslmode `{word}`: use disable, prefer, require, verify-ca or verify-full")
        })?,
        None if is_system => Mode::VerifyFull,
        None => Mode::Prefer,
    };
    if is_system && mode != Mode::VerifyFull {
        return Err("has sslrootcert=system, which goes with sslmode=verify-full alone".to_owned());
    }
    let root = tls.get("sslrootcert").map(PathBuf::from);
    let needed = || root.clone().ok_or("asks for a check of the server's certificate without sslrootcert");
    Ok(match mode {
        Mode::Disable => (SslMode::Disable, None),
        Mode::Prefer => (SslMode::Prefer, Some(Trust::Anyone)),
        // As in libpq, an authority that is given is used.
        Mode::Require => (SslMode::Require, Some(root.map_or(Trust::Anyone, Trust::Authority))),
        Mode::VerifyCa => (SslMode::Require, Some(Trust::Authority(needed()?))),
        Mode::VerifyFull => (SslMode::Require, Some(Trust::AuthorityAndHost(needed()?))),
    })
}

type TlsOptions = BTreeMap<&'static str, String>;

/// Takes `sslmode` and `sslrootcert` out of an address; the library knows only half of libpq's words.
fn take_tls_options(text: &str) -> Option<(String, TlsOptions)> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        take_from_url(text)
    } else {
        take_from_words(text)
    }
}

fn tls_option(key: &str) -> Option<&'static str> {
    ["sslmode", "sslrootcert"].into_iter().find(|option| *option == key)
}

fn take_from_url(url: &str) -> Option<(String, TlsOptions)> {
    // A `?` before the `@` belongs to the credentials.
    let from = url.find('@').unwrap_or(0);
    let Some(query_at) = url[from..].find('?').map(|at| from + at) else {
        return Some((url.to_owned(), TlsOptions::new()));
    };
    let mut options = TlsOptions::new();
    let mut kept: Vec<&str> = Vec::new();
    for pair in url[query_at + 1..].split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').and_then(|(key, value)| Some((tls_option(key)?, value))) {
            Some((option, value)) => {
                options.insert(option, percent_decode(value)?);
            }
            None => kept.push(pair),
        }
    }
    let base = &url[..query_at];
    let rest = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Some((rest, options))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The same from `host=… dbname=…`.
fn take_from_words(text: &str) -> Option<(String, TlsOptions)> {
    let mut options = TlsOptions::new();
    let mut rest = String::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Some((rest, options));
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        chars.next_if_eq(&'=')?;
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let value = take_value(&mut chars)?;
        match tls_option(&key) {
            Some(option) => {
                options.insert(option, value);
            }
            None => {
                let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
                rest.push_str(&format!("{key}='{quoted}' "));
            }
        }
    }
}

/// A value, bare or in single quotes, with backslashes before what would end it.
fn take_value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match chars.peek().copied() {
            None => return (!quoted).then_some(value),
            Some('\\') => {
                chars.next();
                value.push(chars.next()?);
            }
            Some('\'') if quoted => {
                chars.next();
                return Some(value);
            }
            Some(c) if !quoted && c.is_whitespace() => return Some(value),
            Some(c) => {
                chars.next();
                value.push(c);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(url: Option<&str>, libpq: &[(&str, &str)]) -> Environment {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Environment {
            database_url: url.map(str::to_owned),
            libpq: libpq.iter().map(own).collect(),
            ..Environment::default()
        }
    }

    fn find(url: Option<&str>, libpq: &[(&str, &str)]) -> Result<Address, DatabaseError> {
        Address::find(&environment(url, libpq), Path::new("/nowhere/at/all"))
    }

    const MARKED: &str = "s3cr3t-mark";

    #[test]
    fn the_url_wins_and_libpq_fills_what_it_leaves_open() {
        let libpq = [("PGHOST", "elsewhere"), ("PGUSER", "reader"), ("PGPASSWORD", MARKED), ("PGPORT", "7")];
        let address = find(Some("postgres://db.example:5433/desi"), &libpq).unwrap();
        assert_eq!(address.to_string(), "database desi at db.example:5433 as reader");
        assert_eq!(address.source(), "DATABASE_URL");
        assert_eq!(address.config().get_password(), Some(MARKED.as_bytes()));
        let address = find(None, &libpq).unwrap();
        assert_eq!(address.to_string(), "database reader at elsewhere:7 as reader");
        assert_eq!(address.source(), "PGHOST");
    }

    #[test]
    fn without_any_word_of_a_database_the_run_folder_is_named() {
        let error = find(None, &[("PGPASSWORD", MARKED)]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
        assert_eq!(error.exit().code(), 2);
    }

    #[test]
    fn the_password_is_shown_by_nothing() {
        let url = format!("postgres://me:{MARKED}@localhost/x?sslmode=require");
        let address = find(Some(&url), &[]).unwrap();
        assert!(!format!("{address} {address:?} {:?}", address.config()).contains(MARKED));
        // Addresses that cannot be parsed, with the password where the parser would quote it.
        for bad in [
            format!("postgres://me:{MARKED}"),
            format!("postgres://me:x?{MARKED}=1@host/db?{MARKED}=2"),
            format!("postgres://host/db?port={MARKED}"),
            format!("host=x {MARKED}=y"),
            format!("host=x password='{MARKED}"),
            MARKED.to_owned(),
            // The library ends the credentials at the first `@`.
            format!("postgres://me:first@{MARKED}@127.0.0.1:1/db"),
            format!("postgres://me:first@second/{MARKED}@127.0.0.1:1/db"),
            format!("postgres://host/db?user=me@corp&password={MARKED}"),
            format!("postgres://host/db?password={MARKED}&user=me@corp"),
            format!("postgres://host?password={MARKED}&user=me@corp"),
            format!("host=me:{MARKED}@127.0.0.1"),
        ] {
            let error = find(Some(&bad), &[]).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(MARKED), "{error}");
            assert_eq!(error.exit().code(), 2);
        }
    }

    #[test]
    fn every_sslmode_means_what_libpq_means() {
        let authority = PathBuf::from("/a b/ca.pem");
        let cases = [
            ("", SslMode::Prefer, Some(Trust::Anyone)),
            ("sslmode=disable", SslMode::Disable, None),
            ("sslmode=allow", SslMode::Prefer, Some(Trust::Anyone)),
            ("sslmode=require", SslMode::Require, Some(Trust::Anyone)),
            (
                "sslmode=require&sslrootcert=%2Fa%20b/ca.pem",
                SslMode::Require,
                Some(Trust::Authority(authority.clone())),
            ),
            (
                "sslmode=verify-ca&sslrootcert=%2Fa%20b/ca.pem",
                SslMode::Require,
                Some(Trust::Authority(authority.clone())),
            ),
            (
                "sslrootcert=%2Fa%20b/ca.pem&sslmode=verify-full",
                SslMode::Require,
                Some(Trust::AuthorityAndHost(authority)),
            ),
            ("sslrootcert=system", SslMode::Require, Some(Trust::AuthorityAndHost(PathBuf::from("system")))),
            (
                "sslrootcert=system&sslmode=verify-full",
                SslMode::Require,
                Some(Trust::AuthorityAndHost(PathBuf::from("system"))),
            ),
        ];
        for (query, mode, trust) in cases {
            let address =
                find(Some(&format!("postgresql://u:p%3F@h/d?connect_timeout=3&{query}")), &[]).unwrap();
            assert_eq!((address.config().get_ssl_mode(), address.trust()), (mode, trust.as_ref()), "{query}");
            assert_eq!(address.config().get_password(), Some(&b"p?"[..]));
            let words = query.replace('&', "' ").replace("%2F", "/").replace("%20", " ").replace("=", "='");
            let words = if words.is_empty() { words } else { format!("{words}'") };
            let address = find(Some(&format!("host=h user = u password='p?\\'' {words}")), &[]).unwrap();
            assert_eq!((address.config().get_ssl_mode(), address.trust()), (mode, trust.as_ref()), "{words}");
            assert_eq!(address.config().get_password(), Some(&b"p?'"[..]));
        }
    }

    #[test]
    fn a_check_without_an_authority_or_an_unknown_mode_is_refused() {
        for query in [
            "sslmode=verify-full",
            "sslmode=verify-ca",
            "sslmode=verify_full",
            "sslmode=verify-ca&sslrootcert=system",
            "sslmode=require&sslrootcert=system",
            "sslmode=prefer&sslrootcert=system",
            "sslmode=disable&sslrootcert=system",
        ] {
            let error = find(Some(&format!("postgres://u:{MARKED}@h/d?{query}")), &[]).unwrap_err();
            assert!(error.to_string().starts_with("DATABASE_URL"), "{error}");
            assert!(!format!("{error:?}").contains(MARKED));
        }
    }

    #[test]
    fn a_socket_is_never_encrypted() {
        let address = find(Some("postgres://u@%2Ftmp%2Fsocket/d?sslmode=require"), &[]).unwrap();
        assert_eq!((address.config().get_ssl_mode(), address.trust()), (SslMode::Disable, None));
        assert!(address.is_local());
    }

    #[test]
    fn a_server_named_by_its_number_alone_is_told_and_judged_by_it() {
        let address = find(Some("hostaddr=192.0.2.7 port=5433 dbname=desi user=me"), &[]).unwrap();
        assert_eq!(address.to_string(), "database desi at 192.0.2.7:5433 as me");
        assert!(!address.is_local());
        for (words, is_local) in [
            ("hostaddr=127.0.0.1", true),
            ("hostaddr=::1", true),
            ("host=localhost hostaddr=192.0.2.7", false),
            ("host=localhost", true),
            ("host=db.example", false),
        ] {
            assert_eq!(find(Some(words), &[]).unwrap().is_local(), is_local, "{words}");
        }
    }
}
