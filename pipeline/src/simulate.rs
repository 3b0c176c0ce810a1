//! `simulate`: the command around the generator.

use std::path::Path;

use specmill_schemas::catalogs::{Catalog, catalogs};
use specmill_simulate::{Grouping, Release, Resolution, SimulateConfig, write_samples};

use crate::cli::{GroupingArg, ReleaseArg, ResolutionArg, SimulateArgs};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::run::print;

/// Writes simulated files and says what was written.
///
/// # Errors
/// Where the generator fails.
pub(crate) fn run(args: &SimulateArgs) -> Result<Exit> {
    let (folder, report) = match (&args.samples, &args.out) {
        (Some(samples), _) => (samples, write_samples(samples)?),
        (None, Some(out)) => (out, specmill_simulate::simulate(&config(args, out.clone())?)?),
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

/// The declarations that `--catalogs` names.
fn declarations(names: &[String]) -> Result<Vec<Catalog>> {
    let all = catalogs();
    if names.is_empty() {
        return Ok(all);
    }
    let fault = |problem: String| Error::Argument { argument: "--catalogs", problem };
    let find = |name: &String| {
        if let Some(stem) = name.strip_suffix(".toml") {
            let text = fs_err::read_to_string(name).map_err(|error| fault(error.to_string()))?;
            let stem = Path::new(stem).file_name().and_then(|stem| stem.to_str()).unwrap_or(stem);
            return Catalog::parse(stem, &text).map_err(|error| fault(format!("{name}: {error}")));
        }
        let known = all.iter().map(|catalog| catalog.name.as_str());
        let known = || known.clone().collect::<Vec<_>>().join(", ");
        let found = all.iter().find(|catalog| catalog.name == *name);
        found.cloned().ok_or_else(|| {
            fault(format!(
                "no catalogue is called {name}; there are {}, and files that end in .toml",
                known()
            ))
        })
    };
    names.iter().map(find).collect()
}

fn config(args: &SimulateArgs, out: std::path::PathBuf) -> Result<SimulateConfig> {
    let release = |release: &ReleaseArg| match release {
        ReleaseArg::Edr => Release::Edr,
        ReleaseArg::Dr1 => Release::Dr1,
        ReleaseArg::Dr2 => Release::Dr2,
    };
    Ok(SimulateConfig {
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
        catalogs: args.catalogs.as_ref().map_or_else(|| Ok(Vec::new()), |names| declarations(names))?,
        spectra: !args.no_spectra,
        ..SimulateConfig::new(out, args.targets)
    })
}
