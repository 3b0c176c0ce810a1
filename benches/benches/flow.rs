//! What the stages do with one unit: its operations on a device's memory, and the whole stage from files to files.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use specmill::stage::Stage;
use specmill_benches::device::Inputs;
use specmill_benches::operations::{Devices, Operation, operations};
use specmill_benches::read_all;
use specmill_benches::run_folder::{RunFolder, rows_done};
use specmill_kernels::{ArmBatch, Backend};

const WORKS: &str = "the device does every operation";

/// The stages, and the operations that they ask of the device.
const FLOWS: [(Stage, &[&str]); 3] = [
    (
        Stage::Extract,
        &[
            "combine_arms",
            "median_snr",
            "count_pixels",
            "extinction",
            "rest_frame",
            "continuum",
            "breaks",
            "indices",
            "lines",
            "window_snr",
            "ivar_scale",
            "synthetic",
        ],
    ),
    (Stage::Embed, &["normalize", "project_10"]),
    (Stage::Neighbors, &["nearest_neighbors"]),
];

fn flow(criterion: &mut Criterion) {
    specmill::memory::keep_freed_memory();
    let run = RunFolder::of_coadds(1);
    let arms = read_all(&run.coadds[0]).arms;
    let devices = Devices::open("flow");
    let expected = digests(&devices.cpu, &run);
    time(criterion, &devices.cpu, &run, &arms);
    if let Some(card) = devices.card.as_deref() {
        for stage in [Stage::Extract, Stage::FitBasis, Stage::Embed, Stage::Neighbors] {
            run.forget(stage);
        }
        assert_eq!(digests(card, &run), expected, "the card leaves the CPU's files");
        time(criterion, card, &run, &arms);
    }
}

/// Runs every stage; the digests of the files that they leave.
fn digests<B: Backend>(dev: &B, run: &RunFolder) -> Vec<(String, Option<String>)> {
    let stages = [Stage::Extract, Stage::FitBasis, Stage::Embed, Stage::Neighbors];
    let rows = stages.into_iter().flat_map(|stage| run.must_run(dev, stage));
    rows.flat_map(|row| row.outputs).map(|file| (file.path, file.sha256)).collect()
}

fn time<B: Backend>(criterion: &mut Criterion, dev: &B, run: &RunFolder, arms: &[ArmBatch; 3]) {
    let n = arms[0].flux_sp.len() / arms[0].n_pixels;
    let rows = (0..n).map(|s| (s, 0.001 * s as f64)).collect();
    let inputs = Inputs::of(dev, arms.clone(), rows).and_then(Inputs::with_tables_of_extract).expect(WORKS);
    let all = operations(&inputs);
    for (stage, names) in FLOWS {
        let chosen: Vec<&Operation<B>> =
            all.iter().filter(|operation| names.contains(&operation.name)).collect();
        assert_eq!(chosen.len(), names.len(), "every operation of {} is known", stage.name());
        let id = |rows: u64| BenchmarkId::new(format!("{}/{}", stage.name(), dev.info().device), rows);
        let mut resident = criterion.benchmark_group("flow/resident");
        resident.throughput(Throughput::Elements(n as u64));
        resident.bench_function(id(n as u64), |bencher| {
            bencher.iter(|| {
                for operation in &chosen {
                    (operation.launch)(&inputs, dev).expect(WORKS);
                }
                dev.synchronize().expect(WORKS);
            });
        });
        resident.finish();
        run.forget(stage);
        let done = rows_done(&run.must_run(dev, stage));
        let mut end_to_end = criterion.benchmark_group("flow/end-to-end");
        end_to_end.throughput(Throughput::Elements(done));
        end_to_end.bench_function(id(done), |bencher| {
            bencher.iter_batched(|| run.forget(stage), |()| run.run(dev, stage), BatchSize::PerIteration);
        });
        end_to_end.finish();
    }
}

criterion_group!(benches, flow);
criterion_main!(benches);
