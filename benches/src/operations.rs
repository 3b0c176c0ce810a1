//! Every operation on the inputs of one device: resident, and from the host and back.

use std::io::Write as _;
use std::sync::PoisonError;

use specmill_kernels::cuda::{Cuda, Driver, NoCache};
use specmill_kernels::ops::synthetic::FilterCurve;
use specmill_kernels::{ArmSpectra, Backend, Cpu, Device, KernelError, Opened, SpectraBatch};
use specmill_schemas::constants;

use crate::bands::Bands;
use crate::device::{Downloaded, Inputs, N_GALAXY, N_GRID, N_NEIGHBORS, N_PIXELS, NEIGHBOR_D, Output};

/// What the benchmarks run on.
pub struct Devices {
    /// One thread of the CPU.
    pub cpu: Cpu,
    /// The first card, where there is one.
    pub card: Option<Box<Cuda<Driver>>>,
}

impl Devices {
    /// Opens them; says what is left out.
    ///
    /// # Panics
    /// Where no thread can be started.
    pub fn open(group: &str) -> Self {
        let card = match Device::Cuda(0).open(1, &NoCache) {
            Ok((Opened::Cuda(card), _)) => Some(card),
            Ok((Opened::Cpu(_), _)) => None,
            Err(error) => {
                // Nothing is left to be told where standard error is closed.
                let _ = writeln!(std::io::stderr(), "SKIPPED {group} on cuda:0: {error}");
                None
            }
        };
        Self { cpu: Cpu::new(1).expect("one thread can be started"), card }
    }
}

/// What an operation takes besides what is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The arms.
    Arms,
    /// Combined spectra.
    Observed,
    /// Combined spectra that are changed in place, and copied back.
    Reddened,
    /// Combined spectra and their continuum.
    Continuum,
    /// Rest-frame spectra and their mean.
    Spectra,
    /// Rest-frame spectra and one of the bases.
    Basis(usize),
    /// Rest-frame spectra and coefficients on one of the bases.
    Coefficients(usize),
    /// Vectors.
    Vectors,
}

/// One launch, and the arrays that it gives.
pub type Launch<B> = fn(&Inputs<B>, &B) -> Result<Vec<Output<B>>, KernelError>;

/// An operation as the benchmarks know it.
pub struct Operation<B: Backend> {
    /// Its name.
    pub name: &'static str,
    /// Elements of a spectrum.
    pub width: usize,
    /// What has to be on the device.
    pub needs: Needs,
    /// One launch.
    pub launch: Launch<B>,
}

/// Every operation, in the order of `extract` and of the stages after it.
pub fn operations<B: Backend>(inputs: &Inputs<B>) -> Vec<Operation<B>> {
    use Needs::{Arms, Basis, Coefficients, Continuum, Observed, Reddened, Spectra, Vectors};
    let operation = |name, width, needs, launch| Operation { name, width, needs, launch };
    vec![
        operation("combine_arms", N_PIXELS, Arms, Inputs::combine),
        operation("median_snr", 3, Arms, Inputs::median_snr),
        operation("count_pixels", N_PIXELS, Observed, Inputs::count_pixels),
        operation("extinction", N_PIXELS, Reddened, Inputs::extinction),
        operation("rest_frame", N_GRID, Observed, Inputs::rest_frame),
        operation("continuum", N_PIXELS, Observed, Inputs::continuum),
        operation("breaks", inputs.breaks.len(), Observed, Inputs::breaks),
        operation("indices", inputs.indices.len(), Observed, Inputs::indices),
        operation("lines", inputs.lines.len(), Observed, Inputs::lines),
        operation("window_snr", 1, Observed, Inputs::window_snr),
        operation("ivar_scale", 3, Continuum, Inputs::ivar_scale),
        operation("synthetic", inputs.curves.len(), Observed, Inputs::synthetic),
        operation("normalize", N_GALAXY, Spectra, Inputs::normalize),
        operation("project_10", N_GALAXY, Basis(0), |inputs, dev| inputs.project(dev, 0)),
        operation("project_64", N_GALAXY, Basis(1), |inputs, dev| inputs.project(dev, 1)),
        operation("update_basis_10", N_GALAXY, Coefficients(0), |inputs, dev| inputs.update_basis(dev, 0)),
        operation("update_basis_64", N_GALAXY, Coefficients(1), |inputs, dev| inputs.update_basis(dev, 1)),
        operation("nearest_neighbors", NEIGHBOR_D, Vectors, Inputs::neighbors),
    ]
}

impl<B: Backend> Operation<B> {
    /// Its shape, as benchmarks are named.
    pub fn shape(&self, n_spectra: usize) -> String {
        if self.needs == Needs::Vectors {
            return format!("{n_spectra}of{N_NEIGHBORS}x{}", self.width);
        }
        format!("{n_spectra}x{}", self.width)
    }

