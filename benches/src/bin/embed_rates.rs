//! Our fit, projection and neighbours on raw little-endian arrays, one thread, for the peers' scripts beside them.
//!
//! - `embed_rates fit FOLDER N_PIXELS COMPONENTS SMOOTH_PIXELS [ITERATIONS]`: `flux.f32`, `ivar.f32` [s, p] →
//!   `mean.f32`, `basis.f32`, `coeff.f32`, `fit.json`; with ITERATIONS, so many of the components whatever χ² says
//! - `embed_rates neighbors FOLDER DIMENSIONS K QUERIES`: `vectors.f32` [n, d] → `index.u32`, `dist2.f32` [q, k]
//! - `embed_rates project N_SPECTRA`: spectra per second with 10 and with 64 components

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use specmill_benches::device::spread;
use specmill_kernels::empca::{Fitted, Settings, fit_basis};
use specmill_kernels::{Backend, Cpu, SpectraBatch, Weighted};

/// Passes, of which the best counts, as in the peers' scripts.
const REPEATS: usize = 4;

/// Pixels of the projection whose rate is taken.
const N_PIXELS: usize = 5000;

const USAGE: &str = "usage: embed_rates fit FOLDER N_PIXELS COMPONENTS SMOOTH_PIXELS [ITERATIONS] \
                     | neighbors FOLDER DIMENSIONS K QUERIES | project N_SPECTRA";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let dev = Cpu::new(1)?;
    let report = match arguments[..] {
        ["fit", folder, n_pixels, components, smooth_pixels, ref iterations @ ..] => {
            let mut settings = Settings {
                components: components.parse()?,
                smooth_pixels: smooth_pixels.parse()?,
                ..Settings::default()
            };
            if let [iterations] = iterations {
                settings = Settings { max_iterations: iterations.parse()?, tolerance: 0.0, ..settings };
            }
            fit(&dev, Path::new(folder), n_pixels.parse()?, &settings)?
        }
        ["neighbors", folder, d, k, queries] => {
            neighbors(&dev, Path::new(folder), d.parse()?, k.parse()?, queries.parse()?)?
        }
        ["project", n_spectra] => project(&dev, n_spectra.parse()?)?,
        _ => return Err(USAGE.into()),
    };
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

fn fit(dev: &Cpu, folder: &Path, n_pixels: usize, settings: &Settings) -> Result<String, Box<dyn Error>> {
    let (flux_sp, ivar_sp) = (read_f32(&folder.join("flux.f32"))?, read_f32(&folder.join("ivar.f32"))?);
    let sample: SpectraBatch<Cpu> =
        SpectraBatch { n_spectra: flux_sp.len() / n_pixels, n_pixels, flux_sp, ivar_sp, mask_sp: Vec::new() };
    let start = Instant::now();
    let fitted = fit_basis(dev, &sample, settings)?;
    let seconds = start.elapsed().as_secs_f64();
    let normalized = dev.normalize(&sample, &fitted.mean_p)?;
    let projection = dev.project(&normalized.weighted(), &fitted.basis_kp, settings.components)?;
    write_f32(&folder.join("mean.f32"), &fitted.mean_p)?;
    write_f32(&folder.join("basis.f32"), &fitted.basis_kp)?;
    write_f32(&folder.join("coeff.f32"), &projection.coeff_sk)?;
    let report = fit_report(&fitted, n_pixels, settings, seconds)?;
    fs_err::write(folder.join("fit.json"), &report)?;
    Ok(report)
}

fn fit_report(
    fitted: &Fitted,
    n_pixels: usize,
    settings: &Settings,
    seconds: f64,
) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    write!(
        text,
        "{{\"n_pixels\": {n_pixels}, \"seconds\": {seconds:.4}, \"converged\": {}, \"n_used\": {}, \
         \"chi2\": {:?}, \"mean_chi2\": {:?}, \"explained\": {:?}, \"settings\": {{\"seed\": {}, \
         \"smooth_pixels\": {}, \"tolerance\": {:?}, \"max_iterations\": {}, \"mean_iterations\": {}}}}}",
        fitted.converged,
        fitted.n_used,
        fitted.chi2_by_iteration,
        fitted.mean_chi2_by_iteration,
        fitted.explained_k,
        settings.seed,
        settings.smooth_pixels,
        settings.tolerance,
        settings.max_iterations,
        settings.mean_iterations,
    )?;
    Ok(text)
}

fn neighbors(
    dev: &Cpu,
    folder: &Path,
    d: usize,
    k: usize,
    n_queries: usize,
) -> Result<String, Box<dyn Error>> {
    let vectors_nd = read_f32(&folder.join("vectors.f32"))?;
    let n_queries = n_queries.min(vectors_nd.len() / d);
    let (seconds, found) = best_of(|| dev.nearest_neighbors(&vectors_nd, d, 0..n_queries, k))?;
    let index: Vec<u8> = found.index_qk.iter().flat_map(|row| row.to_le_bytes()).collect();
    fs_err::write(folder.join("index.u32"), index)?;
    write_f32(&folder.join("dist2.f32"), &found.dist2_qk)?;
    Ok(format!("{{\"queries_per_s\": {:.0}}}", n_queries as f64 / seconds))
}

fn project(dev: &Cpu, n_spectra: usize) -> Result<String, Box<dyn Error>> {
    let values_sp = spread(1, n_spectra * N_PIXELS, 1.0, -0.5);
    // One weight in ten is 0.
    let weight_sp: Vec<f32> = spread(2, n_spectra * N_PIXELS, 1.0, -0.1).iter().map(|w| w.max(0.0)).collect();
    let data: Weighted<'_, Cpu> =
        Weighted { n_spectra, n_pixels: N_PIXELS, values_sp: &values_sp, weight_sp: &weight_sp };
    let mut rates = Vec::new();
    for k in [10, 64] {
        let basis_kp = spread(3, k * N_PIXELS, 0.05, -0.025);
        let (seconds, projection) = best_of(|| dev.project(&data, &basis_kp, k))?;
        assert!(projection.constraint_s.iter().all(|&c| c > 0.0), "every system is determined");
        let (update_seconds, _) = best_of(|| dev.update_basis(&data, &projection.coeff_sk, k))?;
        rates.push(format!(
            "{{\"components\": {k}, \"project_per_s\": {:.0}, \"update_per_s\": {:.0}}}",
            n_spectra as f64 / seconds,
            n_spectra as f64 / update_seconds
        ));
    }
    Ok(rates.join("\n"))
}

/// The shortest of some passes in seconds, and what the last one gave.
fn best_of<T, E>(pass: impl Fn() -> Result<T, E>) -> Result<(f64, T), E> {
    let mut best = f64::INFINITY;
    let mut result = None;
    for _ in 0..REPEATS {
        let start = Instant::now();
        result = Some(pass()?);
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok((best, result.expect("there is at least one pass")))
}

fn read_f32(path: &Path) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = fs_err::read(path)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("{}: {} bytes are no array of f32", path.display(), bytes.len()).into());
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

fn write_f32(path: &Path, values: &[f32]) -> Result<(), std::io::Error> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs_err::write(path, bytes)
}
