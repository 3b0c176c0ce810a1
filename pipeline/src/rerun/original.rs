//! The run that is repeated: its record, its folder, and the plan they make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use specmill_kernels::Device;

use crate::cli::RerunArgs;
use crate::config::RunFile;
use crate::error::{Error, Result, reason_of};
use crate::ledger::Ledger;
use crate::plan::{Overrides, Plan, stages_of};
use crate::record::RunRecord;
use crate::stage::Stage;

/// A recorded run.
#[derive(Debug)]
pub(super) struct Original {
    /// The record given.
    pub(super) record: RunRecord,
    /// The run folder it lies in.
    pub(super) folder: PathBuf,
    /// Stage hashes of everything that folder was run for: of the record, else of the newest that has them.
    pub(super) stage_hashes: BTreeMap<String, String>,
    /// Content hashes of the models there.
    pub(super) models: BTreeMap<String, String>,
    /// The stages to run again.
    stages: Vec<Stage>,
}

fn refuse(problem: impl Into<String>) -> Error {
    Error::Argument { argument: "--from", problem: problem.into() }
}

impl Original {
    /// Reads a record and what lies around it.
    ///
    /// # Errors
    /// Where it is no record, or lies in no run folder.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let record = RunRecord::read(path).map_err(|error| refuse(reason_of(&error)))?;
        if record.run_id.is_empty() || !record.run_file.is_object() {
            return Err(refuse(format!("{} is no run record", path.display())));
        }
        let absolute = fs_err::canonicalize(path).map_err(|error| refuse(error.to_string()))?;
        let runs = absolute.parent().filter(|folder| folder.ends_with("runs"));
        let folder = runs
            .and_then(Path::parent)
            .ok_or_else(|| refuse(format!("{} does not lie in `runs/` of its run folder", path.display())))?;
        let mut original = Self {
            record,
            folder: folder.to_owned(),
            stage_hashes: BTreeMap::new(),
            models: BTreeMap::new(),
            stages: Vec::new(),
        };
        original.look_around()?;
        Ok(original)
    }

    /// Which stages its folder has accounts of, and under which hashes they were last run.
    fn look_around(&mut self) -> Result<()> {
        let ledger = Ledger::of_run(&self.folder);
        let mut stages = Vec::new();
        for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Load) {
            if self.record.ran(stage) || stage == Stage::Inventory || !ledger.units(stage)?.is_empty() {
                stages.push(stage);
            }
        }
        let others: Vec<RunRecord> = RunRecord::each(&self.folder).filter_map(Result::ok).collect();
        for record in others.iter().chain([&self.record]) {
            for (name, hash) in record.hashes() {
                self.stage_hashes.insert(name, hash);
            }
            self.models.extend(record.models.clone());
        }
        self.stages = stages;
        Ok(())
    }

    /// The plan of the rerun, and which of the record's paths were taken from where.
    ///
    /// # Errors
    /// Where the record's settings cannot be followed here.
    pub(super) fn plan(&self, args: &RerunArgs) -> Result<(Plan, String)> {
        let mut said = String::new();
        let mut unknown = Vec::new();
        let run_file: Value = self.record.run_file.clone();
        let mut run_file: RunFile = serde_ignored::deserialize(run_file, |key| unknown.push(key.to_string()))
            .map_err(|error| refuse(format!("its run file cannot be followed: {error}")))?;
        for key in unknown {
            said.push_str(&format!("The record's setting {key} is unknown to this program and left out.\n"));
        }
        self.settle_paths(&mut run_file, args.input.as_deref(), &mut said);
        // The record has what its command line said.
        let mut stages = stages_of(&run_file);
        stages.retain(|stage| self.stages.contains(stage));
        if stages.is_empty() {
            return Err(refuse("its run left nothing that could be made again"));
        }
        let overrides = Overrides {
            // A card that the record had asked for need not be here, and changes no byte.
            device: Some(args.device.clone().unwrap_or_else(|| Device::Auto.to_string())),
            threads: args.threads,
            folder: Some(args.out.clone()),
            stages,
            ..Overrides::default()
        };
        Ok((Plan::resolve(run_file, &overrides)?, said))
    }

    /// Finds what the run file's relative paths mean: from here where they exist, else from where the run was made.
    fn settle_paths(&self, run_file: &mut RunFile, input: Option<&Path>, said: &mut String) {
        let working = &self.record.working_folder;
        let mut settle = |path: &mut PathBuf| {
            if path.as_os_str().is_empty() || path.is_absolute() {
                return;
            }
            let recorded = working.join(&*path);
            if is_there(path) {
                if fs_err::canonicalize(&*path).ok() != fs_err::canonicalize(&recorded).ok() {
                    said.push_str(&format!("{} is taken from this folder.\n", path.display()));
                }
            } else if is_there(&recorded) {
                said.push_str(&format!("{} is taken from {}.\n", path.display(), working.display()));
                *path = recorded;
            }
        };
        let paths = &mut run_file.input;
        // Without a release, catalogues are named by paths of their own.
        let catalogs_alone = paths.root.as_os_str().is_empty() && paths.files.is_empty();
        let catalogs = run_file.catalog.iter_mut().flat_map(|catalog| &mut catalog.files);
        match input {
            Some(root) if catalogs_alone => catalogs.for_each(|file| *file = root.join(&*file)),
            Some(root) if paths.files.is_empty() => root.clone_into(&mut paths.root),
            // Single files are looked for by their names.
            Some(root) => {
                for file in &mut paths.files {
                    *file = root.join(file.file_name().unwrap_or_default());
                }
            }
            None => {
                settle(&mut paths.root);
                paths.files.iter_mut().for_each(&mut settle);
                if catalogs_alone {
                    catalogs.for_each(&mut settle);
                }
            }
        }
        paths.declarations.iter_mut().for_each(&mut settle);
        settle(&mut run_file.redshifts.path);
        settle(&mut run_file.models.galaxy.folder);
        settle(&mut run_file.models.qso.folder);
    }
}

/// Whether a path leads to something; one that stands for many, whether its folder does.
fn is_there(path: &Path) -> bool {
    let stands_for_many = |path: &&Path| path.to_string_lossy().contains(['*', '?', '[']);
    match path.ancestors().take_while(stands_for_many).last().and_then(Path::parent) {
        Some(folder) => folder.is_dir(),
        None => path.exists(),
    }
}
