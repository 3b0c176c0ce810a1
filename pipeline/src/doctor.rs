//! `doctor`: what this machine is fit for, and what the device asked for computes.
//!
//! A device that cannot be had, or that fails the self-test, ends the command with an error after everything has been
//! said; whatever else is amiss is a line of the report.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use specmill_kernels::cuda::{embedded_targets, kernel_names};
use specmill_kernels::{
    Backend, Device, DeviceInfo, KernelError, MemoryInfo, OperationTest, Simd, self_test,
};

use crate::cli::DoctorArgs;
use crate::config::{Environment, Resources, RunFile};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::images::KernelCache;
use crate::record::{GIT_HASH, VERSION};
use crate::run::{Work, on_device, print};
use crate::sink::postgres;
use crate::{fits, memory, server};

/// Carries out `doctor`.
///
/// # Errors
/// Where the arguments or the run file are not right, and, once the report is printed, where the device is unavailable
/// or fails the self-test.
pub(crate) fn run(args: &DoctorArgs, environment: &Environment) -> Result<Exit> {
    let asked = Asked::read(args)?;
    let examined = asked.examine(environment);
    let sections = [
        ("program", program()),
        ("device", device(asked.device, &examined)),
        ("self-test", tests(&examined)),
        ("host", host()),
        ("files", files(&asked.folder)),
        ("database", postgres::diagnose(environment, &asked.folder)),
    ];
    print(&render(&sections))?;
    verdict(examined)
}

/// What is to be examined.
struct Asked {
    device: Device,
    /// 0 = one per core.
    threads: usize,
    folder: PathBuf,
}

impl Asked {
    /// The run file's, or the current folder and the defaults, under the command line's.
    fn read(args: &DoctorArgs) -> Result<Self> {
        let (folder, resources) = match &args.run_file {
            Some(path) => {
                let run_file = RunFile::read(path)?;
                (run_file.output.folder, run_file.resources)
            }
            None => (PathBuf::from("."), Resources::default()),
        };
        let device = match &args.device {
            Some(text) => {
                text.parse().map_err(|problem| Error::Argument { argument: "--device", problem })?
            }
            None => resources.device.parse().map_err(|problem| {
                let setting = "resources.device".to_owned();
                Error::Setting { setting, problem }
            })?,
        };
        Ok(Self { device, threads: resources.threads, folder })
    }

    fn examine(&self, environment: &Environment) -> Found {
        let (opened, fallback) = self.device.open(self.threads, &KernelCache::of(environment))?;
        Ok(Examined { fallback, ..on_device(opened, Examine) })
    }
}

/// A device, or why it cannot be had.
type Found = std::result::Result<Examined, KernelError>;

/// A device that could be had.
struct Examined {
    info: DeviceInfo,
    memory: Option<MemoryInfo>,
    tests: Vec<OperationTest>,
    /// Why it is not the one that would have come first.
    fallback: Option<String>,
}

struct Examine;

impl Work for Examine {
    type Outcome = Examined;

    fn on<B: Backend>(self, dev: &B) -> Examined {
        Examined { info: dev.info(), memory: dev.memory(), tests: self_test(dev), fallback: None }
    }
}

/// What ends the command, where something does.
fn verdict(examined: Found) -> Result<Exit> {
    let Examined { info, tests, .. } = examined?;
    let failed = tests.iter().filter(|test| test.outcome.is_err()).count();
    if failed > 0 {
        return Err(Error::SelfTest { device: info.device, failed, all: tests.len() });
    }
    Ok(Exit::Complete)
}

/// A section's labels and what they say.
type Facts = Vec<(&'static str, String)>;

fn program() -> Facts {
    let targets: Vec<&str> = embedded_targets().collect();
    vec![
        ("version", format!("{VERSION}, git {GIT_HASH}")),
        ("kernels", compiled(kernel_names().count(), &targets)),
    ]
}

/// How many kernels there are, and for which cards they were compiled when the program was built.
fn compiled(kernels: usize, targets: &[&str]) -> String {
    if targets.is_empty() {
        return format!(
            "{kernels}, compiled for no card: built without NVRTC, which `scripts/setup.sh` brings; a CUDA device then \
             needs libnvrtc at run time"
        );
    }
    format!("{kernels}, compiled for {}", targets.join(", "))
}

fn device(asked: Device, examined: &Found) -> Facts {
    let mut facts = vec![("asked for", asked.to_string())];
    let examined = match examined {
        Ok(examined) => examined,
        Err(error) => {
            facts.push(("computes", format!("nothing: {error}")));
            return facts;
        }
    };
    let DeviceInfo { device, name, threads, driver, image } = &examined.info;
    facts.push(("computes", format!("{device}: {name}")));
    facts.push(("threads", format!("{threads} of the host")));
    facts.extend(driver.as_ref().map(|driver| ("driver", format!("serves {driver}"))));
    facts.extend(image.as_ref().map(|image| ("kernels", image.clone())));
    facts.extend(examined.memory.map(|MemoryInfo { free_bytes, total_bytes }| {
        ("memory", format!("{} of {} free", in_gib(free_bytes), in_gib(total_bytes)))
    }));
    facts.extend(
        examined.fallback.as_ref().map(|reason| ("fallback", format!("on the CPU because {reason}"))),
    );
    facts
}

fn tests(examined: &Found) -> Facts {
    let Ok(Examined { tests, .. }) = examined else {
        return vec![("operations", "not tested: there is no device".to_owned())];
    };
    let failed: Facts = tests
        .iter()
        .filter_map(|test| Some((test.operation, format!("FAILED: {}", test.outcome.as_ref().err()?))))
        .collect();
    let passed = tests.len() - failed.len();
    let mut facts =
        vec![("operations", format!("{passed} of {} agree with the CPU to the bit", tests.len()))];
    facts.extend(failed);
    facts
}

fn host() -> Facts {
    let sets: Vec<String> = Simd::available().iter().map(ToString::to_string).collect();
    let mut processor = sets.join(", ");
    if let Some(model) = line_of("/proc/cpuinfo", "model name") {
        processor = format!("{}: {processor}", model.trim_start_matches(':').trim());
    }
    let cores = available_parallelism().map_or(1, usize::from);
    let mut facts = vec![("processor", processor), ("cores", cores.to_string())];
    if let Some((available, total)) = memory::available_bytes().zip(memory::total_bytes()) {
        facts.push(("memory", format!("{} of {} available", in_gib(available), in_gib(total))));
    }
    let files = line_of("/proc/self/limits", "Max open files");
    facts.extend(
        files.and_then(|limits| Some(("open files", format!("at most {}", limits.split(' ').next()?)))),
    );
    facts
}

/// The rest of the first line of a file that begins so; `None` on systems without the file.
fn line_of(path: &str, start: &str) -> Option<String> {
    let text = fs_err::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(start)).map(|rest| rest.trim().to_owned())
}

