//! Reading FLUX, IVAR and MASK of whole coadds, page cache warm, RESOLUTION never touched.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use specmill::fits::{CoaddBatch, CoaddFile};
use specmill_benches::{TARGETS_PER_UNIT, release};

fn io(criterion: &mut Criterion) {
    // As the program does: pages of freshly mapped memory would be what is timed.
    specmill::memory::keep_freed_memory();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = &release(folder.path(), 1)[0];
    let mut coadd = CoaddFile::open(path).expect("the benchmark's own file opens");
    let mut batch = CoaddBatch::default();
    coadd.read_rows(0..coadd.n_rows(), &mut batch).expect("the benchmark's own file reads");
    assert!(batch.arms.iter().all(|arm| arm.ivar_sp.iter().any(|ivar| *ivar > 0.0)), "every arm has data");

    let mut group = criterion.benchmark_group("io");
    group.throughput(Throughput::Elements(TARGETS_PER_UNIT as u64));
    group.bench_function("read_coadd/open+64-row batches", |bencher| {
        bencher.iter(|| {
            let mut coadd = CoaddFile::open(path).expect("the benchmark's own file opens");
            for first in (0..coadd.n_rows()).step_by(64) {
                let rows = first..coadd.n_rows().min(first + 64);
                coadd.read_rows(rows, &mut batch).expect("the benchmark's own file reads");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, io);
criterion_main!(benches);
