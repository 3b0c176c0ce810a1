//! Reading FITS, page cache warm: FLUX, IVAR and MASK of a whole coadd, RESOLUTION never touched; and a catalogue's
//! table.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use specmill::fits::bintable::{Block, TableOptions, TableReader};
use specmill::fits::{CoaddBatch, CoaddFile, OpenOptions, Source};
use specmill_benches::{ZCATALOG_HDU, release, zcatalog};
use specmill_kernels::ArmBatch;

const READS: &str = "the benchmark's own file reads";

fn io(criterion: &mut Criterion) {
    // As the program does: pages of freshly mapped memory would be what is timed.
    specmill::memory::keep_freed_memory();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    read_coadd(criterion, folder.path());
    decode_table(criterion, folder.path());
}

fn read_coadd(criterion: &mut Criterion, folder: &Path) {
    let path = &release(folder, 1)[0];
    let mut coadd = CoaddFile::open(path).expect(READS);
    let n_rows = coadd.n_rows();
    let mut batch = CoaddBatch::default();
    coadd.read_rows(0..n_rows, &mut batch).expect(READS);
    assert!(batch.arms.iter().all(|arm| arm.ivar_sp.iter().any(|ivar| *ivar > 0.0)), "every arm has data");
    let whole = batch.arms.clone();
    coadd.read_rows(n_rows - 1..n_rows, &mut batch).expect(READS);
    let is_tail = |(arm, all): (&ArmBatch, &ArmBatch)| {
        all.flux_sp.ends_with(&arm.flux_sp) && all.mask_sp.ends_with(&arm.mask_sp)
    };
    assert!(batch.arms.iter().zip(&whole).all(is_tail), "a row read alone is the row read with all");

    let mut group = criterion.benchmark_group("io");
    group.throughput(Throughput::Elements(n_rows as u64));
    group.bench_function(format!("read_coadd/cpu/{n_rows}x7958"), |bencher| {
        bencher.iter(|| {
            let mut coadd = CoaddFile::open(path).expect(READS);
            for first in (0..n_rows).step_by(64) {
                coadd.read_rows(first..n_rows.min(first + 64), &mut batch).expect(READS);
            }
        });
    });
    group.finish();
}

fn decode_table(criterion: &mut Criterion, folder: &Path) {
    let path = zcatalog(&folder.join("catalog"));
    let source = Source::open(&path, &OpenOptions::default()).expect(READS);
    let hdu = source.find(ZCATALOG_HDU).expect("the simulated catalogue has its table");
    let reader = TableReader::new(&source, hdu, &TableOptions::default()).expect(READS);
    let targetid = reader.columns().iter().position(|column| column.field().name() == "TARGETID");
    let targetid = targetid.expect("a catalogue names its targets");
    let mut rows = 0;
    decode(&reader, |block| {
        let all = reader.decode(block, 0..reader.columns().len()).expect(READS);
        let alone = reader.decode(block, targetid..targetid + 1).expect(READS);
        assert_eq!(*alone[0].array, *all[targetid].array, "a column alone is the column among all");
        let ids = alone[0].array.as_primitive::<Int64Type>();
        assert!(ids.null_count() == 0 && ids.values().iter().any(|id| *id > 1 << 32), "targets have numbers");
        rows += ids.len() as u64;
    });
    assert_eq!(rows, reader.rows(), "every row is decoded");

    let mut group = criterion.benchmark_group("io");
    group.throughput(Throughput::Elements(rows));
    group.bench_function(format!("decode_table/cpu/{rows}x{}", reader.columns().len()), |bencher| {
        bencher.iter(|| {
            decode(&reader, |block| {
                std::hint::black_box(reader.decode(block, 0..reader.columns().len()).expect(READS));
            });
        });
    });
    group.finish();
}

/// Reads block after block of a table's rows.
fn decode(reader: &TableReader<'_>, mut each: impl FnMut(&Block)) {
    let mut blocks = reader.blocks();
    let mut block = Block::default();
    while let Some(next) = blocks.next(block).expect(READS) {
        each(&next);
        block = next;
    }
}

criterion_group!(benches, io);
criterion_main!(benches);
