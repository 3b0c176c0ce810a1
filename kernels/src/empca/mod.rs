//! Fits a mean and a few components to spectra with missing pixels and unequal errors (EMPCA).
//!
//! The mean μ is a model of one component: amplitude times μ. Then every spectrum is divided by its
//! amplitude, μ is taken off, and the components are fitted to what is left: coefficients for given
//! components ([`crate::ops::project`]), components for given coefficients ([`crate::ops::update_basis`]),
//! smoothing and orthonormalisation, until χ² stands still. At the end the components are turned to the
//! principal axes of the sample's coefficients, in descending order, the largest element of each positive.
//!
//! What stands between the operations is done here on the host in f64, each sum in ascending order: no
//! result depends on threads or device.
//!
//! # Source
//! Bailey 2012, PASP 124 1015.

mod axes;
mod smooth;

pub use smooth::Smoother;

use crate::band::rounded;
use crate::ops::normalize::Normalized;
use crate::ops::project::Projection;
use crate::{Backend, KernelError, SpectraBatch, Weighted};

const OPERATION: &str = "fit_basis";

/// A component that keeps less than this share of its length beside those before it is none: the
/// components are stored in f32, whose rounding is 1e-7 of it.
const LEAST_LENGTH: f64 = 1e-4;

/// How a basis is fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Components beside the mean.
    pub components: usize,
    /// Window of the smoothing in pixels, odd and at least 5; 0 = none.
    pub smooth_pixels: usize,
    /// Most iterations of the components.
    pub max_iterations: usize,
    /// Most iterations of the mean.
    pub mean_iterations: usize,
    /// Least relative change of χ² from one iteration to the next.
    pub tolerance: f64,
    /// Spectra of which a coefficient's variance is more than this share of its mean square over the
    /// sample are left out of the axes and of the standard deviations: they are mostly error.
    pub max_variance: f64,
    /// Seed of the start.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            components: 10,
            smooth_pixels: 0,
            max_iterations: 50,
            mean_iterations: 20,
            tolerance: 1e-4,
            max_variance: 1.0,
            seed: 1,
        }
    }
}

/// A fitted model, and how the fit went.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// μ [p], of mean 1 over the covered pixels, 0 elsewhere.
    pub mean_p: Vec<f32>,
    /// Orthonormal components [k, p], 0 at pixels that are not covered.
    pub basis_kp: Vec<f32>,
    /// Standard deviation of each coefficient over the sample [k].
    pub component_sd_k: Vec<f32>,
    /// Share of Σ w x² that components 0 to k explain together [k].
    pub explained_k: Vec<f64>,
    /// Spectra that count at each pixel [p]; 0 where the model does not cover it.
    pub n_spectra_p: Vec<u32>,
    /// χ² before each update of the components, and the last one.
    pub chi2_by_iteration: Vec<f64>,
    /// χ² before each update of the mean, and the last one.
    pub mean_chi2_by_iteration: Vec<f64>,
    /// Whether the components' χ² stood still within the iterations.
    pub converged: bool,
    /// Whether the mean's χ² stood still within the iterations.
    pub mean_converged: bool,
    /// Amplitude of each spectrum [s]; one of ≤ 0 was left out.
    pub amplitude_s: Vec<f32>,
    /// How far each spectrum determines the components [s]; 0 where it was left out.
    pub constraint_s: Vec<f32>,
    /// Spectra that took part in axes and standard deviations.
    pub n_used: usize,
}

/// Fits mean and components to a sample.
///
/// # Memory
/// Twice the sample's flux and ivar.
///
/// # Errors
/// [`KernelError::Domain`] where a setting is senseless, no pixel is covered, or the sample determines
/// fewer components than asked for; [`KernelError::Shape`].
pub fn fit_basis<B: Backend>(
    dev: &B,
    sample: &SpectraBatch<B>,
    settings: &Settings,
) -> Result<Fitted, KernelError> {
    check_settings(settings, sample.n_spectra)?;
    let mean = fit_mean(dev, &sample.weighted(), settings)?;
    let normalized = dev.normalize(sample, &dev.upload(&mean.mean_p)?)?;
    let components = fit_components(dev, &normalized, &mean, settings)?;
    let rotated = rotate_to_axes(dev, &normalized, &components, settings)?;
    Ok(Fitted {
        mean_p: mean.mean_p,
        basis_kp: rotated.basis_kp,
        component_sd_k: rotated.component_sd_k,
        explained_k: rotated.explained_k,
        n_spectra_p: components.n_spectra_p,
        chi2_by_iteration: components.steps.chi2_by_iteration,
        mean_chi2_by_iteration: mean.steps.chi2_by_iteration,
        converged: components.steps.converged,
        mean_converged: mean.steps.converged,
        amplitude_s: dev.download(&normalized.amplitude_s)?,
        constraint_s: rotated.constraint_s,
        n_used: rotated.n_used,
    })
}

fn refuse<T>(what: String) -> Result<T, KernelError> {
    Err(KernelError::Domain { operation: OPERATION, what })
}