    /// One launch, waited for.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn resident(&self, inputs: &Inputs<B>, dev: &B) -> Result<Vec<Output<B>>, KernelError> {
        let outputs = (self.launch)(inputs, dev)?;
        dev.synchronize()?;
        Ok(outputs)
    }

    /// What it takes copied to the device, one launch, and what it gives copied back.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn end_to_end(
        &self,
        inputs: &mut Inputs<B>,
        host: &OnHost,
        dev: &B,
    ) -> Result<Vec<Downloaded>, KernelError> {
        host.upload(self.needs, inputs, dev)?;
        let outputs = (self.launch)(inputs, dev)?;
        if self.needs != Needs::Reddened {
            return outputs.iter().map(|output| output.download(dev)).collect();
        }
        let changed = inputs.reddened.get_mut().unwrap_or_else(PoisonError::into_inner);
        Ok(vec![
            Downloaded::F32(dev.download(&changed.flux_sp)?),
            Downloaded::F32(dev.download(&changed.ivar_sp)?),
        ])
    }
}

/// What operations take, in host memory.
pub struct OnHost {
    n_spectra: usize,
    /// Combined spectra: flux, ivar, mask, [s, p].
    pub observed: (Vec<f32>, Vec<f32>, Vec<u32>),
    /// Their continuum and where it is valid, [s, p].
    pub continuum: (Vec<f32>, Vec<u8>),
    /// Rest-frame spectra: flux and ivar, [s, b].
    pub spectra: (Vec<f32>, Vec<f32>),
    /// [b]
    pub mean_p: Vec<f32>,
    /// [k, b]
    pub bases_kp: [Vec<f32>; 2],
    /// [s, k]
    pub coeffs_sk: [Vec<f32>; 2],
    /// [n, d]
    pub vectors_nd: Vec<f32>,
}

impl OnHost {
    /// What is on the device.
    ///
    /// # Errors
    /// Where a copy fails.
    pub fn of<B: Backend>(inputs: &Inputs<B>, dev: &B) -> Result<Self, KernelError> {
        let copy = |array: &B::Array<f32>| dev.download(array);
        let Inputs { observed, continuum, spectra, .. } = inputs;
        Ok(Self {
            n_spectra: inputs.n_spectra,
            observed: (copy(&observed.flux_sp)?, copy(&observed.ivar_sp)?, dev.download(&observed.mask_sp)?),
            continuum: (copy(&continuum.flux_sp)?, dev.download(&continuum.valid_sp)?),
            spectra: (copy(&spectra.flux_sp)?, copy(&spectra.ivar_sp)?),
            mean_p: copy(&inputs.mean_p)?,
            bases_kp: [copy(&inputs.bases_kp[0])?, copy(&inputs.bases_kp[1])?],
            coeffs_sk: [copy(&inputs.coeffs_sk[0])?, copy(&inputs.coeffs_sk[1])?],
            vectors_nd: copy(&inputs.vectors_nd)?,
        })
    }

    fn upload<B: Backend>(&self, needs: Needs, inputs: &mut Inputs<B>, dev: &B) -> Result<(), KernelError> {
        match needs {
            Needs::Arms => inputs.on_device = ArmSpectra::upload(dev, &inputs.arms, &inputs.fiberstatus_s)?,
            Needs::Observed => inputs.observed = self.upload_observed(dev)?,
            Needs::Reddened => inputs.reddened = self.upload_observed(dev)?.into(),
            Needs::Continuum => {
                inputs.observed = self.upload_observed(dev)?;
                inputs.continuum.flux_sp = dev.upload(&self.continuum.0)?;
                inputs.continuum.valid_sp = dev.upload(&self.continuum.1)?;
            }
            Needs::Spectra => {
                self.upload_spectra(inputs, dev)?;
                inputs.mean_p = dev.upload(&self.mean_p)?;
            }
            Needs::Basis(which) => {
                self.upload_spectra(inputs, dev)?;
                inputs.bases_kp[which] = dev.upload(&self.bases_kp[which])?;
            }
            Needs::Coefficients(which) => {
                self.upload_spectra(inputs, dev)?;
                inputs.coeffs_sk[which] = dev.upload(&self.coeffs_sk[which])?;
            }
            Needs::Vectors => inputs.vectors_nd = dev.upload(&self.vectors_nd)?,
        }
        Ok(())
    }

    fn upload_observed<B: Backend>(&self, dev: &B) -> Result<SpectraBatch<B>, KernelError> {
        Ok(SpectraBatch {
            n_spectra: self.n_spectra,
            n_pixels: N_PIXELS,
            flux_sp: dev.upload(&self.observed.0)?,
            ivar_sp: dev.upload(&self.observed.1)?,
            mask_sp: dev.upload(&self.observed.2)?,
        })
    }

    fn upload_spectra<B: Backend>(&self, inputs: &mut Inputs<B>, dev: &B) -> Result<(), KernelError> {
        inputs.spectra.flux_sp = dev.upload(&self.spectra.0)?;
        inputs.spectra.ivar_sp = dev.upload(&self.spectra.1)?;
        Ok(())
    }
}

impl<B: Backend> Inputs<B> {
    /// With the bands and curves that `extract` measures in.
    ///
    /// # Errors
    /// Where a filter curve is unusable.
    pub fn with_tables_of_extract(self) -> Result<Self, KernelError> {
        let curve = |f: &constants::Filter| FilterCurve::on_grid(&self.grid, &f.wave_aa, &f.response);
        let Bands { breaks, indices, lines } = Bands::of_extract();
        Ok(Self {
            breaks,
            indices,
            lines,
            curves: constants::filters(false).iter().map(curve).collect::<Result<_, _>>()?,
            ..self
        })
    }
}
