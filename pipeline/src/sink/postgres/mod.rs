//! PostgreSQL: the only place that speaks SQL at run time.
//!
//! [`Database`] is one connection; its methods block, the runtime that drives it is inside.

mod catalogs;
mod check;
mod connection;
pub mod copy;
pub(crate) mod export;
mod failure;
pub(crate) mod index;
pub(crate) mod load;
mod migrate;
pub(crate) mod query;
mod recall;
mod tls;

use std::path::Path;
use std::sync::{Arc, Once};

use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

use crate::config::Environment;
use crate::error::Result;
pub(crate) use catalogs::{StoredSum, StoredTotal};
pub(crate) use check::{check, diagnose};
pub(crate) use connection::Address;
pub(crate) use failure::{DatabaseError, failed};
pub(crate) use migrate::migrate;

/// The oldest pgvector that serves: iterative index scans came with it.
pub(crate) const VECTOR_MINIMUM: &str = "0.8.0";
/// The oldest server that serves, as `server_version_num`.
const SERVER_MINIMUM: i32 = 160_000;

/// Parameters of a statement.
pub(crate) type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// One connection to the database.
pub(crate) struct Database {
    client: Client,
    runtime: Arc<Runtime>,
    address: Arc<Address>,
}

impl Database {
    /// Connects to the database that the environment, or else the run folder, names, and makes sure that the
    /// server, pgvector and the schema are of the versions this program needs.
    ///
    /// # Errors
    /// Where nothing names a database, it cannot be reached, or it is not of the right version.
    pub(crate) fn open(environment: &Environment, run_folder: &Path) -> Result<Self> {
        let database = Self::connect(environment, run_folder)?;
        database.require_versions()?;
        Ok(database)
    }

    /// Connects to the database that the environment, or else the run folder, names, whatever its schema.
    ///
    /// # Errors
    /// Where nothing names a database, or it cannot be reached.
    pub(crate) fn connect(environment: &Environment, run_folder: &Path) -> Result<Self> {
        static TOLD: Once = Once::new();
        let address = Address::find(environment, run_folder)?;
        // A command asks one database, but may connect to it several times.
        TOLD.call_once(|| tracing::info!("{address}, as {} says", address.source()));
        Ok(Self::connect_to(address)?)
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// Where it cannot be reached, or lets nobody in.
    pub(crate) fn connect_to(address: Address) -> std::result::Result<Self, DatabaseError> {
        let address = Arc::new(address);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("database")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| DatabaseError::Unreachable {
                place: address.to_string(),
                reason: error.to_string(),
            })?;
        Self::connect_on(Arc::new(runtime), address)
    }

    /// One more connection to the same database, driven by the same thread.
    ///
    /// # Errors
    /// Where it cannot be reached, or takes no more.
    pub(crate) fn another(&self) -> std::result::Result<Self, DatabaseError> {
        Self::connect_on(Arc::clone(&self.runtime), Arc::clone(&self.address))
    }

    fn connect_on(runtime: Arc<Runtime>, address: Arc<Address>) -> std::result::Result<Self, DatabaseError> {
        let place = || address.to_string();
        let unreachable = |error| DatabaseError::of_connection(place(), &error);
        let config = address.config();
        let client = match address.trust() {
            None => {
                let (client, connection) = runtime.block_on(config.connect(NoTls)).map_err(unreachable)?;
                runtime.spawn(drive(connection));
                client
            }
            Some(trust) => {
                let connector =
                    tls::connector(trust).map_err(|reason| DatabaseError::Tls { place: place(), reason })?;
                let (client, connection) =
                    runtime.block_on(config.connect(connector)).map_err(unreachable)?;
                runtime.spawn(drive(connection));
                client
            }
        };
        Ok(Self { client, runtime, address })
    }

    /// Where the database is and who asks, without the password.
    pub(crate) fn place(&self) -> String {
        self.address.to_string()
    }

    /// Where the database is.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The connection, for what has no method here.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for a future that uses this connection.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Rows of a query.
    ///
    /// # Errors
    /// Where the database refuses or is lost.
    pub(crate) fn query(
        &self,
        doing: &str,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> std::result::Result<Vec<Row>, DatabaseError> {
        self.block_on(self.client.query(sql, parameters)).map_err(failed(doing))
    }

    /// The one row of a query.
    ///
    /// # Errors
    /// Where the database refuses or is lost, or there is not exactly one row.
    pub(crate) fn query_one(
        &self,
        doing: &str,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> std::result::Result<Row, DatabaseError> {
        self.block_on(self.client.query_one(sql, parameters)).map_err(failed(doing))
    }

    /// Carries out a statement; gives the number of rows it touched.
    ///
    /// # Errors
    /// Where the database refuses or is lost.
    pub(crate) fn execute(
        &self,
        doing: &str,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> std::result::Result<u64, DatabaseError> {
        self.block_on(self.client.execute(sql, parameters)).map_err(failed(doing))
    }

    /// Carries out statements without parameters.
    ///
    /// # Errors
    /// Where the database refuses or is lost.
    pub(crate) fn batch(&self, doing: &str, sql: &str) -> std::result::Result<(), DatabaseError> {
        self.block_on(self.client.batch_execute(sql)).map_err(failed(doing))
    }
}

/// Carries a connection's traffic until it ends; who waits on it learns the reason there.
async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        tracing::debug!("connection ended: {error}");
    }
}

/// Makes a database on a server that has none of that name yet.
///
/// # Errors
/// Where the server cannot be reached or refuses.
pub(crate) fn create_database(maintenance: Address, name: &str) -> std::result::Result<(), DatabaseError> {
    let server = Database::connect_to(maintenance)?;
    let doing = "creating the database";
    let found = server.query(doing, "SELECT 1 FROM pg_database WHERE datname = $1", &[&name])?;
    if found.is_empty() {
        server.batch(doing, &format!("CREATE DATABASE {}", quote_name(name)))?;
    }
    Ok(())
}

/// A name as SQL text.
pub(crate) fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
