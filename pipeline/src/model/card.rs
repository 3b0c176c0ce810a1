//! A model's card: what it is, what it was made from, what it is for.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// `card.toml` of a model folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The model's name.
    pub name: String,
    /// Content hash: grid, normalisation, sample, standard deviations and every number of the basis.
    pub model_hash: String,
    /// Which embedder reads it.
    pub embedder: String,
    /// The version of that embedder's arithmetic.
    pub embedder_version: u32,
    /// SPECTYPE of the spectra it is for, in lower case.
    pub class: String,
    /// Length of its vectors.
    pub dimension: usize,
    /// How a spectrum is prepared.
    pub normalization: String,
    /// Standard deviation of each coefficient over the sample.
    pub component_sd: Vec<f32>,
    /// Share of the sample's weighted variance about the mean that the first k components explain.
    pub explained_variance: Vec<f64>,
    /// What it can be used for.
    pub intended_use: Vec<String>,
    /// What it must not be used for.
    pub not_for: Vec<String>,
    /// What is known to be weak.
    pub limits: Vec<String>,
    /// The grid.
    pub grid: GridCard,
    /// The sample and the fit.
    pub training: Training,
}

/// The rest-frame grid of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridCard {
    /// log10 of the first pixel's wavelength, Å.
    pub log10_first: f64,
    /// Step in log10 of the wavelength.
    pub dlog10: f64,
    /// Number of pixels.
    pub n_pixels: usize,
}

/// What a basis was fitted to, and how that went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Stage hash of the spectra.
    pub extract_hash: String,
    /// Spectroscopic productions in the sample.
    pub specprods: Vec<String>,
    /// What the sample and the start were drawn from.
    pub seed: u64,
    /// Spectra that qualified.
    pub candidates: u64,
    /// Spectra in the sample.
    pub sample: u64,
    /// SHA-256 over the sample's keys, fluxes and inverse variances.
    pub sample_sha256: String,
    /// Lowest median S/N admitted.
    pub min_snr: f64,
    /// Lowest share of good pixels admitted.
    pub min_good_fraction: f64,
    /// Pixels of the smoothing filter; 0 = none.
    pub smooth_pixels: usize,
    /// Chi-square falling by less than this share ended the fit.
    pub tolerance: f64,
    /// Whether it did, before the iterations ran out.
    pub converged: bool,
    /// Chi-square of the sample after each iteration.
    pub chi2_by_iteration: Vec<f64>,
    /// Good pixels of the sample, for chi-square per degree of freedom.
    pub good_pixels: u64,
}

impl Card {
    /// The card as people read it.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.name);
        let _ = writeln!(
            text,
            "Weighted principal components (EMPCA; Bailey 2012, PASP 124, 1015) of DESI {} spectra in the rest frame: \
             {} components, model hash `{}`.\n",
            self.class.to_uppercase(),
            self.dimension,
            self.model_hash
        );
        self.write_facts(&mut text);
        for (title, lines) in
            [("For", &self.intended_use), ("Not for", &self.not_for), ("Limits", &self.limits)]
        {
            let _ = writeln!(text, "\n## {title}\n");
            for line in lines {
                let _ = writeln!(text, "- {line}");
            }
        }
        let _ = writeln!(
            text,
            "\n## Components\n\n| k | standard deviation | explained, cumulative |\n|---|---|---|"
        );
        for (k, (sd, explained)) in self.component_sd.iter().zip(&self.explained_variance).enumerate() {
            let _ = writeln!(text, "| {} | {sd:.5} | {:.2} % |", k + 1, 100.0 * explained);
        }
        text
    }

    fn write_facts(&self, text: &mut String) {
        let (grid, training) = (&self.grid, &self.training);
        let wave = |pixel: usize| libm::pow(10.0, grid.log10_first + pixel as f64 * grid.dlog10);
        let (first_aa, last_aa) = (wave(0), wave(grid.n_pixels.saturating_sub(1)));
        let chi2 = training.chi2_by_iteration.last().copied().unwrap_or(0.0);
        let ended = if training.converged { "converged" } else { "did NOT converge" };
        let _ = writeln!(
            text,
            "- Grid: {} pixels from {first_aa:.1} to {last_aa:.1} Angstrom, vacuum, {} dex a pixel.\n\
             - Normalisation: {}.\n\
             - Trained on: {} of {} spectra that qualified (median S/N at least {}, at least {:.0} % good pixels), drawn \
             with seed {} from {}; `sample.parquet` lists them, SHA-256 `{}`.\n\
             - Fit: {} iterations, {ended} (tolerance {:e}), chi-square {:.4} per good pixel, smoothing over {} pixels.",
            grid.n_pixels,
            grid.dlog10,
            self.normalization,
            training.sample,
            training.candidates,
            training.min_snr,
            100.0 * training.min_good_fraction,
            training.seed,
            training.specprods.join(", "),
            training.sample_sha256,
            training.chi2_by_iteration.len(),
            training.tolerance,
            chi2 / training.good_pixels.max(1) as f64,
            training.smooth_pixels,
        );
    }
}
