//! What turns a spectrum into a vector: principal components now, learned encoders behind the same seam later.

use specmill_kernels::{Backend, SpectraBatch};

use crate::columns::to_f32;
use crate::error::Result;
use crate::lake::SpectraRows;

use super::{Card, Model};

/// What every vector of an embedder carries with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Identity<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: u32,
    pub(crate) dimension: usize,
    pub(crate) preprocessing: &'a str,
    pub(crate) hash: &'a str,
}

/// Vectors of a batch, with what is needed to judge each of them.
///
/// # Masking
/// A spectrum that could not be fitted has `constraint_s` 0, and zeros everywhere else.
#[derive(Debug, Default)]
pub(crate) struct Embedded {
    /// [s, d]
    pub(crate) vector_sd: Vec<f32>,
    /// Variance of each element, [s, d].
    pub(crate) variance_sd: Vec<f32>,
    /// Scale of the mean spectrum, [s].
    pub(crate) amplitude_s: Vec<f32>,
    /// `amplitude_s` over its standard error, [s].
    pub(crate) amplitude_snr_s: Vec<f32>,
    /// Smallest share of a component that the good pixels determine, [s].
    pub(crate) constraint_s: Vec<f32>,
    /// χ² per degree of freedom of the reconstruction, [s].
    pub(crate) chi2_reduced_s: Vec<f32>,
    /// Good pixels inside the model, [s].
    pub(crate) n_good_s: Vec<u32>,
}

/// Turns rest-frame spectra of one class and grid into vectors.
pub(crate) trait Embedder {
    /// What its vectors carry.
    fn identity(&self) -> Identity<'_>;

    /// Embeds a batch; pixels the embedder does not cover are set missing in it.
    ///
    /// # Errors
    /// Where the device fails.
    fn embed<B: Backend>(&self, dev: &B, spectra: &mut SpectraRows) -> Result<Embedded>;
}

impl Embedder for Model {
    fn identity(&self) -> Identity<'_> {
        let Card { name, embedder_version, dimension, normalization, model_hash, .. } = &self.card;
        Identity {
            name,
            version: *embedder_version,
            dimension: *dimension,
            preprocessing: normalization,
            hash: model_hash,
        }
    }

    fn embed<B: Backend>(&self, dev: &B, spectra: &mut SpectraRows) -> Result<Embedded> {
        let (n_spectra, n_pixels, k) = (spectra.len(), self.mean_p.len(), self.card.dimension);
        leave_uncovered(&self.n_spectra_p, &mut spectra.ivar_sp);
        let batch = SpectraBatch {
            n_spectra,
            n_pixels,
            flux_sp: dev.upload(&spectra.flux_sp)?,
            ivar_sp: dev.upload(&spectra.ivar_sp)?,
            mask_sp: dev.upload(&[])?,
        };
        let normalized = dev.normalize(&batch, &dev.upload(&self.mean_p)?)?;
        let basis_kp = dev.upload(&self.basis_kp)?;
        let fit = dev.project(&normalized.weighted(), &basis_kp, k)?;
        let scale = |values: &mut [f32], power: i32| {
            for row in values.chunks_exact_mut(k) {
                for (value, sd) in row.iter_mut().zip(&self.card.component_sd) {
                    *value /= if power == 1 { *sd } else { sd * sd };
                }
            }
        };
        let mut vector_sd = dev.download(&fit.coeff_sk)?;
        scale(&mut vector_sd, 1);
        let mut variance_sd = dev.download(&fit.variance_sk)?;
        scale(&mut variance_sd, 2);
        let n_fitted_s = dev.download(&fit.n_good_s)?;
        let chi2_s = dev.download(&fit.chi2_s)?;
        let reduced = |(chi2, n_good): (&f64, &u32)| {
            let freedom = f64::from(*n_good) - k as f64;
            if freedom > 0.0 { to_f32(chi2 / freedom) } else { 0.0 }
        };
        Ok(Embedded {
            vector_sd,
            variance_sd,
            amplitude_s: dev.download(&normalized.amplitude_s)?,
            amplitude_snr_s: dev.download(&normalized.amplitude_snr_s)?,
            constraint_s: dev.download(&fit.constraint_s)?,
            chi2_reduced_s: chi2_s.iter().zip(&n_fitted_s).map(reduced).collect(),
            n_good_s: dev.download(&normalized.n_good_s)?,
        })
    }
}

/// Sets pixels that the model's sample never saw missing.
fn leave_uncovered(n_spectra_p: &[u32], ivar_sp: &mut [f32]) {
    for ivar_p in ivar_sp.chunks_exact_mut(n_spectra_p.len().max(1)) {
        for (ivar, count) in ivar_p.iter_mut().zip(n_spectra_p) {
            if *count == 0 {
                *ivar = 0.0;
            }
        }
    }
}
