//! The shapes spectra come in.

use std::ops::Range;

use crate::{Backend, KernelError};

/// A uniform observed wavelength grid: pixel p is centred on `first_aa + p * step_aa`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Vacuum wavelength of the first pixel, Å.
    pub first_aa: f64,
    /// Pixel width, Å.
    pub step_aa: f64,
    /// Number of pixels.
    pub n_pixels: usize,
}

impl Grid {
    /// DESI's combined grid: 3600 to 9824 Å in steps of 0.8 Å.
    pub const DESI: Self = Self { first_aa: 3600.0, step_aa: 0.8, n_pixels: 7781 };

    /// Wavelength of the centre of pixel `p`, Å.
    pub fn centre_aa(&self, p: usize) -> f64 {
        let p = p as f64;
        self.first_aa + p * self.step_aa
    }

    /// Wavelengths of the pixels' centres, Å, [p].
    pub fn wave_aa(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        (0..self.n_pixels).map(|p| self.centre_aa(p))
    }
}

/// One arm of a batch as read from disk, in host memory.
///
/// # Shapes
/// `flux_sp`, `ivar_sp`, `mask_sp`: [s, n_pixels], row-major.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArmBatch {
    /// Index on the combined grid of the arm's first pixel.
    pub first_pixel: usize,
    /// Pixels of this arm; 0 where the arm is absent from the file.
    pub n_pixels: usize,
    /// 1e-17 erg s⁻¹ cm⁻² Å⁻¹.
    pub flux_sp: Vec<f32>,
    /// Inverse variance of `flux_sp`.
    pub ivar_sp: Vec<f32>,
    /// SPECMASK bits.
    pub mask_sp: Vec<u32>,
}

/// The three arms (b, r, z in this order) of a batch, on a backend's memory.
pub struct ArmSpectra<B: Backend> {
    /// Number of spectra.
    pub n_spectra: usize,
    /// Per arm: first pixel on the combined grid and number of pixels (0 = arm absent).
    pub layout_a: [(usize, usize); 3],
    /// Per arm [s, p].
    pub flux_asp: [B::Array<f32>; 3],
    /// Per arm [s, p].
    pub ivar_asp: [B::Array<f32>; 3],
    /// Per arm [s, p].
    pub mask_asp: [B::Array<u32>; 3],
    /// COADD_FIBERSTATUS [s].
    pub fiberstatus_s: B::Array<i32>,
}

impl<B: Backend> ArmSpectra<B> {
    /// Copies a batch to the device.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where an array's length disagrees with `n_spectra` and the arm's pixels.
    pub fn upload(dev: &B, arms: &[ArmBatch; 3], fiberstatus_s: &[i32]) -> Result<Self, KernelError> {
        Self::upload_rows(dev, arms, 0..fiberstatus_s.len(), fiberstatus_s)
    }

    /// Copies some rows of a batch to the device; `fiberstatus_s` is that of the whole batch.
    ///
    /// # Errors
    /// As [`Self::upload`].
    ///
    /// # Panics
    /// Where the batch has not so many rows.
    pub fn upload_rows(
        dev: &B,
        arms: &[ArmBatch; 3],
        rows: Range<usize>,
        fiberstatus_s: &[i32],
    ) -> Result<Self, KernelError> {
        for arm in arms {
            let expected = fiberstatus_s.len() * arm.n_pixels;
            let lengths = [
                ("flux_sp", arm.flux_sp.len()),
                ("ivar_sp", arm.ivar_sp.len()),
                ("mask_sp", arm.mask_sp.len()),
            ];
            for (array, actual) in lengths {
                if actual != expected {
                    return Err(KernelError::Shape {
                        operation: "upload",
                        array,
                        axes: "s, p",
                        expected,
                        actual,
                    });
                }
            }
        }
        let pixels = |arm: &ArmBatch| rows.start * arm.n_pixels..rows.end * arm.n_pixels;
        let flux = |arm: &ArmBatch| dev.upload(&arm.flux_sp[pixels(arm)]);
        let ivar = |arm: &ArmBatch| dev.upload(&arm.ivar_sp[pixels(arm)]);
        let mask = |arm: &ArmBatch| dev.upload(&arm.mask_sp[pixels(arm)]);
        let [b, r, z] = arms;
        Ok(Self {
            n_spectra: rows.len(),
            layout_a: [b, r, z].map(|arm| (arm.first_pixel, arm.n_pixels)),
            flux_asp: [flux(b)?, flux(r)?, flux(z)?],
            ivar_asp: [ivar(b)?, ivar(r)?, ivar(z)?],
            mask_asp: [mask(b)?, mask(r)?, mask(z)?],
            fiberstatus_s: dev.upload(&fiberstatus_s[rows.clone()])?,
        })
    }
}

/// Spectra on one grid, on a backend's memory: [s, p] each.
///
/// # Masking
/// `ivar_sp == 0` is the only sign of a missing pixel; `mask_sp` is kept as data.
pub struct SpectraBatch<B: Backend> {
    /// Number of spectra.
    pub n_spectra: usize,
    /// Pixels per spectrum.
    pub n_pixels: usize,
    /// Flux [s, p].
    pub flux_sp: B::Array<f32>,
    /// Inverse variance [s, p].
    pub ivar_sp: B::Array<f32>,
    /// SPECMASK bits [s, p]; empty where the operation keeps none.
    pub mask_sp: B::Array<u32>,
}

/// Values with weights on one grid, on a backend's memory: [s, p] each.
///
/// # Masking
/// A pixel counts where its value is finite and its weight positive and finite.
pub struct Weighted<'a, B: Backend> {
    /// Number of spectra.
    pub n_spectra: usize,
    /// Pixels per spectrum.
    pub n_pixels: usize,
    /// Values [s, p].
    pub values_sp: &'a B::Array<f32>,
    /// Weights [s, p].
    pub weight_sp: &'a B::Array<f32>,
}

impl<B: Backend> SpectraBatch<B> {
    /// Flux weighted by ivar.
    pub fn weighted(&self) -> Weighted<'_, B> {
        Weighted {
            n_spectra: self.n_spectra,
            n_pixels: self.n_pixels,
            values_sp: &self.flux_sp,
            weight_sp: &self.ivar_sp,
        }
    }
}
