//! What criterion measured, as a record: the machine, the commit and every benchmark's median with its interval.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};
use specmill_kernels::Simd;

/// The file of a folder of recorded runs that holds one record after the other.
pub const FILE: &str = "criterion.json";
/// The newest of them as a table.
pub const TABLE: &str = "criterion.md";

/// The machine that a record comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// As the processor names itself.
    pub cpu: String,
    /// Cores that the program may use.
    pub cores: usize,
    /// The instruction set that the CPU's operations run with.
    pub simd: String,
    /// Main memory; NULL where the system does not say.
    pub memory_gib: Option<f64>,
    /// The release of the kernel.
    pub kernel: String,
}

/// One run of the benchmarks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Year, month, day.
    pub date: String,
    /// What was measured.
    pub commit: String,
    /// What compiled it.
    pub rustc: String,
    /// Where.
    pub machine: Machine,
    /// By name.
    pub benchmarks: Vec<Benchmark>,
}

/// A benchmark's median.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    /// `group/op/device/shape`.
    pub name: String,
    /// Seconds of one pass.
    pub seconds: f64,
    /// The interval in which the median lies, in seconds.
    pub interval_seconds: [f64; 2],
    /// How likely it lies there.
    pub confidence: f64,
    /// Spectra, rows or vectors per second; NULL where the pass counts none.
    pub per_second: Option<f64>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let memory = field("/proc/meminfo", "MemTotal");
        let kib = memory.and_then(|text| text.trim_end_matches("kB").trim().parse::<f64>().ok());
        let release = fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: available_parallelism().map_or(1, usize::from),
            simd: Simd::detect().to_string(),
            memory_gib: kib.map(|kib| (kib / 1024.0 / 102.4).round() / 10.0),
            kernel: release.trim().to_owned(),
        }
    }

    /// `<instruction set>-<N>core`, as folders of recorded runs are called.
    pub fn name(&self) -> String {
        let simd = self.simd.split('+').next().unwrap_or_default();
        format!("{simd}-{}core", self.cores)
    }
}

/// The first value of a field in one of the system's `name : value` files.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs_err::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `new/benchmark.json` below criterion's folder.
#[derive(Deserialize)]
struct Identity {
    full_id: String,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
struct Throughput {
    #[serde(rename = "Elements")]
    elements: Option<u64>,
}

/// `new/estimates.json`, in nanoseconds.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    confidence_interval: Interval,
    point_estimate: f64,
}

#[derive(Deserialize)]
struct Interval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

/// Every benchmark below criterion's folder, by name.
///
/// # Errors
/// Where the folder cannot be read, or a file is not what criterion writes.
pub fn read_criterion(folder: &Path) -> io::Result<Vec<Benchmark>> {
    let mut benchmarks = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder)? {
            let path = entry?.path();
            if !path.is_dir() {
                continue;
            }
            if path.ends_with("new") && path.join("benchmark.json").is_file() {
                benchmarks.push(read_benchmark(&path)?);
            } else {
                folders.push(path);
            }
        }
    }
    benchmarks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(benchmarks)
}

fn read_benchmark(folder: &Path) -> io::Result<Benchmark> {
    let identity: Identity = read_json(&folder.join("benchmark.json"))?;
    let Estimates { median } = read_json(&folder.join("estimates.json"))?;
    let interval = median.confidence_interval;
    let seconds = median.point_estimate / 1e9;
    Ok(Benchmark {
        name: identity.full_id,
        seconds,
        interval_seconds: [interval.lower_bound, interval.upper_bound].map(|nanoseconds| nanoseconds / 1e9),
        confidence: interval.confidence_level,
        per_second: identity.throughput.and_then(|of| of.elements).map(|n| n as f64 / seconds),
    })
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&fs_err::read(path)?)
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

impl Record {
    /// Adds the record to those of its day and machine below `runs`, and writes it as a table; the folder of both.
    ///
    /// # Errors
    /// Where the folder cannot be written, or holds something else under the record's name.
    pub fn append(&self, runs: &Path) -> io::Result<PathBuf> {
        let folder = runs.join(format!("{}-{}", self.date, self.machine.name()));
        fs_err::create_dir_all(&folder)?;
        let path = folder.join(FILE);
        let mut records: Vec<Self> = if path.exists() { read_json(&path)? } else { Vec::new() };
        records.push(self.clone());
        fs_err::write(&path, serde_json::to_string_pretty(&records)? + "\n")?;
        fs_err::write(folder.join(TABLE), self.render())?;
        Ok(folder)
    }

