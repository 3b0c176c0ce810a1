//! Every operation on one simulated coadd, one thread: resident on the device, and from the host and back.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use specmill_benches::device::{Downloaded, Inputs};
use specmill_benches::judges::judge;
use specmill_benches::operations::{Devices, OnHost, operations};
use specmill_benches::{read_all, release};
use specmill_kernels::{ArmBatch, Backend, Cpu, KernelError};

const WORKS: &str = "the device does every operation";

fn kernels(criterion: &mut Criterion) {
    // As the program does: pages of freshly mapped memory would be what is timed.
    specmill::memory::keep_freed_memory();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let arms = read_all(&release(folder.path(), 1)[0]).arms;
    let devices = Devices::open("kernels");
    let mut on_cpu = inputs(&devices.cpu, &arms).expect(WORKS);
    let host = OnHost::of(&on_cpu, &devices.cpu).expect(WORKS);
    let expected = all(&devices.cpu, &mut on_cpu, &host).expect(WORKS);
    for (operation, outputs) in operations::<Cpu>(&on_cpu).iter().zip(&expected) {
        judge(operation.name, &on_cpu, &host, outputs);
    }
    time(criterion, &devices.cpu, &mut on_cpu, &host);
    drop(on_cpu);
    if let Some(card) = devices.card.as_deref() {
        let mut on_card = inputs(card, &arms).expect(WORKS);
        let found = all(card, &mut on_card, &host).expect(WORKS);
        assert!(found == expected, "the card gives the CPU's numbers");
        time(criterion, card, &mut on_card, &host);
    }
}

/// The coadd's arms, and what else operations take; a thousandth of redshift lies between its rows.
fn inputs<B: Backend>(dev: &B, arms: &[ArmBatch; 3]) -> Result<Inputs<B>, KernelError> {
    let n_spectra = arms[0].flux_sp.len() / arms[0].n_pixels;
    let rows = (0..n_spectra).map(|s| (s, 0.001 * s as f64)).collect();
    Inputs::of(dev, arms.clone(), rows)?.with_tables_of_extract()
}

/// What every operation gives.
fn all<B: Backend>(
    dev: &B,
    inputs: &mut Inputs<B>,
    host: &OnHost,
) -> Result<Vec<Vec<Downloaded>>, KernelError> {
    operations(inputs).iter().map(|operation| operation.end_to_end(inputs, host, dev)).collect()
}

fn time<B: Backend>(criterion: &mut Criterion, dev: &B, inputs: &mut Inputs<B>, host: &OnHost) {
    let (n, device) = (inputs.n_spectra, dev.info().device);
    for operation in operations(inputs) {
        let id = || BenchmarkId::new(format!("{}/{device}", operation.name), operation.shape(n));
        let mut resident = criterion.benchmark_group("kernels/resident");
        resident.throughput(Throughput::Elements(n as u64));
        resident
            .bench_function(id(), |bencher| bencher.iter(|| operation.resident(inputs, dev).expect(WORKS)));
        resident.finish();
        let mut end_to_end = criterion.benchmark_group("kernels/end-to-end");
        end_to_end.throughput(Throughput::Elements(n as u64));
        end_to_end.bench_function(id(), |bencher| {
            bencher.iter(|| operation.end_to_end(inputs, host, dev).expect(WORKS));
        });
        end_to_end.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