fn check_settings(settings: &Settings, n_spectra: usize) -> Result<(), KernelError> {
    crate::weighted_sums::check_components(OPERATION, settings.components)?;
    if n_spectra <= settings.components {
        return refuse(format!(
            "{n_spectra} spectra cannot determine {} components: give more spectra or ask for fewer",
            settings.components
        ));
    }
    if settings.max_iterations == 0 || settings.mean_iterations == 0 {
        return refuse("no iterations are allowed".to_owned());
    }
    if !(settings.tolerance >= 0.0 && settings.max_variance > 0.0) {
        let (tolerance, most) = (settings.tolerance, settings.max_variance);
        return refuse(format!("tolerance {tolerance} is negative, or largest variance {most} not positive"));
    }
    Ok(())
}

/// χ² so far.
#[derive(Debug, Default)]
struct Steps {
    chi2_by_iteration: Vec<f64>,
    converged: bool,
}

impl Steps {
    /// Notes the χ² of a projection; true where it stands still.
    fn note(&mut self, chi2_s: &[f64], tolerance: f64) -> bool {
        let chi2: f64 = chi2_s.iter().sum();
        let before = self.chi2_by_iteration.last().copied();
        self.chi2_by_iteration.push(chi2);
        self.converged = before.is_some_and(|before| (before - chi2).abs() <= tolerance * chi2);
        self.converged
    }
}

/// The mean and what it covers.
struct Mean {
    mean_p: Vec<f32>,
    n_spectra_p: Vec<u32>,
    steps: Steps,
}

/// One component without smoothing, from a flat start; spectra of an amplitude ≤ 0 take no part.
fn fit_mean<B: Backend>(dev: &B, flux: &Weighted<'_, B>, settings: &Settings) -> Result<Mean, KernelError> {
    let n_pixels = flux.n_pixels;
    let mut mean =
        Mean { mean_p: vec![1.0; n_pixels], n_spectra_p: vec![0; n_pixels], steps: Steps::default() };
    for iteration in 0..=settings.mean_iterations {
        let projection = dev.project(flux, &dev.upload(&mean.mean_p)?, 1)?;
        let chi2_s = dev.download(&projection.chi2_s)?;
        if mean.steps.note(&chi2_s, settings.tolerance) || iteration == settings.mean_iterations {
            break;
        }
        let amplitude_s: Vec<f32> =
            dev.download(&projection.coeff_sk)?.into_iter().map(|a| if a > 0.0 { a } else { 0.0 }).collect();
        let update = dev.update_basis(flux, &dev.upload(&amplitude_s)?, 1)?;
        mean.n_spectra_p = dev.download(&update.n_spectra_p)?;
        mean.mean_p = of_mean_one(&dev.download(&update.basis_kp)?, &mean.n_spectra_p)?;
    }
    Ok(mean)
}

/// μ over its mean on the covered pixels.
fn of_mean_one(mean_p: &[f32], n_spectra_p: &[u32]) -> Result<Vec<f32>, KernelError> {
    let n_covered = n_spectra_p.iter().filter(|&&n| n > 0).count();
    let sum: f64 = mean_p.iter().copied().map(f64::from).sum();
    let level = sum / n_covered as f64;
    if !(level > 0.0 && level.is_finite()) {
        return refuse(format!(
            "the mean spectrum of {n_covered} covered pixels is not positive: the sample holds no spectra \
             with flux"
        ));
    }
    Ok(mean_p.iter().map(|&mean| rounded(f64::from(mean) / level)).collect())
}

/// Orthonormal components before they are turned.
struct Components {
    basis_kp: Vec<f32>,
    n_spectra_p: Vec<u32>,
    steps: Steps,
}

fn fit_components<B: Backend>(
    dev: &B,
    normalized: &Normalized<B>,
    mean: &Mean,
    settings: &Settings,
) -> Result<Components, KernelError> {
    let (data, k, n_pixels) = (normalized.weighted(), settings.components, normalized.n_pixels);
    let covered = |n_spectra_p: &[u32], mean_p: &[f32]| -> Vec<bool> {
        n_spectra_p.iter().zip(mean_p).map(|(&n, &mean)| n > 0 && mean != 0.0).collect()
    };
    let is_covered_p = covered(&mean.n_spectra_p, &mean.mean_p);
    let start = axes::random_start(k, &is_covered_p, settings.seed);
    let mut components = Components {
        basis_kp: stored(&orthonormal(start, n_pixels)?),
        n_spectra_p: mean.n_spectra_p.clone(),
        steps: Steps::default(),
    };
    for iteration in 0..=settings.max_iterations {
        let projection = dev.project(&data, &dev.upload(&components.basis_kp)?, k)?;
        let chi2_s = dev.download(&projection.chi2_s)?;
        if components.steps.note(&chi2_s, settings.tolerance) || iteration == settings.max_iterations {
            break;
        }
        let update = dev.update_basis(&data, &projection.coeff_sk, k)?;
        components.n_spectra_p = dev.download(&update.n_spectra_p)?;
        let mut basis_kp: Vec<f64> = dev.download(&update.basis_kp)?.into_iter().map(f64::from).collect();
        let is_covered_p = covered(&components.n_spectra_p, &mean.mean_p);
        let smoother = Smoother::new(&is_covered_p, settings.smooth_pixels)?;
        for component_p in basis_kp.chunks_exact_mut(n_pixels) {
            smoother.smooth(component_p);
        }
        components.basis_kp = stored(&orthonormal(basis_kp, n_pixels)?);
    }
    Ok(components)
}

