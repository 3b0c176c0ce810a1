//! Parquet: features and spectra as `extract` writes them, spectra as `embed` reads them, a catalogue's table whole.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use specmill::fits::bintable::{TableOptions, TableReader};
use specmill::fits::{OpenOptions, Source};
use specmill::ledger::FileRecord;
use specmill::stage::Stage;
use specmill::table_file::{TableFile, convert_table, read_spectra};
use specmill_benches::run_folder::{RunFolder, output};
use specmill_benches::{TARGETS_PER_UNIT, ZCATALOG_HDU, zcatalog};
use specmill_kernels::Cpu;
use specmill_schemas::{Table, features, spectra};

const WORKS: &str = "the benchmark's own files can be read and written";
/// Rows at a time, as `extract` measures and `embed` reads them.
const BATCH_ROWS: usize = 64;
const EMBED_ROWS: usize = 256;

fn lake(criterion: &mut Criterion) {
    specmill::memory::keep_freed_memory();
    let run = RunFolder::of_coadds(1);
    let rows = run.must_run(&Cpu::new(1).expect("one thread can be started"), Stage::Extract);
    let table = features::table();
    let name = format!("write_features/cpu/{TARGETS_PER_UNIT}x{}", table.fields.len());
    write(criterion, &run, &name, &table, output(&rows, "features"));
    let galaxies = output(&rows, "spectra/galaxy");
    let metadata = metadata(&run.path().join(&galaxies.path));
    let n_bins = metadata.schema().field_with_name("flux").expect("spectra have a flux").data_type();
    let arrow::datatypes::DataType::FixedSizeList(_, n_bins) = n_bins else { panic!("a flux is a list") };
    let name = format!("write_spectra/cpu/{}x{n_bins}", metadata.metadata().file_metadata().num_rows());
    write(criterion, &run, &name, &spectra::table(*n_bins), galaxies);
    read(criterion, &run.path().join(&galaxies.path), usize::try_from(*n_bins).expect("it is a length"));
    convert(criterion, run.path());
}

fn metadata(path: &Path) -> ArrowReaderMetadata {
    let file = fs_err::File::open(path).expect(WORKS);
    ArrowReaderMetadata::load(file.file(), Default::default()).expect(WORKS)
}

/// Writes a file that `extract` left once more, in the same batches: it must come out the same to the byte.
fn write(criterion: &mut Criterion, run: &RunFolder, name: &str, table: &Table, left: &FileRecord) {
    let path = run.path().join(&left.path);
    let found = metadata(&path);
    let footer = found.metadata().file_metadata().key_value_metadata().into_iter().flatten();
    let footer = footer
        .filter(|pair| pair.key != "ARROW:schema")
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect();
    let rows_per_group = usize::try_from(found.metadata().row_group(0).num_rows()).expect("a group has rows");
    let file = fs_err::File::open(&path).expect(WORKS).into_parts().0;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, found)
        .with_batch_size(BATCH_ROWS)
        .build()
        .expect(WORKS);
    let schema = Arc::new(table.arrow_schema());
    let batches: Vec<RecordBatch> = reader
        .map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.expect(WORKS).columns().to_vec()))
        .collect::<Result<_, _>>()
        .expect("the file has the table's columns");
    let again = TableFile { table, rows_per_group, footer };
    let write = || again.write(run.path(), &path, batches.iter().cloned()).expect(WORKS);
    assert_eq!(&write(), left, "{name}: the bytes are those that extract wrote");
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();

    let mut group = criterion.benchmark_group("lake");
    group.throughput(Throughput::Elements(rows as u64));
    group.bench_function(name, |bencher| bencher.iter(write));
    group.finish();
}

fn read(criterion: &mut Criterion, path: &Path, n_bins: usize) {
    let (mut rows, mut good) = (0, 0);
    read_spectra(path, EMBED_ROWS, |flux_sp, ivar_sp| {
        let is_sound =
            |(flux, ivar): (&f32, &f32)| flux.is_finite() && *ivar >= 0.0 && (*ivar > 0.0 || *flux == 0.0);
        assert!(flux_sp.iter().zip(ivar_sp).all(is_sound), "a missing pixel is 0");
        rows += flux_sp.len() / n_bins;
        good += ivar_sp.iter().filter(|ivar| **ivar > 0.0).count();
    })
    .expect(WORKS);
    assert!(good > rows * n_bins / 4, "{good} pixels of {rows} spectra are good");

    let mut group = criterion.benchmark_group("lake");
    group.throughput(Throughput::Elements(rows as u64));
    group.bench_function(format!("read_spectra/cpu/{rows}x{n_bins}"), |bencher| {
        bencher.iter(|| {
            read_spectra(path, EMBED_ROWS, |flux_sp, ivar_sp| {
                std::hint::black_box((flux_sp, ivar_sp));
            })
            .expect(WORKS);
        });
    });
    group.finish();
}

fn convert(criterion: &mut Criterion, folder: &Path) {
    let path = zcatalog(&folder.join("catalog"));
    let source = Source::open(&path, &OpenOptions::default()).expect(WORKS);
    let hdu = source.find(ZCATALOG_HDU).expect("the simulated catalogue has its table");
    let reader = TableReader::new(&source, hdu, &TableOptions::default()).expect(WORKS);
    let out = folder.join("zcatalog.parquet");
    convert_table(&reader, hdu, &out).expect(WORKS);
    let file = fs_err::File::open(&out).expect(WORKS).into_parts().0;
    let mut written = ParquetRecordBatchReaderBuilder::try_new(file).expect(WORKS).build().expect(WORKS);
    let first = written.next().expect("the table has rows").expect(WORKS);
    let head = reader.head(first.num_rows() as u64).expect(WORKS);
    assert!(
        head.iter().zip(first.columns()).all(|(ours, column)| *ours.array == **column),
        "values pass unchanged"
    );
    let rows: usize = written.map(|batch| batch.expect(WORKS).num_rows()).sum::<usize>() + first.num_rows();
    assert_eq!(rows as u64, reader.rows(), "every row is there");

    let mut group = criterion.benchmark_group("lake");
    group.throughput(Throughput::Elements(reader.rows()));
    // On every core, as `catalog convert` does it.
    group.bench_function(format!("convert_table/all-cores/{rows}x{}", reader.columns().len()), |bencher| {
        bencher.iter(|| convert_table(&reader, hdu, &out).expect(WORKS));
    });
    group.finish();
}

criterion_group!(benches, lake);
criterion_main!(benches);
