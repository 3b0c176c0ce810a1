//! Properties of `fit_basis`.

use specmill_kernels::empca::{Fitted, Settings, fit_basis};
use specmill_kernels::{Backend, KernelError};

use crate::cases::{Draw, Spectra, narrow, to_bits};
use crate::reference;

/// Spectra a·(μ + Σ c E) with noise, and what they are made of.
struct Case {
    spectra: Spectra,
    /// Orthonormal up to the rounding of f64 [k, p].
    basis_kp: Vec<f64>,
    mean_p: Vec<f64>,
}

impl Case {
    /// `missing`: share of pixels without data; `noise`: of a pixel over the mean.
    fn new(seed: u64, n_spectra: usize, n_pixels: usize, (missing, noise): (f64, f64)) -> Self {
        let mut draw = Draw::new(seed);
        let wave = |periods: f64, p: usize| {
            libm::sin(core::f64::consts::TAU * periods * (p as f64 + 0.5) / n_pixels as f64)
        };
        // Sines of whole periods are orthogonal to each other and to the mean.
        let norm = (2.0 / n_pixels as f64).sqrt();
        let basis_kp: Vec<f64> =
            [1.0, 2.0, 5.0].iter().flat_map(|&n| (0..n_pixels).map(move |p| norm * wave(n, p))).collect();
        let mean_p: Vec<f64> = (0..n_pixels).map(|p| 1.0 + 0.25 * wave(3.0, p)).collect();
        let mut spectra = Spectra::random(seed, n_spectra, n_pixels);
        for s in 0..n_spectra {
            let amplitude = 1.0 + 20.0 * draw.unit();
            let c_k = [9.0, 4.0, 2.0].map(|sd| sd * (draw.unit() + draw.unit() + draw.unit() - 1.5));
            for p in 0..n_pixels {
                let model: f64 = (0..3).map(|j| c_k[j] * basis_kp[j * n_pixels + p]).sum();
                let sigma = noise * amplitude * (0.5 + draw.unit());
                // Variance 1: twelve uniform numbers.
                let deviate: f64 = (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0;
                let at = s * n_pixels + p;
                spectra.flux_sp[at] = narrow(amplitude * (mean_p[p] + model) + sigma * deviate);
                let ivar = if noise > 0.0 { 1.0 / (sigma * sigma) } else { 1.0 };
                spectra.ivar_sp[at] = if draw.chance(missing) { 0.0 } else { narrow(ivar) };
            }
        }
        Self { spectra, basis_kp, mean_p }
    }
}

fn settings(components: usize) -> Settings {
    Settings { components, tolerance: 1e-7, max_iterations: 200, ..Settings::default() }
}

fn fit<B: Backend>(dev: &B, spectra: &Spectra, settings: &Settings) -> Fitted {
    fit_basis(dev, &spectra.upload(dev), settings).expect("the sample determines the components")
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// What the bits of the instruction sets and thread counts are compared by.
pub(crate) fn bits<B: Backend>(dev: &B) -> Vec<u32> {
    let case = Case::new(31, 60, 120, (0.2, 0.1));
    let fitted = fit(dev, &case.spectra, &Settings { smooth_pixels: 7, max_iterations: 6, ..settings(3) });
    let floats = [&fitted.mean_p, &fitted.basis_kp, &fitted.component_sd_k, &fitted.amplitude_s];
    let chi2 = fitted.chi2_by_iteration.iter().chain(&fitted.explained_k);
    let halves = chi2.flat_map(|x| [x.to_bits() >> 32, x.to_bits() & 0xffff_ffff]);
    let halves = halves.map(|half| u32::try_from(half).expect("32 bits"));
    floats.into_iter().flat_map(|values| to_bits(values)).chain(halves).collect()
}

pub(crate) fn equals_the_cpu_to_the_bit<B: Backend>(dev: &B) {
    assert_eq!(bits(dev), bits(&crate::devices::judge()));
}

pub(crate) fn known_subspace_is_found_through_gaps_and_noise<B: Backend>(dev: &B) {
    let (n_spectra, n_pixels) = (600, 200);
    let case = Case::new(1, n_spectra, n_pixels, (0.3, 0.05));
    // Two more than there are: amplitude and mean are fitted first, without components, so a little of the
    // mean and of the error that the gaps leave in it stays in every spectrum.
    let fitted = fit(dev, &case.spectra, &settings(5));
    assert!(fitted.converged && fitted.mean_converged, "{:?}", fitted.chi2_by_iteration);
    let sine = reference::empca::largest_sine(&case.basis_kp, &wide(&fitted.basis_kp), n_pixels);
    // A component of sd 1 (the weakest) is measured by about 420 spectra per pixel with an error of about
    // 0.05/√420 each: over 200 pixels its direction is uncertain by √200·0.05/√420 / 1 = 0.035.
    assert!(sine < 0.05, "largest principal angle: {sine}");
    for (ours, truth) in fitted.mean_p.iter().zip(&case.mean_p) {
        // The components that the mean fit does not know of are its noise: 4.5·0.1/√600 of 1.
        assert!((f64::from(*ours) - truth).abs() < 0.06, "{ours} for {truth}");
    }
    // The noise is stated rightly, so χ² per degree of freedom is 1: ±0.005 for 79 000 of them, and a little
    // more for what the two further components do not take of the mean's error.
    let n_good = case.spectra.ivar_sp.iter().filter(|&&w| w > 0.0).count();
    let freedom = n_good as f64 - 6.0 * n_spectra as f64 - 6.0 * n_pixels as f64;
    let chi2 = fitted.chi2_by_iteration.last().expect("at least one iteration") / freedom;
    assert!((chi2 - 1.0).abs() < 0.03, "reduced χ² {chi2}");
}

/// The spectra of golden/make_empca.py: exact in binary floating point up to the last f32 rounding.
fn golden_spectra() -> Spectra {
    let (n_spectra, n_pixels) = (60_usize, 80_usize);
    let mut draw = Draw::new(7);
    let mut spectra = Spectra::random(7, n_spectra, n_pixels);
    for s in 0..n_spectra {
        let amplitude = 1.0 + 4.0 * draw.unit();
        let [c0, c1] = [draw.unit() - 0.5, draw.unit() - 0.5];
        for p in 0..n_pixels {
            let x = p as f64 / 64.0;
            let step = if p >= 40 { 0.5 } else { -0.5 };
            let model = 1.0 + x + c0 * step + c1 * (x * x - x);
            let noise = 0.0625 * (draw.unit() + draw.unit() + draw.unit() - 1.5);
            let missing = draw.unit() < 0.3 || (70..72).contains(&p);
            let at = s * n_pixels + p;
            spectra.flux_sp[at] = narrow(amplitude * (model + noise));
            spectra.ivar_sp[at] = if missing { 0.0 } else { narrow(1024.0 / (amplitude * amplitude)) };
        }
    }
    spectra
}

pub(crate) fn matches_the_golden_fit<B: Backend>(dev: &B) {
    // name, then numbers, by the f64 statement of benches/peers/empca.py: written by golden/make_empca.py.
    let golden = include_str!("../golden/empca.csv");
    let numbers = |name: &str| -> Vec<f64> {
        let line = golden.lines().find(|line| line.split(',').next() == Some(name)).expect("a named line");
        line.split(',').skip(1).map(|x| x.parse().expect("a number")).collect()
    };
    let same = Settings { tolerance: 0.0, mean_iterations: 4, max_iterations: 6, ..settings(2) };
    for (label, smooth_pixels) in [("plain", 0), ("smooth", 7)] {
        let fitted = fit(dev, &golden_spectra(), &Settings { smooth_pixels, ..same.clone() });
        // f32 sums with relative errors of a few 1e-7 in equations of condition up to 10, fed back through
        // six iterations; elements are about 0.1 (components) and 1 (mean).
        let near = |what: &str, ours: &[f64], bound: f64| {
            let truth = numbers(&format!("{label}_{what}"));
            assert_eq!(ours.len(), truth.len(), "{label} {what}");
            for (i, (ours, truth)) in ours.iter().zip(&truth).enumerate() {
                let error = (ours - truth).abs();
                assert!(error <= bound * truth.abs().max(1.0), "{label} {what} {i}: {ours} for {truth}");
            }
        };
        near("mean", &wide(&fitted.mean_p), 5e-6);
        near("basis", &wide(&fitted.basis_kp), 5e-6);
        near("sd", &wide(&fitted.component_sd_k), 5e-6);
        near("explained", &fitted.explained_k, 5e-6);
        near("mean_chi2", &fitted.mean_chi2_by_iteration, 5e-6);
        near("chi2", &fitted.chi2_by_iteration, 5e-6);
        assert_eq!(fitted.n_spectra_p[70..72], [0, 0], "the gap is not covered");
    }
}

pub(crate) fn chi2_never_rises_without_smoothing<B: Backend>(dev: &B) {
    let case = Case::new(2, 150, 90, (0.2, 0.2));
    let fitted = fit(dev, &case.spectra, &settings(4));
    for pair in fitted.chi2_by_iteration.windows(2).chain(fitted.mean_chi2_by_iteration.windows(2)) {
        // Each half of an iteration minimises χ²; the sums round by a few 1e-7.
        assert!(pair[1] <= pair[0] * (1.0 + 1e-6), "{pair:?}");
    }
    assert!(fitted.chi2_by_iteration[0] > 1.5 * fitted.chi2_by_iteration.last().expect("iterations"));
}

pub(crate) fn smoothing_keeps_the_subspace_and_its_coverage<B: Backend>(dev: &B) {
    let n_pixels = 200;
    let mut case = Case::new(3, 300, n_pixels, (0.2, 0.05));
    for w in case.spectra.ivar_sp.chunks_exact_mut(n_pixels) {
        w[120..126].fill(0.0);
        w[..4].fill(0.0);
    }
    let plain = fit(dev, &case.spectra, &settings(3));
    let smooth = fit(dev, &case.spectra, &Settings { smooth_pixels: 15, ..settings(3) });
    for fitted in [&plain, &smooth] {
        for p in (120..126).chain(0..4) {
            assert_eq!(fitted.n_spectra_p[p], 0);
            assert!((0..3).all(|j| fitted.basis_kp[j * n_pixels + p] == 0.0) && fitted.mean_p[p] == 0.0);
        }
    }
    let is_inside = |x: &[f64]| x.iter().all(|&e| e != 0.0);
    let roughness = |fitted: &Fitted| -> f64 {
        let basis_kp = wide(&fitted.basis_kp);
        let triples = basis_kp.chunks_exact(n_pixels).flat_map(|row| row.windows(3));
        triples.filter(|x| is_inside(x)).map(|x| (x[0] - 2.0 * x[1] + x[2]).powi(2)).sum()
    };
    assert!(roughness(&smooth) < 0.7 * roughness(&plain), "the noise between pixels is less");
    let sine = reference::empca::largest_sine(&wide(&plain.basis_kp), &wide(&smooth.basis_kp), n_pixels);
    // Their noise differs: √2 of what `known_subspace_is_found_through_gaps_and_noise` allows at 300 spectra.
    assert!(sine < 0.1, "largest principal angle: {sine}");
}

pub(crate) fn components_are_orthonormal_ordered_and_positive<B: Backend>(dev: &B) {
    let case = Case::new(4, 200, 110, (0.1, 0.1));
    let fitted = fit(dev, &case.spectra, &settings(5));
    let basis_kp = wide(&fitted.basis_kp);
    for (i, a) in basis_kp.chunks_exact(110).enumerate() {
        for (j, b) in basis_kp.chunks_exact(110).enumerate() {
            let product: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
            // Rows rounded to f32.
            assert!((product - if i == j { 1.0 } else { 0.0 }).abs() < 1e-6, "{i} {j}: {product}");
        }
        let largest = a.iter().fold(0.0_f64, |most, &e| if e.abs() > most.abs() { e } else { most });
        assert!(largest > 0.0, "component {i}");
    }
    assert!(fitted.component_sd_k.windows(2).all(|pair| pair[0] >= pair[1]), "{:?}", fitted.component_sd_k);
    assert!(fitted.explained_k.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", fitted.explained_k);
    assert!(fitted.explained_k[2] > 0.9 && fitted.explained_k[4] <= 1.0, "{:?}", fitted.explained_k);
    // Every pixel's mean counts once.
    let level = wide(&fitted.mean_p).iter().sum::<f64>() / 110.0;
    assert!((level - 1.0).abs() < 1e-6, "the mean of the mean is {level}");
    assert_eq!(fitted.n_used, 200);
}

pub(crate) fn spectra_without_flux_are_left_out<B: Backend>(dev: &B) {
    let n_pixels = 70;
    let mut case = Case::new(5, 90, n_pixels, (0.1, 0.1));
    let clean = case.spectra.rows(&(2..90).collect::<Vec<_>>());
    case.spectra.flux_sp[..n_pixels].iter_mut().for_each(|f| *f = -*f);
    case.spectra.ivar_sp[n_pixels..2 * n_pixels].fill(0.0);
    let fitted = fit(dev, &case.spectra, &settings(3));
    assert!(fitted.amplitude_s[0] < 0.0 && fitted.amplitude_s[1] == 0.0);
    assert_eq!(fitted.constraint_s[..2], [0.0, 0.0]);
    assert_eq!(fitted.n_used, 88);
    let alone = fit(dev, &clean, &settings(3));
    // Where the rows stand in their chunks changes the last bits alone.
    let sine = reference::empca::largest_sine(&wide(&alone.basis_kp), &wide(&fitted.basis_kp), n_pixels);
    assert!(sine < 1e-3, "{sine}");
}

pub(crate) fn more_components_than_the_sample_determines_are_refused<B: Backend>(dev: &B) {
    let refused = |spectra: &Spectra, components| {
        let ours = fit_basis(dev, &spectra.upload(dev), &settings(components));
        ours.expect_err("refused").to_string()
    };
    // Three components and nothing else.
    let exact = Case::new(6, 40, 60, (0.0, 0.0));
    let message = refused(&exact.spectra, 6);
    assert!(message.contains("ask for fewer"), "{message}");
    assert!(refused(&exact.spectra.rows(&[0, 1, 2]), 3).contains("3 spectra cannot determine 3 components"));
    let mut dark = exact.spectra;
    dark.ivar_sp.fill(0.0);
    assert!(refused(&dark, 2).contains("no spectra with flux"));
}

pub(crate) fn senseless_settings_are_refused<B: Backend>(dev: &B) {
    let spectra = Case::new(7, 20, 40, (0.1, 0.1)).spectra;
    let good = settings(2);
    for bad in [
        Settings { components: 0, ..good.clone() },
        Settings { components: 65, ..good.clone() },
        Settings { smooth_pixels: 6, ..good.clone() },
        Settings { max_iterations: 0, ..good.clone() },
        Settings { mean_iterations: 0, ..good.clone() },
        Settings { tolerance: f64::NAN, ..good.clone() },
        Settings { max_variance: -1.0, ..good.clone() },
    ] {
        let ours = fit_basis(dev, &spectra.upload(dev), &bad);
        assert!(matches!(ours, Err(KernelError::Domain { .. })), "{bad:?}");
    }
}
