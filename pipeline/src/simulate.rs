//! `simulate`: the command around the generator.

use specmill_simulate::{Grouping, Release, Resolution, SimulateConfig, write_samples};

use crate::cli::{GroupingArg, ReleaseArg, ResolutionArg, SimulateArgs};
use crate::error::Result;
use crate::exit::Exit;
use crate::run::print;

/// Writes simulated files and says what was written.
///
/// # Errors
/// Where the generator fails.
pub(crate) fn run(args: &SimulateArgs) -> Result<Exit> {
    let (folder, report) = match (&args.samples, &args.out) {
        (Some(samples), _) => (samples, write_samples(samples)?),
        (None, Some(out)) => (out, specmill_simulate::simulate(&config(args, out.clone()))?),
        // The command line requires one of the two.
        (None, None) => return Ok(Exit::BadPlan),
    };
    print(&format!(
        "wrote {} targets in {} units below {} ({:.1} MB, holes included); {} are repeat observations\n",
        report.targets,
        report.units,
        folder.display(),
        report.bytes as f64 / 1e6,
        report.repeats,
    ))?;
    Ok(Exit::Complete)
}

fn config(args: &SimulateArgs, out: std::path::PathBuf) -> SimulateConfig {
    let release = |release: &ReleaseArg| match release {
        ReleaseArg::Edr => Release::Edr,
        ReleaseArg::Dr1 => Release::Dr1,
        ReleaseArg::Dr2 => Release::Dr2,
    };
    SimulateConfig {
        seed: args.seed,
        releases: args.release.iter().map(release).collect(),
        targets_per_unit: args.targets_per_unit,
        grouping: match args.grouping {
            GroupingArg::Healpix => Grouping::Healpix,
            GroupingArg::Tile => Grouping::Tile,
            GroupingArg::Both => Grouping::Both,
        },
        resolution: match args.resolution {
            ResolutionArg::Full => Resolution::Full,
            ResolutionArg::Sparse => Resolution::Sparse,
            ResolutionArg::None => Resolution::None,
        },
        ..SimulateConfig::new(out, args.targets)
    }
}
