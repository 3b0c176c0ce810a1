//! Each operation on one simulated coadd, one thread, resident in memory.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use specmill_benches::{read_all, release};
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::ops::extinction::ExtinctionCurve;
use specmill_kernels::ops::median_snr::SnrRanges;
use specmill_kernels::ops::rest_frame::RestGrid;
use specmill_kernels::{ArmSpectra, Backend, Cpu, Grid};

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
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
