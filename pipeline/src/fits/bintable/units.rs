//! Units as files spell them, and the same as VOUnit writes them.

/// Unit symbols that VOUnit knows and DESI files use, prefixes spelled out.
const KNOWN: [&str; 51] = [
    "Angstrom", "nm", "um", "mm", "cm", "m", "km", "AU", "pc", "kpc", "Mpc", "Gpc", "deg", "arcmin",
    "arcsec", "mas", "rad", "sr", "ns", "us", "ms", "s", "min", "h", "d", "yr", "kyr", "Myr", "Gyr", "Hz",
    "kHz", "MHz", "GHz", "g", "kg", "solMass", "solLum", "solRad", "erg", "J", "W", "eV", "keV", "MeV", "Jy",
    "mJy", "mag", "K", "electron", "photon", "count",
];

/// Other spellings of the same; VOUnit quotes the units that it does not define itself.
const ALIASES: [(&str, &str); 27] = [
    ("angstrom", "Angstrom"),
    ("Angstroms", "Angstrom"),
    ("angstroms", "Angstrom"),
    ("micron", "um"),
    ("microns", "um"),
    ("degree", "deg"),
    ("degrees", "deg"),
    ("arcminute", "arcmin"),
    ("arcsecond", "arcsec"),
    ("arcseconds", "arcsec"),
    ("sec", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("day", "d"),
    ("days", "d"),
    ("year", "yr"),
    ("years", "yr"),
    ("Msun", "solMass"),
    ("Lsun", "solLum"),
    ("electrons", "electron"),
    ("ph", "photon"),
    ("counts", "count"),
    ("littleh", "'littleh'"),
    ("nanomaggy", "'nanomaggy'"),
    ("nanomaggies", "'nanomaggy'"),
    ("nmgy", "'nanomaggy'"),
    ("maggies", "'maggy'"),
];

/// Deepest nesting of parentheses that is followed.
const DEEPEST: usize = 8;

/// The VOUnit spelling of a unit; `None` where a part of it is unknown, so that its text is all there is to keep.
pub(super) fn vounit(text: &str) -> Option<String> {
    let parser = parse(text)?;
    let mut out = if parser.ten == 0 { String::new() } else { format!("10**{}", parser.ten) };
    for (i, (name, power)) in parser.factors.iter().filter(|(_, power)| *power != 0).enumerate() {
        let dot = if i == 0 { "" } else { "." };
        let power = if *power == 1 { String::new() } else { format!("**{power}") };
        out.push_str(&format!("{dot}{name}{power}"));
    }
    Some(out)
}

/// Whether two texts are one unit, in whatever spelling and order of factors; one that is unknown is only itself.
pub(crate) fn same_unit(a: &str, b: &str) -> bool {
    match (factors(a), factors(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.split_whitespace().eq(b.split_whitespace()),
        _ => false,
    }
}

/// The power of ten of a unit and its factors in the order of their names.
fn factors(text: &str) -> Option<(i32, Vec<(&'static str, i32)>)> {
    let parser = parse(text)?;
    let mut factors = parser.factors;
    factors.retain(|(_, power)| *power != 0);
    factors.sort_unstable();
    Some((parser.ten, factors))
}

fn parse(text: &str) -> Option<Parser<'_>> {
    let mut parser = Parser { rest: text.trim(), depth: 0, ten: 0, factors: Vec::new() };
    parser.product(1)?;
    if !parser.rest.is_empty() || parser.factors.is_empty() {
        return None;
    }
    parser.read_little_h();
    Some(parser)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    /// Power of ten in front.
    ten: i32,
    factors: Vec<(&'static str, i32)>,
}

impl Parser<'_> {
    /// Factors until the text or the parenthesis ends; `sign` is -1 below a stroke.
    fn product(&mut self, sign: i32) -> Option<()> {
        let mut divide = false;
        loop {
            self.rest = self.rest.trim_start_matches([' ', '.']);
            if self.rest.is_empty() || self.rest.starts_with(')') {
                return (!divide).then_some(());
            }
            if let Some(rest) = self.rest.strip_prefix('/') {
                if divide {
                    return None;
                }
                (self.rest, divide) = (rest, true);
                continue;
            }
            if let Some(rest) = self.rest.strip_prefix('*').filter(|rest| !rest.starts_with('*')) {
                self.rest = rest;
                continue;
            }
            self.factor(if divide { -sign } else { sign })?;
            divide = false;
        }
    }

    fn factor(&mut self, sign: i32) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.depth += 1;
            if self.depth > DEEPEST {
                return None;
            }
            self.rest = rest;
            self.product(sign)?;
            self.rest = self.rest.strip_prefix(')')?;
            self.depth -= 1;
            return Some(());
        }
        if let Some(rest) = self.rest.strip_prefix("10").filter(|rest| rest.starts_with(['*', '^', '('])) {
            self.rest = rest;
            self.ten = self.ten.checked_add(sign * self.power()?)?;
            return Some(());
        }
        if let Some(rest) = self.rest.strip_prefix("1e") {
            self.rest = rest;
            self.ten = self.ten.checked_add(sign * self.integer()?)?;
            return Some(());
        }
        // The 1 of `1/deg`.
        if let Some(rest) = self.rest.strip_prefix('1').filter(|rest| rest.trim_start().starts_with('/')) {
            self.rest = rest;
            return Some(());
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let symbol = symbol(name)?;
        self.rest = rest;
        let power = sign * if self.has_power() { self.power()? } else { 1 };
        match self.factors.iter_mut().find(|(known, _)| *known == symbol) {
            Some((_, sum)) => *sum = sum.checked_add(power)?,
            None => self.factors.push((symbol, power)),
        }
        Some(())
    }

    fn has_power(&self) -> bool {
        self.rest.starts_with("**")
            || self.rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '^' | '+' | '-'))
    }

    /// `**n`, `^n`, `(n)` or `n`, whole numbers only.
    fn power(&mut self) -> Option<i32> {
        self.rest = self.rest.strip_prefix("**").or(self.rest.strip_prefix('^')).unwrap_or(self.rest);
        match self.rest.strip_prefix('(') {
            Some(rest) => {
                self.rest = rest;
                let power = self.integer()?;
                self.rest = self.rest.strip_prefix(')')?;
                Some(power)
            }
            None => self.integer(),
        }
    }

    fn integer(&mut self) -> Option<i32> {
        let digits = self.rest.strip_prefix(['+', '-']).unwrap_or(self.rest);
        let signs = self.rest.len() - digits.len();
        let n = digits.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(signs + n);
        // A fraction is not a whole number.
        if rest.starts_with(|c: char| c == '.' && rest[1..].starts_with(|d: char| d.is_ascii_digit())) {
            return None;
        }
        self.rest = rest;
        number.parse().ok().filter(|power: &i32| power.abs() < 1000)
    }

    /// An `h` beside parsecs or suns is Hubble's, not an hour.
    fn read_little_h(&mut self) {
        let cosmic = |name: &str| name.ends_with("pc") || name.starts_with("sol");
        if self.factors.iter().any(|(name, _)| cosmic(name)) {
            self.factors
                .iter_mut()
                .filter(|(name, _)| *name == "h")
                .for_each(|(name, _)| *name = "'littleh'");
        }
    }
}

