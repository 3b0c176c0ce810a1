//! The data files agree with where their numbers come from, and with each other.

use std::collections::BTreeMap;

use specmill_schemas::constants::{Line, LineKind, lines};

/// Rows of a data file by column; cells with commas are quoted in `lines.csv` alone.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines
        .map(|line| {
            let mut quoted = false;
            let cells: Vec<String> = line
                .split(|c| {
                    quoted ^= c == '"';
                    c == ',' && !quoted
                })
                .map(str::to_owned)
                .collect();
            assert_eq!(cells.len(), header.len(), "{line}");
            header.iter().map(|name| (*name).to_owned()).zip(cells).collect()
        })
        .collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|error| panic!("{column}: {error}"))
}

/// n of standard air at a vacuum wavelength (Morton 2000, ApJS 130, 403, eq. 8).
fn refractive_index(vac_aa: f64) -> f64 {
    let s2 = (1e4 / vac_aa).powi(2);
    1.0 + 8.342_54e-5 + 2.406_147e-2 / (130.0 - s2) + 1.599_8e-4 / (38.9 - s2)
}

#[test]
fn index_bands_are_the_published_air_values_in_vacuum() {
    let indices = rows(include_str!("../data/indices.csv"));
    assert_eq!(indices.len(), 25);
    for row in &indices {
        for end in ["band_lo", "band_hi", "blue_lo", "blue_hi", "red_lo", "red_hi"] {
            let (vac, air) = (number(row, &format!("{end}_aa")), number(row, &format!("{end}_air_aa")));
            // Back from vacuum to air: the direction in which Morton's formula is explicit.
            assert!((vac / refractive_index(vac) - air).abs() < 1e-3, "{} {end}: {vac} {air}", row["name"]);
            assert!(vac - air > 1.1 && vac - air < 1.8, "{} {end}: {vac} {air}", row["name"]);
        }
    }
}

#[test]
fn velocity_windows_are_what_window_kms_says() {
    let mut n = 0;
    for row in rows(include_str!("../data/lines.csv")) {
        if row["window_kms"].is_empty() {
            continue;
        }
        let (wave, beta) = (number(&row, "wave_vac_aa"), number(&row, "window_kms") / 299_792.458);
        // The file has three decimals.
        assert!((number(&row, "window_lo_aa") - wave * (1.0 - beta)).abs() < 6e-4, "{}", row["name"]);
        assert!((number(&row, "window_hi_aa") - wave * (1.0 + beta)).abs() < 6e-4, "{}", row["name"]);
        assert!(row["kind"] != "narrow" || row["window_kms"] == "500", "{}", row["name"]);
        n += 1;
    }
    assert!(n > 30, "{n} rows with a velocity window");
}

fn overlap(a: (f64, f64), b: (f64, f64)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

#[test]
fn lines_whose_windows_overlap_share_a_group() {
    let lines = lines();
    let single: Vec<&Line> = lines.iter().filter(|line| line.kind != LineKind::Group).collect();
    for (i, a) in single.iter().enumerate() {
        for b in &single[i + 1..] {
            if overlap(a.window_aa, b.window_aa) {
                assert!(a.group.is_some() && a.group == b.group, "{} and {}", a.name, b.name);
            }
        }
    }
    for group in lines.iter().filter(|line| line.kind == LineKind::Group) {
        let members = || single.iter().filter(|line| line.group.as_deref() == Some(&group.name));
        assert!(members().count() >= 2, "{}", group.name);
        let mean = members().map(|line| line.wave_aa).sum::<f64>() / members().count() as f64;
        assert!((mean - group.wave_aa).abs() < 1e-3, "{}: {mean}", group.name);
        for member in members() {
            assert_eq!((member.blue_aa, member.red_aa), (group.blue_aa, group.red_aa), "{}", member.name);
        }
    }
}

#[test]
fn sidebands_lie_clear_of_the_other_lines() {
    // Within 500 km/s of another line there is that line, not continuum; broad lines are wider, but
    // the windows of Shen+11 that their sidebands come from were chosen between them.
    let lines = lines();
    for line in &lines {
        for other in lines.iter().filter(|other| other.kind != LineKind::Group) {
            let beta = 500.0 / 299_792.458;
            let core = (other.wave_aa * (1.0 - beta), other.wave_aa * (1.0 + beta));
            for side in [line.blue_aa, line.red_aa] {
                assert!(!overlap(side, core), "{side:?} of {} holds {}", line.name, other.name);
            }
        }
    }
}
