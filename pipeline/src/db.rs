//! What each `db` command does.

use std::path::PathBuf;

use crate::cli::{DbArgs, DbCommand};
use crate::config::{Environment, RunFile};
use crate::declared::declarations;
use crate::error::Result;
use crate::exit::Exit;
use crate::run::{execute, print};
use crate::server;
use crate::sink::postgres;
use crate::stage::Stage;

/// Carries out a `db` command.
pub(crate) fn run(command: &DbCommand, environment: &Environment) -> Result<Exit> {
    match command {
        DbCommand::Start(args) => start(args, environment),
        DbCommand::Stop(args) => stop(args),
        DbCommand::Migrate(args) => {
            let catalogs = declarations(&RunFile::read(&args.run_file)?)?;
            print(&postgres::migrate(environment, &run_folder(args)?, &catalogs)?.render())
        }
        DbCommand::Check(args) => print(&postgres::check(environment, &run_folder(args)?)?),
        DbCommand::Load(args) => {
            let mut args = args.clone();
            args.run.stages = vec![Stage::Load];
            return execute(&args, environment);
        }
        DbCommand::Index(args) => {
            let run_file = RunFile::read(&args.run_file)?;
            print(&postgres::index::run(&run_file, &run_folder(args)?, environment)?)
        }
    }?;
    Ok(Exit::Complete)
}

/// The run folder, without resolving the rest of the run file.
fn run_folder(args: &DbArgs) -> Result<PathBuf> {
    let run_file = RunFile::read(&args.run_file)?;
    Ok(args.out.clone().unwrap_or(run_file.output.folder))
}

fn start(args: &DbArgs, environment: &Environment) -> Result<()> {
    let server = server::start(&run_folder(args)?, environment)?;
    if environment.database_url.is_some() {
        tracing::warn!("DATABASE_URL is set and wins over the private server");
    }
    let mut text = format!(
        "PostgreSQL {} runs, reachable by its owner alone\n  data    {}\n  log     {}\n  socket  {}\n",
        server.version,
        server.data.display(),
        server.log.display(),
        server.socket.display(),
    );
    let psql = server.bin.join("psql");
    if psql.is_file() {
        let (socket, user) = (server.socket.display(), &server.user);
        text.push_str(&format!("  psql    {} -h {socket} -U {user} {}\n", psql.display(), server.database));
    }
    print(&text)
}

fn stop(args: &DbArgs) -> Result<()> {
    let ran = server::stop(&run_folder(args)?)?;
    print(if ran { "the private server is stopped\n" } else { "no private server ran\n" })
}
