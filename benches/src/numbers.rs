//! The table of the README, from the newest record of our rates beside the peers'.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::record::Machine;

/// What `make bench-peers` leaves in a folder of recorded runs.
pub const FILE: &str = "peers.json";
/// Where the table begins in the README.
pub const BEGIN: &str = "<!-- numbers: begin -->\n";
/// Where it ends.
pub const END: &str = "<!-- numbers: end -->\n";

/// A run beside the peers.
#[derive(Debug, Clone, Deserialize)]
pub struct Peers {
    /// Year, month, day.
    pub date: String,
    /// What was measured.
    pub commit: String,
    /// Where.
    pub machine: Machine,
    /// Step by step.
    pub rows: Vec<Row>,
}

/// A step; rates are per second in the row's unit.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    /// What is done.
    pub step: String,
    /// Of what there are so many per second: `targets/s`.
    pub unit: String,
    /// What a user would run; NULL where there is nothing.
    pub peer: Option<String>,
    /// Its rate.
    pub peer_rate: Option<f64>,
    /// Ours.
    pub ours: Option<f64>,
    /// Ours over the peer's.
    pub ratio: Option<f64>,
    /// What is asked for.
    pub bar: Option<f64>,
    /// Of what.
    #[serde(default)]
    pub bar_on: BarOn,
    /// What the machine cannot exceed.
    pub limit: Option<String>,
    /// Ours over the limit's rate.
    pub fraction: Option<f64>,
}

/// What a bar stands on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BarOn {
    /// Ours over the peer's.
    #[default]
    Ratio,
    /// Our rate.
    Rate,
    /// Our share of the limit.
    Fraction,
}

/// The README as the recorded runs want it: with the newest one's table between its marks, or nothing there.
///
/// # Errors
/// Where it has no such place, or a record is not what `make bench-peers` writes.
pub fn refreshed(readme: &str, runs: &Path) -> io::Result<String> {
    let parts = readme.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) =
        parts.ok_or_else(|| io::Error::other(format!("no {} … {}", BEGIN.trim(), END.trim())))?;
    let table = newest(runs)?.map(|(folder, peers)| render(&folder, &peers)).unwrap_or_default();
    Ok(format!("{head}{BEGIN}{table}{END}{tail}"))
}

/// The newest record below a folder of recorded runs, with the name of its folder; nothing where there is none.
///
/// Names begin with the date; of one day's the last in alphabetical order counts.
fn newest(runs: &Path) -> io::Result<Option<(String, Peers)>> {
    let folders =
        fs_err::read_dir(runs)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    let newest = folders.into_iter().filter(|folder| folder.join(FILE).is_file()).max();
    let Some(folder) = newest else { return Ok(None) };
    let path = folder.join(FILE);
    let peers = serde_json::from_slice(&fs_err::read(&path)?)
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    Ok(Some((folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), peers)))
}

/// The table of a record, with what it was measured on: the rows that have a bar; the others are in the record.
pub fn render(folder: &str, peers: &Peers) -> String {
    let machine = &peers.machine;
    let mut text = format!(
        "One run on {}, {} cores of an {} ({}), commit `{}`; rates per second of one thread unless the record says otherwise \
         ([record](benches/runs/{folder}/peers.md)):\n\n\
         | step | ours | a user would run | ratio | bar | of the limit |\n|---|---:|---|---:|---:|---|\n",
        peers.date, machine.cores, machine.cpu, machine.simd, peers.commit,
    );
    for row in peers.rows.iter().filter(|row| row.bar.is_some()) {
        text.push_str(&row.render());
    }
    text
}

impl Row {
    fn render(&self) -> String {
        let none = || "–".to_owned();
        let peer = match (&self.peer, self.peer_rate) {
            (Some(peer), Some(rate)) => format!("{peer} {}", thousands(rate)),
            (Some(peer), None) => peer.clone(),
            (None, _) => none(),
        };
        let limit = match (&self.limit, self.fraction) {
            (Some(limit), Some(fraction)) => format!("{:.0} % of {limit}", 100.0 * fraction),
            (Some(limit), None) => limit.clone(),
            (None, _) => none(),
        };
        format!(
            "| {} | {} | {peer} | {} | {} | {limit} |\n",
            self.step,
            self.ours.map_or_else(none, |rate| format!("{} {}", thousands(rate), self.unit)),
            self.ratio.map_or_else(none, two_digits),
            self.bar.map_or_else(none, |bar| self.render_bar(bar)),
        )
    }

    fn render_bar(&self, bar: f64) -> String {
        let (text, found) = match self.bar_on {
            BarOn::Ratio => (format!("{bar} ×"), self.ratio),
            BarOn::Rate => (thousands(bar), self.ours),
            BarOn::Fraction => (format!("{:.0} %", 100.0 * bar), self.fraction),
        };
        match found {
            Some(found) if found < bar => format!("≥ {text}, missed"),
            Some(_) => format!("≥ {text}"),
            None => format!("≥ {text}, not measured"),
        }
    }
}

/// A ratio as people read it; about 1 the second decimal tells on which side.
fn two_digits(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 1.95 => format!("{ratio:.2}"),
        ratio if ratio < 9.95 => format!("{ratio:.1}"),
        ratio => format!("{ratio:.0}"),
    }
}