fn orthonormal(mut basis_kp: Vec<f64>, n_pixels: usize) -> Result<Vec<f64>, KernelError> {
    let k = basis_kp.len() / n_pixels.max(1);
    let least = axes::orthonormalize(&mut basis_kp, n_pixels);
    match least.iter().position(|&length| length.is_nan() || length < LEAST_LENGTH) {
        Some(found) => refuse(format!(
            "the sample determines {found} components, {k} were asked for: give more spectra or ask for fewer"
        )),
        None => Ok(basis_kp),
    }
}

fn stored(values: &[f64]) -> Vec<f32> {
    values.iter().copied().map(rounded).collect()
}

/// The components on principal axes, and what they are worth.
struct Rotated {
    basis_kp: Vec<f32>,
    component_sd_k: Vec<f32>,
    explained_k: Vec<f64>,
    constraint_s: Vec<f32>,
    n_used: usize,
}

fn rotate_to_axes<B: Backend>(
    dev: &B,
    normalized: &Normalized<B>,
    components: &Components,
    settings: &Settings,
) -> Result<Rotated, KernelError> {
    let (data, k) = (normalized.weighted(), settings.components);
    let before = dev.project(&data, &dev.upload(&components.basis_kp)?, k)?;
    let coeff_sk = used_coefficients(dev, &before, settings)?;
    let basis_kp: Vec<f64> = components.basis_kp.iter().copied().map(f64::from).collect();
    let turned = axes::turn(&basis_kp, &axes::principal_axes(&coeff_sk, k), normalized.n_pixels);
    let mut turned = orthonormal(turned, normalized.n_pixels)?;
    axes::fix_signs(&mut turned, normalized.n_pixels);
    let basis_kp = stored(&turned);
    let after = dev.project(&data, &dev.upload(&basis_kp)?, k)?;
    let used_sk = used_coefficients(dev, &after, settings)?;
    let gain_sk = dev.download(&after.gain_sk)?;
    Ok(Rotated {
        basis_kp,
        component_sd_k: axes::standard_deviations(&used_sk, k),
        explained_k: explained(&gain_sk, &dev.download(&after.chi2_0_s)?, k),
        constraint_s: dev.download(&after.constraint_s)?,
        n_used: used_sk.len() / k,
    })
}

/// The coefficients of the spectra that determine them well enough [s, k].
///
/// Which those are depends on the mean squares, and these on which: repeated from medians, which the
/// badly determined ones move little, until it stands still.
fn used_coefficients<B: Backend>(
    dev: &B,
    projection: &Projection<B>,
    settings: &Settings,
) -> Result<Vec<f64>, KernelError> {
    /// It settles within three or four rounds; a cycle must end too.
    const ROUNDS: usize = 20;
    let k = settings.components;
    let wide = |values: Vec<f32>| -> Vec<f64> { values.into_iter().map(f64::from).collect() };
    let coeff_sk = wide(dev.download(&projection.coeff_sk)?);
    let variance_sk = wide(dev.download(&projection.variance_sk)?);
    let is_solved_s: Vec<bool> =
        dev.download(&projection.constraint_s)?.iter().map(|&constraint| constraint > 0.0).collect();
    let mut square_k = axes::median_squares(&coeff_sk, &is_solved_s, k);
    let mut is_used_s = Vec::new();
    for _ in 0..ROUNDS {
        let is_known = |(&is_solved, variance_k): (&bool, &[f64])| {
            let known = |(variance, square): (&f64, &f64)| *variance <= settings.max_variance * square;
            is_solved && variance_k.iter().zip(&square_k).all(known)
        };
        let now: Vec<bool> = is_solved_s.iter().zip(variance_sk.chunks_exact(k)).map(is_known).collect();
        if now == is_used_s {
            break;
        }
        is_used_s = now;
        square_k = axes::mean_squares(&coeff_sk, &is_used_s, k);
    }
    let n_used = is_used_s.iter().filter(|&&is_used| is_used).count();
    if n_used <= k {
        return refuse(format!(
            "{n_used} of {} spectra determine all {k} components: give more spectra or ask for fewer",
            is_used_s.len()
        ));
    }
    let rows = coeff_sk.chunks_exact(k).zip(&is_used_s);
    Ok(rows.filter(|&(_, &is_used)| is_used).flat_map(|(c_k, _)| c_k).copied().collect())
}

/// Σ of the gains up to each component over Σ w x².
fn explained(gain_sk: &[f32], chi2_0_s: &[f64], k: usize) -> Vec<f64> {
    let total: f64 = chi2_0_s.iter().sum();
    let mut sum = 0.0;
    (0..k)
        .map(|j| {
            sum += gain_sk.iter().skip(j).step_by(k).copied().map(f64::from).sum::<f64>();
            sum / total
        })
        .collect()
}
