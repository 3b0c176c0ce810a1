//! The specmill command line.

use std::process::ExitCode;

use clap::Parser;
use specmill::cli::Cli;
use specmill::config::Environment;

fn main() -> ExitCode {
    // A closed pipe is the reader's wish, and clap's own errors exit with 2, as bad arguments should.
    let cli = Cli::parse();
    specmill::memory::keep_freed_memory();
    let environment = Environment::read();
    specmill::observe::start_log(&environment);
    ExitCode::from(specmill::run::run(&cli, &environment).code())
}