/// A rate as people read it: three digits at least.
pub(crate) fn thousands(rate: f64) -> String {
    let (scaled, suffix) = match rate {
        rate if rate >= 999_950.0 => (rate / 1e6, " M"),
        rate if rate >= 999.5 => (rate / 1e3, " k"),
        rate => (rate, ""),
    };
    let decimals = match scaled {
        scaled if scaled < 9.995 => 2,
        scaled if scaled < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{
        "machine": {"cpu": "EPYC", "cores": 2, "simd": "avx512", "memory_gib": 24.0, "kernel": "6.0"},
        "commit": "abc", "date": "2026-11-22", "threads": 1, "load": [0.1, 0.2], "limits": {"copy_gb_per_s": 10.0},
        "rows": [
            {"step": "read", "unit": "targets/s", "peer": "fitsio", "peer_rate": 16000.0, "ours": 36800.0, "ratio": 2.3,
             "bar": 2.0, "bar_on": "ratio", "limit": "copy, 9 GB/s", "limit_rate": 92000.0, "fraction": 0.4, "note": "n"},
            {"step": "read", "unit": "targets/s", "peer": "desispec", "peer_rate": 3000.0, "ours": 36800.0, "ratio": 12.3,
             "bar": null, "limit": null, "fraction": null},
            {"step": "combine", "unit": "targets/s", "peer": "NumPy", "peer_rate": 50000.0, "ours": 75000.0, "ratio": 1.5,
             "bar": 3.0, "limit": "memory", "limit_rate": null, "fraction": null, "note": ""},
            {"step": "extract", "unit": "targets/s per core", "peer": null, "peer_rate": null, "ours": 5120.0,
             "ratio": null, "bar": 5000.0, "bar_on": "rate", "limit": null, "limit_rate": null, "fraction": null, "note": ""},
            {"step": "vectors", "unit": "rows/s", "peer": "psycopg", "peer_rate": 1500000.0, "ours": 1720000.0,
             "ratio": 1.147, "bar": 0.85, "bar_on": "fraction", "limit": "COPY", "limit_rate": 2e6, "fraction": 0.86, "note": ""},
            {"step": "blocked", "unit": "rows/s", "peer": "psycopg", "peer_rate": null, "ours": null,
             "ratio": null, "bar": 2.0, "limit": null, "fraction": null}
        ],
        "extract": {"runs": []}, "scaling": []
    }"#;

    fn write_record(runs: &Path, folder: &str, text: &str) {
        fs_err::create_dir_all(runs.join(folder)).unwrap();
        fs_err::write(runs.join(folder).join(FILE), text).unwrap();
    }

    #[test]
    fn rows_say_what_was_asked_for_and_what_was_found() {
        let peers: Peers = serde_json::from_str(RECORD).unwrap();
        let text = render("2026-11-22-avx512-2core", &peers);
        let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("|---")).skip(1).collect();
        let expected = [
            "| read | 36.8 k targets/s | fitsio 16.0 k | 2.3 | ≥ 2 × | 40 % of copy, 9 GB/s |",
            "| combine | 75.0 k targets/s | NumPy 50.0 k | 1.50 | ≥ 3 ×, missed | memory |",
            "| extract | 5.12 k targets/s per core | – | – | ≥ 5.00 k | – |",
            "| vectors | 1.72 M rows/s | psycopg 1.50 M | 1.15 | ≥ 85 % | 86 % of COPY |",
            "| blocked | – | psycopg | – | ≥ 2 ×, not measured | – |",
        ];
        assert_eq!(rows, expected);
        assert!(text.contains("[record](benches/runs/2026-11-22-avx512-2core/peers.md)"), "{text}");
    }

    #[test]
    fn rates_keep_three_digits() {
        let texts = [0.5, 9.996, 99.96, 999.6, 9_996.0, 16_000.0, 999_960.0, 1.5e6].map(thousands);
        assert_eq!(texts, ["0.50", "10.0", "100", "1.00 k", "10.0 k", "16.0 k", "1.00 M", "1.50 M"]);
    }

    #[test]
    fn the_newest_record_counts() {
        let runs = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(runs.path().join("2026-12-01-avx2-4core")).unwrap();
        assert!(newest(runs.path()).unwrap().is_none());
        write_record(runs.path(), "2026-11-22-avx512-2core", RECORD);
        write_record(runs.path(), "2026-11-09-zen-64core", &RECORD.replace("abc", "old"));
        let (folder, peers) = newest(runs.path()).unwrap().unwrap();
        assert_eq!((folder.as_str(), peers.commit.as_str()), ("2026-11-22-avx512-2core", "abc"));
        write_record(runs.path(), "2026-12-01-avx2-4core", "{}");
        let error = newest(runs.path()).unwrap_err().to_string();
        assert!(error.contains("2026-12-01-avx2-4core"), "{error}");
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let runs = tempfile::tempdir().unwrap();
        write_record(runs.path(), "2026-11-22-avx512-2core", RECORD);
        let readme = format!("before\n{BEGIN}old\n{END}after\n");
        let once = refreshed(&readme, runs.path()).unwrap();
        assert!(once.starts_with("before\n") && once.ends_with("after\n") && !once.contains("old"), "{once}");
        assert!(once.contains("| read | 36.8 k targets/s |"), "{once}");
        assert_eq!(refreshed(&once, runs.path()).unwrap(), once);
        assert!(refreshed("no marks\n", runs.path()).is_err());
    }

    #[test]
    fn the_readme_holds_the_newest_record() {
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let readme = fs_err::read_to_string(crate_folder.join("../README.md")).unwrap();
        let fresh = refreshed(&readme, &crate_folder.join("runs")).unwrap();
        assert!(readme == fresh, "README.md is stale against benches/runs: run `make numbers`");
    }
}