fn files(folder: &Path) -> Facts {
    let mut facts = vec![("cfitsio", fits::library_version())];
    // A run makes its folder: what counts is where.
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let state = match tempfile::tempfile_in(there) {
        Ok(_) if there == folder => "can be written".to_owned(),
        Ok(_) => "is not there yet and can be made".to_owned(),
        Err(error) => format!("cannot be written: {error}"),
    };
    facts.push(("folder", format!("{} {state}", folder.display())));
    facts.extend(server::free_space(there).map(|bytes| ("disk", format!("{} free", in_gib(bytes)))));
    facts
}

fn in_gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Sections of aligned lines.
fn render(sections: &[(&str, Facts)]) -> String {
    let labels = sections.iter().flat_map(|(_, facts)| facts).map(|(label, _)| label.len());
    let wide = labels.max().unwrap_or(0).max(10) + 2;
    let mut text = String::new();
    for (title, facts) in sections {
        let _ = writeln!(text, "{title}");
        for (label, said) in facts {
            let _ = writeln!(text, "  {label:<wide$}{said}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(outcomes: &[std::result::Result<(), &str>]) -> Found {
        let names = ["combine_arms", "normalize", "project"];
        Ok(Examined {
            info: DeviceInfo {
                device: "cuda:1".to_owned(),
                name: "a card, sm_90".to_owned(),
                threads: 16,
                driver: Some("CUDA 12.8".to_owned()),
                image: Some("embedded sm_90".to_owned()),
            },
            memory: Some(MemoryInfo { free_bytes: 3 << 29, total_bytes: 2 << 30 }),
            tests: names
                .into_iter()
                .zip(outcomes)
                .map(|(operation, outcome)| OperationTest {
                    operation,
                    outcome: outcome.map_err(str::to_owned),
                })
                .collect(),
            fallback: None,
        })
    }

    #[test]
    fn a_card_is_described_from_driver_to_image() {
        let text = render(&[("device", device(Device::Cuda(1), &examined(&[])))]);
        let expected = [
            "device",
            "  asked for   cuda:1",
            "  computes    cuda:1: a card, sm_90",
            "  threads     16 of the host",
            "  driver      serves CUDA 12.8",
            "  kernels     embedded sm_90",
            "  memory      1.5 GiB of 2.0 GiB free",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_operation_that_fails_is_named_and_the_command_ends_with_one() {
        let outcomes = [Ok(()), Err("3 of 5 numbers of `amplitude_s` differ"), Err("no kernel")];
        let text = render(&[("self-test", tests(&examined(&outcomes)))]);
        let expected = [
            "self-test",
            "  operations  1 of 3 agree with the CPU to the bit",
            "  normalize   FAILED: 3 of 5 numbers of `amplitude_s` differ",
            "  project     FAILED: no kernel",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        let error = verdict(examined(&outcomes)).unwrap_err();
        assert_eq!(error.exit(), Exit::Unexpected);
        assert_eq!(error.to_string(), "2 of 3 operations fail the self-test on device `cuda:1`");
        assert!(error.help().is_some());
        assert_eq!(verdict(examined(&[Ok(()); 3])).unwrap(), Exit::Complete);
    }

    #[test]
    fn a_program_without_compiled_kernels_says_what_brings_them() {
        assert_eq!(compiled(3, &["sm_75", "compute_75"]), "3, compiled for sm_75, compute_75");
        let without = compiled(3, &[]);
        assert!(without.contains("no card") && without.contains("scripts/setup.sh"), "{without}");
    }

    #[test]
    fn a_folder_is_judged_by_where_it_will_be_and_not_made() {
        let here = tempfile::tempdir().unwrap();
        let folder = |path: &Path| files(path).into_iter().find(|(label, _)| *label == "folder").unwrap().1;
        assert!(folder(here.path()).ends_with(" can be written"));
        let later = here.path().join("deep/run");
        assert!(folder(&later).ends_with(" is not there yet and can be made"));
        assert_eq!(fs_err::read_dir(here.path()).unwrap().count(), 0);
        let file = here.path().join("file");
        fs_err::write(&file, "").unwrap();
        assert!(folder(&file.join("run")).contains(" cannot be written: "), "{}", folder(&file.join("run")));
    }
}
