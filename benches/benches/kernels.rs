//! Each operation on one simulated coadd, one thread, resident in memory.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use specmill_benches::{read_all, release};
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::ops::extinction::ExtinctionCurve;
use specmill_kernels::ops::median_snr::SnrRanges;
use specmill_kernels::ops::rest_frame::RestGrid;
use specmill_kernels::{ArmSpectra, Backend, Cpu, Grid, SpectraBatch};

fn kernels(criterion: &mut Criterion) {
    // As the program does: pages of freshly mapped memory would be what is timed.
    specmill::memory::keep_freed_memory();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let batch = read_all(&release(folder.path(), 1)[0]);
    let n = batch.rows.len();
    let dev = Cpu::new(1).expect("one thread can be started");
    let grid = Grid::DESI;
    let arms = ArmSpectra::upload(&dev, &batch.arms, &vec![0; n]).expect("shapes agree");
    let mut observed = dev.combine_arms(&arms, &grid, MaskRule::Masked).expect("arms lie on the grid");
    let ivar = dev.download(&observed.ivar_sp).expect("memory can be copied");
    assert!(ivar.iter().filter(|ivar| **ivar > 0.0).count() > ivar.len() / 2, "most pixels are good");

    let mut group = criterion.benchmark_group("kernels/cpu");
    group.throughput(Throughput::Elements(n as u64));
    group.bench_function(format!("combine_arms/{n}x7781"), |bencher| {
        bencher.iter(|| dev.combine_arms(&arms, &grid, MaskRule::Masked));
    });
    let ranges = SnrRanges::default();
    group.bench_function(format!("median_snr/{n}x3"), |bencher| {
        bencher.iter(|| dev.median_snr_arms(&arms, &grid, &ranges));
    });
    let curve = ExtinctionCurve::fitzpatrick99(&grid);
    let ebv_s = vec![1e-6_f32; n];
    group.bench_function(format!("extinction/{n}x7781"), |bencher| {
        bencher.iter(|| dev.correct_extinction(&mut observed, &curve, &ebv_s));
    });
    let rows: Vec<(usize, f64)> = (0..n).map(|s| (s, 0.001 * s as f64)).collect();
    let rest = RestGrid::log10(2400.0, 9800.0, RestGrid::DLOG10).expect("the grid is sound");
    group.bench_function(format!("rest_frame/{n}x{}", rest.n_bins()), |bencher| {
        bencher.iter(|| dev.to_rest_frame(&observed, &grid, &rows, &rest));
    });
    group.bench_function(format!("continuum/{n}x7781"), |bencher| {
        bencher.iter(|| dev.running_median(&observed, &grid, &rows, 100.0));
    });
    let at_rest = dev.to_rest_frame(&observed, &grid, &rows, &rest).expect("the rows exist");
    embedding(&mut group, &dev, &at_rest);
    group.finish();
}

/// The operations of the embedding, on rest-frame spectra.
fn embedding(group: &mut BenchmarkGroup<'_, WallTime>, dev: &Cpu, spectra: &SpectraBatch<Cpu>) {
    let (n, p) = (spectra.n_spectra, spectra.n_pixels);
    let mean_p = vec![1.0; p];
    let normalized = dev.normalize(spectra, &mean_p).expect("shapes agree");
    group.bench_function(format!("normalize/{n}x{p}"), |bencher| {
        bencher.iter(|| dev.normalize(spectra, &mean_p));
    });
    for k in [10, 64] {
        // Cosines of different frequencies: nearly orthonormal.
        let basis_kp: Vec<f32> = (0..k * p)
            .map(|i| (2.0 / p as f32).sqrt() * ((i / p + 1) as f32 * (i % p) as f32 * 3.0 / p as f32).cos())
            .collect();
        let data = normalized.weighted();
        let projection = dev.project(&data, &basis_kp, k).expect("shapes agree");
        assert!(projection.constraint_s.iter().any(|&c| c > 0.0), "some spectra determine all components");
        group.bench_function(format!("project/{n}x{p}x{k}"), |bencher| {
            bencher.iter(|| dev.project(&data, &basis_kp, k));
        });
        group.bench_function(format!("update_basis/{n}x{p}x{k}"), |bencher| {
            bencher.iter(|| dev.update_basis(&data, &projection.coeff_sk, k));
        });
    }
    // As many vectors of 64 numbers as the spectra give; each is asked for its 16 nearest.
    let vectors_nd = normalized.residual_sp[..20_000 * 64].to_vec();
    group.throughput(Throughput::Elements(1000));
    group.bench_function("nearest_neighbors/1000x20000x64", |bencher| {
        bencher.iter(|| dev.nearest_neighbors(&vectors_nd, 64, 0..1000, 16));
    });
}

criterion_group!(benches, kernels);
criterion_main!(benches);
