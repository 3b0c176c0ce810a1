//! What a fibre looks at: its class, redshift and noiseless spectrum.

use crate::draw::Draw;
use crate::galaxy;
use crate::lines::Emission;
use crate::quasar::{self, Quasar};
use crate::stellar::{POPULATIONS, Population, STARS};

/// The kinds of galaxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    StarForming,
    Quiescent,
    PostStarburst,
    Seyfert,
}

/// The classes of objects and fibres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Galaxy(Kind),
    Quasar,
    BalQuasar,
    /// Index in [`STARS`].
    Star(usize),
    /// A fibre on blank sky.
    Sky,
    /// A positioner that could not move; its fibre looks at nothing known.
    Stuck,
}

impl Class {
    /// Redrock's spectral type; a sky fibre gets a galaxy fit like any other.
    pub(crate) fn spectype(self) -> &'static str {
        match self {
            Self::Quasar | Self::BalQuasar => "QSO",
            Self::Star(_) => "STAR",
            Self::Galaxy(_) | Self::Sky | Self::Stuck => "GALAXY",
        }
    }

    /// The class as the truth table names it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Galaxy(_) => "galaxy",
            Self::Quasar | Self::BalQuasar => "qso",
            Self::Star(_) => "star",
            Self::Sky => "sky",
            Self::Stuck => "stuck",
        }
    }

    /// The kind within the class.
    pub(crate) fn sublabel(self) -> &'static str {
        match self {
            Self::Galaxy(Kind::StarForming) => "star_forming",
            Self::Galaxy(Kind::Quiescent) => "quiescent",
            Self::Galaxy(Kind::PostStarburst) => "post_starburst",
            Self::Galaxy(Kind::Seyfert) => "seyfert",
            Self::Quasar => "plain",
            Self::BalQuasar => "bal",
            Self::Star(kind) => STARS[kind].name,
            Self::Sky | Self::Stuck => "",
        }
    }

    /// Whether the fibre was put on an object.
    pub(crate) fn is_object(self) -> bool {
        !matches!(self, Self::Sky | Self::Stuck)
    }
}

/// Which observing program chose the target; it sets magnitudes and redshifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Dark,
    Bright,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Bright => "bright",
        }
    }
}

/// Where the continuum comes from.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// No light.
    Nothing,
    /// Weights of the galaxy populations.
    Galaxy(Vec<f64>),
    /// Weights of the kinds of stars.
    Star(Vec<f64>),
    /// A quasar.
    Quasar(Box<Quasar>),
}

/// A noiseless object. Fluxes are in 1e-17 erg/s/cm²(/Å), observed frame, before the Milky Way.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) class: Class,
    pub(crate) z: f64,
    /// AB magnitude in the fibre, r band, as observed behind the Milky Way.
    pub(crate) fibre_mag_r: f64,
    pub(crate) body: Body,
    pub(crate) lines: Vec<Emission>,
}

impl Source {
    /// The object with this identity: equal arguments give an equal object.
    pub(crate) fn new(seed: u64, targetid: i64, class: Class, program: Program) -> Self {
        let mut draw = Draw::keyed(seed, "object", targetid.cast_unsigned());
        match class {
            Class::Galaxy(kind) => galaxy::draw(&mut draw, kind, program),
            Class::Quasar | Class::BalQuasar => quasar::draw(&mut draw, class),
            Class::Star(kind) => star(&mut draw, kind, program),
            Class::Sky | Class::Stuck => {
                Self { class, z: 0.0, fibre_mag_r: 99.0, body: Body::Nothing, lines: Vec::new() }
            }
        }
    }

    /// Continuum without absorption features and emission lines at a rest wavelength.
    pub(crate) fn continuum(&self, rest_aa: f64) -> f64 {
        let mix = |weights: &[f64], of: &[Population]| -> f64 {
            weights.iter().zip(of).filter(|(w, _)| **w > 0.0).map(|(w, p)| w * p.smooth(rest_aa)).sum()
        };
        match &self.body {
            Body::Nothing => 0.0,
            Body::Galaxy(weights) => mix(weights, &POPULATIONS),
            Body::Star(weights) => mix(weights, &STARS),
            Body::Quasar(quasar) => quasar.continuum(rest_aa),
        }
    }

    /// Multiplies all light by `factor`.
    pub(crate) fn scale(&mut self, factor: f64) {
        match &mut self.body {
            Body::Nothing => {}
            Body::Galaxy(weights) | Body::Star(weights) => {
                weights.iter_mut().for_each(|weight| *weight *= factor);
            }
            Body::Quasar(quasar) => quasar.amplitude *= factor,
        }
        self.lines.iter_mut().for_each(|line| line.flux *= factor);
    }
}

fn star(draw: &mut Draw, kind: usize, program: Program) -> Source {
    let mut weights = vec![0.0; STARS.len()];
    weights[kind] = 1.0;
    let velocity_kms = 60.0 * draw.normal();
    let fibre_mag_r = match program {
        Program::Dark => draw.range(18.0, 21.0),
        Program::Bright => draw.range(16.5, 19.5),
    };
    let z = velocity_kms / crate::stellar::C_KMS;
    Source { class: Class::Star(kind), z, fibre_mag_r, body: Body::Star(weights), lines: Vec::new() }
}