    /// The record as a table.
    pub fn render(&self) -> String {
        let machine = &self.machine;
        let memory = machine.memory_gib.map(|gib| format!(", {gib:.0} GiB")).unwrap_or_default();
        let mut text = format!(
            "# {}: {}, {}, {} cores{memory}\n\nLinux {}, commit {}, {}; `make bench`: criterion's medians, and the interval in \
             which they lie with {:.0} %.\n\n| benchmark | time | interval | per s |\n|---|---:|---:|---:|\n",
            self.date,
            machine.cpu,
            machine.simd,
            machine.cores,
            machine.kernel,
            self.commit,
            self.rustc,
            100.0 * self.benchmarks.first().map_or(0.95, |benchmark| benchmark.confidence),
        );
        for benchmark in &self.benchmarks {
            let [lo, hi] = benchmark.interval_seconds;
            let rate = benchmark.per_second.map_or_else(|| "–".to_owned(), crate::numbers::thousands);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| {} | {:.3} ms | {:.3} to {:.3} ms | {rate} |",
                benchmark.name,
                benchmark.seconds * 1e3,
                lo * 1e3,
                hi * 1e3
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What criterion leaves of one benchmark.
    fn write_benchmark(folder: &Path, name: &str, throughput: &str, median: f64) {
        let new = folder.join(name).join("new");
        fs_err::create_dir_all(&new).unwrap();
        fs_err::create_dir_all(folder.join(name).join("base")).unwrap();
        let identity = format!(r#"{{"group_id":"kernels","full_id":"{name}","throughput":{throughput}}}"#);
        fs_err::write(new.join("benchmark.json"), identity).unwrap();
        let estimates = format!(
            r#"{{"mean":{{"point_estimate":1.0}},"median":{{"point_estimate":{median},"standard_error":1.0,
            "confidence_interval":{{"confidence_level":0.95,"lower_bound":{},"upper_bound":{}}}}}}}"#,
            median - 1e5,
            median + 2e5
        );
        fs_err::write(new.join("estimates.json"), estimates).unwrap();
    }

    fn record(folder: &Path) -> Record {
        Record {
            date: "2026-11-22".to_owned(),
            commit: "abc".to_owned(),
            rustc: "rustc 1.95.0".to_owned(),
            machine: Machine {
                cpu: "a processor".to_owned(),
                cores: 2,
                simd: "avx2+fma".to_owned(),
                memory_gib: Some(24.0),
                kernel: "6.0".to_owned(),
            },
            benchmarks: read_criterion(folder).unwrap(),
        }
    }

    #[test]
    fn medians_become_rates() {
        let folder = tempfile::tempdir().unwrap();
        write_benchmark(folder.path(), "kernels/lines/cpu/514x39", r#"{"Elements":514}"#, 2e6);
        write_benchmark(folder.path(), "kernels/breaks/cpu/514x2", "null", 1e6);
        let [breaks, lines] = &read_criterion(folder.path()).unwrap()[..] else { panic!("there are two") };
        assert_eq!((breaks.name.as_str(), breaks.per_second), ("kernels/breaks/cpu/514x2", None));
        assert_eq!(lines.name, "kernels/lines/cpu/514x39");
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-12;
        assert!(near(lines.seconds, 2e-3) && near(lines.interval_seconds[1], 2.2e-3));
        assert!(lines.per_second.is_some_and(|rate| near(rate, 257_000.0)));
    }

    #[test]
    fn a_second_record_of_a_day_stands_after_the_first() {
        let folder = tempfile::tempdir().unwrap();
        write_benchmark(folder.path(), "io/read", r#"{"Elements":514}"#, 2e6);
        let runs = tempfile::tempdir().unwrap();
        let first = record(folder.path());
        let second = Record { commit: "def".to_owned(), ..first.clone() };
        assert_eq!(first.append(runs.path()).unwrap(), runs.path().join("2026-11-22-avx2-2core"));
        let stands = second.append(runs.path()).unwrap();
        let records: Vec<Record> = read_json(&stands.join(FILE)).unwrap();
        assert_eq!(records, [first, second.clone()]);
        let table = fs_err::read_to_string(stands.join(TABLE)).unwrap();
        assert_eq!(table, second.render());
        assert!(table.contains("| io/read | 2.000 ms | 1.900 to 2.200 ms | 257 k |"), "{table}");
    }

    #[test]
    fn what_is_no_estimate_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        write_benchmark(folder.path(), "io/read", "null", 2e6);
        fs_err::write(folder.path().join("io/read/new/estimates.json"), "{}").unwrap();
        let error = read_criterion(folder.path()).unwrap_err().to_string();
        assert!(error.contains("estimates.json"), "{error}");
    }

    #[test]
    fn this_machine_has_a_name() {
        let machine = Machine::here();
        assert!(
            machine.cores > 0 && !machine.cpu.is_empty() && !machine.name().starts_with('-'),
            "{machine:?}"
        );
    }
}