fn symbol(name: &str) -> Option<&'static str> {
    let alias = ALIASES.iter().find(|(from, _)| *from == name).map(|&(_, to)| to);
    alias.or_else(|| KNOWN.iter().find(|known| **known == name).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_desi_files_become_vounit() {
        let spellings = [
            ("10**-17 erg/(s cm2 Angstrom)", "10**-17erg.s**-1.cm**-2.Angstrom**-1"),
            ("10**-17 erg Angstrom-1 s-1 cm-2", "10**-17erg.Angstrom**-1.s**-1.cm**-2"),
            ("10**+34 (s2 cm4 Angstrom2) / erg2", "10**34s**2.cm**4.Angstrom**2.erg**-2"),
            ("mas yr-1", "mas.yr**-1"),
            ("mas yr^-1", "mas.yr**-1"),
            ("Mpc h-1", "Mpc.'littleh'**-1"),
            ("nanomaggy", "'nanomaggy'"),
            ("nanomaggies-2", "'nanomaggy'**-2"),
            ("nmgy", "'nanomaggy'"),
            ("1/deg^2", "deg**-2"),
            ("10**10 solLum", "10**10solLum"),
            ("yr2 solMass-2", "yr**2.solMass**-2"),
            ("h", "h"),
            ("erg / s / cm**2", "erg.s**-1.cm**-2"),
            ("1e-17 erg", "10**-17erg"),
        ];
        for (text, expected) in spellings {
            assert_eq!(vounit(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_unit_is_the_same_in_any_spelling_and_order() {
        for (a, b) in [
            ("10**-17 erg/(s cm2 Angstrom)", "1e-17 erg Angstrom^-1 cm-2 s-1"),
            ("Mpc h-1", "Mpc/h"),
            ("deg", "degree"),
            ("furlong  x", "furlong x"),
        ] {
            assert!(same_unit(a, b), "{a} {b}");
        }
        for (a, b) in [("Mpc h-1", "Mpc"), ("10**-17 erg", "erg"), ("furlong", "m"), ("furlong", "Furlong")] {
            assert!(!same_unit(a, b), "{a} {b}");
        }
    }

    #[test]
    fn what_is_unknown_in_any_part_is_not_guessed() {
        for text in [
            "",
            " ",
            "furlong",
            "km furlong-1",
            "dex",
            "log(erg)",
            "m/",
            "/ /s",
            "m)",
            "(m",
            "s0.5",
            "10**-17",
            "10",
            "m(1/2)",
            "W.m(-2)",
            "((((((((((m))))))))))",
            "Å",
            "m99999999999",
            "2 m",
        ] {
            assert_eq!(vounit(text), None, "{text}");
        }
    }
}
