//! The field's constants, parsed from the data files that are their one home.

/// A measured emission line, or the blend of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Column stem.
    pub name: String,
    /// As people write it.
    pub label: String,
    /// Rest vacuum wavelength, Å (the blend's mean for a group).
    pub wave_aa: f64,
    /// Narrow, broad, or a blend.
    pub kind: LineKind,
    /// Measured window, rest vacuum Å.
    pub window_aa: (f64, f64),
    /// Blue sideband, rest vacuum Å.
    pub blue_aa: (f64, f64),
    /// Red sideband, rest vacuum Å.
    pub red_aa: (f64, f64),
    /// The blend it belongs to; its own flux is then NULL until lines are fitted.
    pub group: Option<String>,
    /// Where wavelength and windows come from.
    pub source: String,
}

/// The kinds of line windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// ±500 km/s.
    Narrow,
    /// A broad line's own window.
    Broad,
    /// One window over several blended lines.
    Group,
}

/// An absorption index.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    /// Column stem.
    pub name: String,
    /// As people write it.
    pub label: String,
    /// Index band, rest vacuum Å.
    pub band_aa: (f64, f64),
    /// Blue sideband, rest vacuum Å.
    pub blue_aa: (f64, f64),
    /// Red sideband, rest vacuum Å.
    pub red_aa: (f64, f64),
    /// Whether it is a magnitude (molecular) rather than an equivalent width in Å (atomic).
    pub is_magnitude: bool,
    /// Where the bands come from.
    pub source: String,
}

/// A spectral break: mean f_ν of the red band over that of the blue one.
#[derive(Debug, Clone, PartialEq)]
pub struct Break {
    /// Column stem.
    pub name: String,
    /// As people write it.
    pub label: String,
    /// Blue band, rest vacuum Å.
    pub blue_aa: (f64, f64),
    /// Red band, rest vacuum Å.
    pub red_aa: (f64, f64),
    /// Where the bands come from.
    pub source: String,
}

/// A filter curve: linear between samples, 0 outside, on any scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Wavelengths, Å.
    pub wave_aa: Vec<f64>,
    /// Relative response.
    pub response: Vec<f64>,
}

/// The text of every constants file, in a fixed order, for hashing into a stage's identity.
pub const FILES: [&str; 9] = [
    include_str!("../data/breaks.csv"),
    include_str!("../data/indices.csv"),
    include_str!("../data/lines.csv"),
    include_str!("../data/filters/decam-g.csv"),
    include_str!("../data/filters/decam-r.csv"),
    include_str!("../data/filters/decam-z.csv"),
    include_str!("../data/filters/bass-g.csv"),
    include_str!("../data/filters/bass-r.csv"),
    include_str!("../data/filters/mzls-z.csv"),
];

/// The g, r, z curves behind FIBERFLUX: DECam's, or BASS and MzLS where PHOTSYS is N.
pub fn filters(photsys_is_north: bool) -> [Filter; 3] {
    let first = if photsys_is_north { 6 } else { 3 };
    [FILES[first], FILES[first + 1], FILES[first + 2]].map(|text| {
        let rows = rows(text);
        let column = |name: &str| rows.iter().map(|row| row.number(name)).collect();
        Filter { wave_aa: column("wave_aa"), response: column("response") }
    })
}

/// A CSV row that can be asked for columns by name; the files are part of the binary and tested.
struct Row {
    header: Vec<String>,
    cells: Vec<String>,
}

impl Row {
    fn text(&self, column: &str) -> &str {
        self.header
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.cells.get(index))
            .map_or("", String::as_str)
    }

    fn number(&self, column: &str) -> f64 {
        self.text(column).parse().expect("constants files hold numbers: checked by a test")
    }

    fn band(&self, stem: &str) -> (f64, f64) {
        (self.number(&format!("{stem}_lo_aa")), self.number(&format!("{stem}_hi_aa")))
    }

    fn owned(&self, column: &str) -> String {
        self.text(column).to_owned()
    }
}

/// The cells of a line; a comma between double quotes separates nothing.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            _ => {
                if let Some(cell) = cells.last_mut() {
                    cell.push(character);
                }
            }
        }
    }
    cells
}

fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let header = cells(lines.next().unwrap_or_default());
    lines.map(|line| Row { header: header.clone(), cells: cells(line) }).collect()
}

/// The lines and blends that are measured.
pub fn lines() -> Vec<Line> {
    rows(FILES[2])
        .iter()
        .map(|row| Line {
            name: row.owned("name"),
            label: row.owned("label"),
            wave_aa: row.number("wave_vac_aa"),
            kind: match row.text("kind") {
                "group" => LineKind::Group,
                "broad" => LineKind::Broad,
                _ => LineKind::Narrow,
            },
            window_aa: row.band("window"),
            blue_aa: row.band("blue"),
            red_aa: row.band("red"),
            group: Some(row.owned("group")).filter(|name| !name.is_empty()),
            source: row.owned("source"),
        })
        .collect()
}

/// The absorption indices.
pub fn indices() -> Vec<Index> {
    rows(FILES[1])
        .iter()
        .map(|row| Index {
            name: row.owned("name"),
            label: row.owned("label"),
            band_aa: row.band("band"),
            blue_aa: row.band("blue"),
            red_aa: row.band("red"),
            is_magnitude: row.text("type") == "mag",
            source: row.owned("source"),
        })
        .collect()
}

/// The spectral breaks.
pub fn breaks() -> Vec<Break> {
    rows(FILES[0])
        .iter()
        .map(|row| Break {
            name: row.owned("name"),
            label: row.owned("label"),
            blue_aa: row.band("blue"),
            red_aa: row.band("red"),
            source: row.owned("source"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_band((lo, hi): (f64, f64)) -> bool {
        lo > 0.0 && hi > lo
    }

    #[test]
    fn every_constants_row_has_sound_bands_and_a_source() {
        for line in lines() {
            assert!(is_band(line.window_aa) && is_band(line.blue_aa) && is_band(line.red_aa), "{line:?}");
            assert!(
                line.blue_aa.1 <= line.window_aa.0 + 1e-9 && line.window_aa.1 <= line.red_aa.0 + 1e-9,
                "{line:?}"
            );
            assert!(line.window_aa.0 < line.wave_aa && line.wave_aa < line.window_aa.1, "{line:?}");
            assert!(!line.source.is_empty() && !line.label.is_empty(), "{line:?}");
        }
        for index in indices() {
            assert!(is_band(index.band_aa) && is_band(index.blue_aa) && is_band(index.red_aa), "{index:?}");
            assert!(!index.source.is_empty(), "{index:?}");
        }
        for spectral_break in breaks() {
            assert!(is_band(spectral_break.blue_aa) && is_band(spectral_break.red_aa));
        }
        assert_eq!((indices().len(), breaks().len()), (25, 2));
    }

    #[test]
    fn every_blended_line_names_a_group_that_covers_it() {
        let all = lines();
        for line in &all {
            let Some(name) = &line.group else { continue };
            let group = all.iter().find(|other| other.name == *name && other.kind == LineKind::Group);
            let group = group.unwrap_or_else(|| panic!("{} names no group {name}", line.name));
            assert!(
                group.window_aa.0 <= line.window_aa.0 && line.window_aa.1 <= group.window_aa.1,
                "{}",
                line.name
            );
        }
    }

    #[test]
    fn filter_curves_peak_where_their_band_is() {
        for north in [false, true] {
            let peaks = filters(north).map(|filter| {
                let peak = filter.response.iter().copied().fold(0.0, f64::max);
                filter.response.iter().position(|r| *r >= peak).map(|i| filter.wave_aa[i]).unwrap()
            });
            assert!(4000.0 < peaks[0] && peaks[0] < 5500.0, "{peaks:?}");
            assert!(5600.0 < peaks[1] && peaks[1] < 7200.0, "{peaks:?}");
            assert!(8300.0 < peaks[2] && peaks[2] < 9500.0, "{peaks:?}");
        }
    }

    #[test]
    fn names_are_column_stems_and_unique() {
        let mut names: Vec<String> = lines().into_iter().map(|line| line.name).collect();
        names.extend(indices().into_iter().map(|index| format!("lick_{}", index.name)));
        names.extend(breaks().into_iter().map(|spectral_break| spectral_break.name));
        for name in &names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
