//! Puts known light, with noise of exactly the IVAR written, into the FLUX of simulated coadds.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use specmill::fits::{CoaddBatch, CoaddFile, OpenOptions, Source};
use specmill_kernels::ArmBatch;

use super::light::{Draw, Light, N_PIXELS};

/// What a cosmic ray leaves in a masked pixel that kept its ivar, in units of σ.
const COSMIC_SIGMA: f64 = 30.0;

/// A coadd whose FLUX is to be replaced.
pub(crate) struct Patch<'a> {
    path: &'a Path,
    batch: CoaddBatch,
    n_rows: usize,
}

fn is_good(arm: &ArmBatch, i: usize) -> bool {
    arm.mask_sp[i] == 0 && arm.ivar_sp[i] > 0.0
}

impl<'a> Patch<'a> {
    pub(crate) fn open(path: &'a Path) -> Self {
        let mut coadd = CoaddFile::open(path).unwrap();
        let mut batch = CoaddBatch::default();
        coadd.read_rows(0..coadd.n_rows(), &mut batch).unwrap();
        Self { path, batch, n_rows: coadd.n_rows() }
    }

    /// Weight of a row's pixels on the combined grid: the sum of the unmasked ivar of the arms.
    pub(crate) fn ivar_p(&self, row: usize) -> Vec<f64> {
        let mut ivar_p = vec![0.0; N_PIXELS];
        for arm in &self.batch.arms {
            for p in 0..arm.n_pixels {
                let i = row * arm.n_pixels + p;
                if is_good(arm, i) {
                    ivar_p[arm.first_pixel + p] += f64::from(arm.ivar_sp[i]);
                }
            }
        }
        ivar_p
    }

    /// Replaces the light of a row; each arm gets noise of its own.
    pub(crate) fn replace(&mut self, row: usize, light: &Light, draw: &mut Draw) {
        assert!(row < self.n_rows);
        for (a, arm) in self.batch.arms.iter_mut().enumerate() {
            let mut spare = None;
            for (p, mean) in light.pixel_means(a, arm.first_pixel, arm.n_pixels).into_iter().enumerate() {
                let i = row * arm.n_pixels + p;
                if arm.ivar_sp[i] <= 0.0 {
                    continue;
                }
                let noise = spare.take().unwrap_or_else(|| {
                    let [noise, other] = draw.normals();
                    spare = Some(other);
                    noise
                });
                let defect = if is_good(arm, i) { 0.0 } else { COSMIC_SIGMA };
                let flux = mean + (noise + defect) / f64::from(arm.ivar_sp[i]).sqrt();
                #[expect(clippy::cast_possible_truncation, reason = "the file holds f32")]
                let flux = flux as f32;
                arm.flux_sp[i] = flux;
            }
        }
    }

    /// Writes the FLUX images back.
    pub(crate) fn write(&self) {
        let source = Source::open(self.path, &OpenOptions::default()).unwrap();
        let mut file = fs_err::OpenOptions::new().write(true).open(self.path).unwrap();
        for (name, arm) in ["B", "R", "Z"].iter().zip(&self.batch.arms) {
            let hdu = source.require(&format!("{name}_FLUX")).unwrap();
            let bytes: Vec<u8> = arm.flux_sp.iter().flat_map(|flux| flux.to_be_bytes()).collect();
            assert_eq!(hdu.data_bytes, bytes.len() as u64);
            file.seek(SeekFrom::Start(hdu.data_offset)).unwrap();
            file.write_all(&bytes).unwrap();
        }
    }
}
