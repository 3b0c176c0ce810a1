//! What the tables know of the target, in words and numbers.

use specmill_schemas::constants;
use specmill_schemas::features::{ARMS, flags, index_column};

use super::font::Font;
use super::frame::minus;
use super::gather::Target;
use super::label::greek;
use super::scene::{HEIGHT, Ink, Scene, Text, WIDTH};
use super::spectrum::short_name;
use super::window::{strongest, with_error};

const LEFT: f64 = 1268.0;
const VALUES: f64 = 1378.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 78.0;
const BOTTOM: f64 = HEIGHT - 20.0;
const SIZE: f64 = 14.0;
const ROW: f64 = 19.0;

/// Indices worth a place in the box: ages (Hδ, Hβ), metals (Mg, Fe), interstellar sodium.
const INDICES: [&str; 7] = ["hdelta_a", "hbeta", "mgb", "fe5270", "fe5335", "nad", "g4300"];

/// Lines listed, strongest first.
const LINES: usize = 8;

/// A heading with its rows: name and value.
type Section = (&'static str, Vec<(String, String)>);

/// Draws the column.
pub(super) fn draw(scene: &mut Scene, target: &Target, font: &Font) {
    let mut down = TOP;
    for (heading, rows) in
        [identity(target), redshift(target), quality(target), measured(target), lines(target)]
    {
        if rows.is_empty() || down + 2.0 * ROW > BOTTOM {
            continue;
        }
        scene.text(Text::new((LEFT, down), SIZE, Ink::FAINT, heading));
        scene.segment((LEFT, down + 5.0), (RIGHT, down + 5.0), Ink::RULE, 1.0);
        down += ROW + 3.0;
        for (name, value) in rows {
            if down > BOTTOM {
                break;
            }
            scene.text(fitting(font, (LEFT, down), VALUES - LEFT - 8.0, Ink::FAINT, name));
            for line in broken(font, &value) {
                scene.text(fitting(font, (VALUES, down), RIGHT - VALUES, Ink::TEXT, line));
                down += ROW;
            }
        }
        down += 10.0;
    }
}

/// A text made as small as its room demands.
fn fitting(font: &Font, at: (f64, f64), room: f64, ink: Ink, text: String) -> Text {
    let size = SIZE * (room / font.room(&text, SIZE)).min(1.0);
    Text::new(at, size, ink, text)
}

/// A value on as many lines as it needs, broken at spaces.
fn broken(font: &Font, value: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in value.split(' ') {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer {
            Some(longer) if font.room(&longer, SIZE) <= RIGHT - VALUES => {
                lines.pop();
                lines.push(longer);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn row(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn known(value: Option<String>) -> String {
    value.unwrap_or_else(|| "unknown".to_owned())
}

fn identity(target: &Target) -> Section {
    let features = &target.row;
    let degrees =
        |name: &str| known(features.float(name).map(|angle| format!("{}°", minus(&format!("{angle:.5}")))));
    let rows = vec![
        row("TARGETID", target.targetid.to_string()),
        row("unit", target.unit.to_string()),
        row("row", known(features.integer("row").map(|row| row.to_string()))),
        row("RA", degrees("ra")),
        row("Dec", degrees("dec")),
        row("OBJTYPE", known(features.text("objtype").map(str::to_owned))),
        row("E(B\u{2212}V)", known(features.float("ebv").map(|ebv| format!("{ebv:.4} mag{}", dust(target))))),
    ];
    ("target", rows)
}

fn dust(target: &Target) -> &'static str {
    if target.corrected { ", removed" } else { ", not removed" }
}

fn redshift(target: &Target) -> Section {
    let features = &target.row;
    let mut rows = Vec::new();
    if let Some(z) = features.float("z") {
        let err = features.float("zerr").map_or(String::new(), |err| format!(" ± {err:.6}"));
        rows.push(row("z", format!("{}{err}", minus(&format!("{z:.6}")))));
    }
    let spectype = features.text("spectype").map(|spectype| match features.text("subtype") {
        Some(subtype) => format!("{spectype} {subtype}"),
        None => spectype.to_owned(),
    });
    rows.extend(spectype.map(|spectype| row("SPECTYPE", spectype)));
    rows.extend(features.integer("zwarn").map(|zwarn| row("ZWARN", zwarn.to_string())));
    rows.extend(features.float("deltachi2").map(|chi2| row("DELTACHI2", format!("{chi2:.1}"))));
    if rows.is_empty() {
        rows.push(row("z", "none"));
    }
    ("redshift", rows)
}

fn quality(target: &Target) -> Section {
    let features = &target.row;
    let mut rows = vec![row("state", if target.z.is_some() { "done".to_owned() } else { target.why_not() })];
    let snr = ARMS.map(|arm| features.float(&format!("snr_{arm}")).map(|snr| minus(&format!("{snr:.2}"))));
    if snr.iter().any(Option::is_some) {
        let snr = snr.map(|snr| snr.unwrap_or_else(|| "absent".to_owned()));
        rows.push(row("S/N b r z", format!("{} per √Å", snr.join("  "))));
    }
    let good = features.integer("n_good_pixels").map(|good| format!("{good} of {}", target.grid.n_pixels));
    rows.push(row("good pixels", known(good)));
    let bits = features.integer("coadd_fiberstatus").filter(|bits| *bits != 0);
    rows.extend(bits.map(|bits| row("fibre status", bits.to_string())));
    let set = features.integer("flags").unwrap_or(0);
    for (bit, meaning) in flags::MEANINGS {
        if set & i64::from(bit) != 0 {
            rows.push(row("flag", meaning));
        }
    }
    ("quality", rows)
}

fn measured(target: &Target) -> Section {
    let features = &target.row;
    let mut rows = Vec::new();
    for item in constants::breaks() {
        let value = features.with_ivar(&item.name);
        rows.extend(value.map(|value| row(&greek(&item.label), with_error(value))));
    }
    let indices = constants::indices();
    for item in INDICES.iter().filter_map(|name| indices.iter().find(|item| item.name == *name)) {
        let value = features.with_err(&index_column(&item.name));
        rows.extend(value.map(|value| row(&greek(&item.label), format!("{} Å", with_error(value)))));
    }
    ("breaks and indices", rows)
}

fn lines(target: &Target) -> Section {
    let lines = strongest(&target.row, LINES);
    let rows = lines.iter().map(|line| row(&short_name(&line.line.label), with_error(line.flux)));
    ("strongest lines (1e\u{2212}17 erg / s / cm²)", rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_in_the_box_is_in_angstrom_and_exists() {
        let indices = constants::indices();
        for name in INDICES {
            assert!(indices.iter().any(|item| item.name == name && !item.is_magnitude), "{name}");
        }
    }

    #[test]
    fn a_long_value_is_broken_at_spaces() {
        let font = Font::embedded();
        let value = "not corrected for Galactic extinction (no EBV)";
        let lines = broken(&font, value);
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" "), value);
        assert!(lines.iter().all(|line| font.room(line, SIZE) <= RIGHT - VALUES));
    }
}
