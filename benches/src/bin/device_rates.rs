//! Every operation on one device: resident in its memory, and as part of the flow from the host and back.
//!
//! `device_rates cpu|cuda:N [SPECTRA]` prints a table; its inputs are made from a seed, the same on every
//! device. Bytes are those that an operation must touch at least, flops those of its arithmetic (a fused
//! multiply-add counts twice); the card's own copy is the limit that memory-bound operations are held to.

use std::error::Error;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use specmill_benches::device::{Inputs, N_GALAXY, N_GRID, N_NEIGHBORS, N_PIXELS, NEIGHBOR_D, Output};
use specmill_kernels::cuda::NoCache;
use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::{ArmBatch, ArmSpectra, Backend, Device, KernelError, Opened};

/// Launches of an operation, of which the fastest counts.
const REPEATS: usize = 5;

/// Bytes that measure a copy: beyond every cache.
const COPY_BYTES: usize = 256 << 20;

/// Batches of the flow.
const BATCHES: usize = 24;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let device: Device = arguments.next().ok_or("usage: device_rates cpu|cuda:N [SPECTRA]")?.parse()?;
    let n_spectra = arguments.next().map_or(Ok(512), |n| n.parse())?;
    let (opened, _) = device.open(0, &NoCache)?;
    let table = match opened {
        Opened::Cpu(cpu) => {
            let on_card = host_copy();
            rates(&cpu, n_spectra, Copies { to_device: on_card, from_device: on_card, on_device: on_card })?
        }
        Opened::Cuda(card) => {
            let copies = card.machine().measure_copies(COPY_BYTES)?;
            let (to_device, from_device) = (copies.to_card, copies.from_card);
            rates(&*card, n_spectra, Copies { to_device, from_device, on_device: copies.on_card })?
        }
    };
    std::io::stdout().write_all(table.as_bytes())?;
    Ok(())
}

/// Bytes per second.
#[derive(Debug, Clone, Copy)]
struct Copies {
    to_device: f64,
    from_device: f64,
    /// Each byte read and written, counted once.
    on_device: f64,
}

/// The host's own copy.
fn host_copy() -> f64 {
    let (from, mut to) = (vec![1_u8; COPY_BYTES], vec![0_u8; COPY_BYTES]);
    let mut fastest = f64::INFINITY;
    for _ in 0..REPEATS {
        let started = Instant::now();
        to.copy_from_slice(std::hint::black_box(&from));
        fastest = fastest.min(started.elapsed().as_secs_f64());
    }
    std::hint::black_box(&to);
    COPY_BYTES as f64 / fastest
}

/// What an operation must move and compute per spectrum.
struct Cost {
    bytes: f64,
    flops: f64,
}

fn rates<B: Backend>(dev: &B, n: usize, copies: Copies) -> Result<String, Box<dyn Error>> {
    let info = dev.info();
    let mut text = format!(
        "device {} ({}), {} threads{}\ncopies: {:.1} GB/s in, {:.1} GB/s out, {:.1} GB/s within (read and written once each)\n\n",
        info.device,
        info.name,
        info.threads,
        info.image.map(|image| format!(", kernels {image}")).unwrap_or_default(),
        copies.to_device / 1e9,
        copies.from_device / 1e9,
        copies.on_device / 1e9,
    );
    text.push_str(
        "operation             shape                    ms  spectra/s      GB/s  of copy    GFLOP/s\n",
    );
    let inputs = Inputs::new(dev, n)?;
    for (name, shape, cost, seconds) in measure(dev, &inputs)? {
        let (gb, gflop) = (cost.bytes * n as f64 / seconds / 1e9, cost.flops * n as f64 / seconds / 1e9);
        text.push_str(&format!(
            "{name:<20}  {shape:<18} {:>9.3} {:>10.0} {gb:>9.1} {:>7.0} % {gflop:>10.1}\n",
            seconds * 1e3,
            n as f64 / seconds,
            gb / (2.0 * copies.on_device / 1e9) * 100.0,
        ));
    }
    text.push_str(&flow(dev, &inputs, copies)?);
    Ok(text)
}

/// Name, shape, cost and seconds of every operation.
type Measured = (&'static str, String, Cost, f64);

fn measure<B: Backend>(dev: &B, inputs: &Inputs<B>) -> Result<Vec<Measured>, KernelError> {
    let n = inputs.n_spectra;
    let wide = N_PIXELS as f64;
    let shape = |of: usize| format!("{n} x {of}");
    let cost = |bytes: f64, flops: f64| Cost { bytes, flops };
    let arms_bytes = 12.0 * 7958.0;
    let mut rows: Vec<Measured> = Vec::new();
    let mut add = |name, shape: String, cost, work: &Launch<'_, B>| {
        fastest(dev, work).map(|seconds| rows.push((name, shape, cost, seconds)))
    };
    add("combine_arms", shape(N_PIXELS), cost(arms_bytes + 12.0 * wide, 5.0 * 177.0), &|| {
        inputs.combine(dev)
    })?;
    add("median_snr", shape(3), cost(8.0 * 7958.0, 3.0 * 7958.0), &|| inputs.median_snr(dev))?;
    add("count_pixels", shape(2), cost(8.0 * wide, 0.0), &|| inputs.count_pixels(dev))?;
    add("extinction", shape(N_PIXELS), cost(16.0 * wide, 26.0 * wide), &|| inputs.extinction(dev))?;
    add("rest_frame", shape(N_GRID), cost(8.0 * (wide + N_GRID as f64), 40.0 * N_GRID as f64), &|| {
        inputs.rest_frame(dev)
    })?;
    add("continuum", shape(N_PIXELS), cost(13.0 * wide, 0.0), &|| inputs.continuum(dev))?;
    add("breaks", shape(inputs.breaks.len()), cost(8.0 * 560.0, 20.0 * 560.0), &|| inputs.breaks(dev))?;
    add("indices", shape(inputs.indices.len()), cost(8.0 * 2700.0, 20.0 * 2700.0), &|| inputs.indices(dev))?;
    add("lines", shape(inputs.lines.len()), cost(8.0 * 3400.0, 25.0 * 3400.0), &|| inputs.lines(dev))?;
    add("window_snr", shape(1), cost(8.0 * 170.0, 3.0 * 170.0), &|| inputs.window_snr(dev))?;
    add("ivar_scale", shape(3), cost(13.0 * wide, 6.0 * wide), &|| inputs.ivar_scale(dev))?;
    add("synthetic", shape(inputs.curves.len()), cost(8.0 * wide, 30.0 * 4000.0), &|| inputs.synthetic(dev))?;
    let grid = N_GALAXY as f64;
    add("normalize", shape(N_GALAXY), cost(16.0 * grid, 12.0 * grid), &|| inputs.normalize(dev))?;
    for (which, k) in inputs.components.iter().enumerate() {
        let k_wide = *k as f64;
        let name = ["project, 10", "project, 64"][which];
        let flops = grid * (k_wide * (k_wide + 1.0) + 4.0 * k_wide);
        add(name, shape(N_GALAXY), cost(16.0 * grid, flops), &|| inputs.project(dev, which))?;
        let name = ["update_basis, 10", "update_basis, 64"][which];
        let flops = grid * (k_wide * (k_wide + 1.0) + 2.0 * k_wide);
        add(name, shape(N_GALAXY), cost(8.0 * grid, flops), &|| inputs.update_basis(dev, which))?;
    }
    let pairs = 3.0 * (N_NEIGHBORS * NEIGHBOR_D) as f64;
    let shape = format!("{n} of {N_NEIGHBORS} x {NEIGHBOR_D}");
    add("nearest_neighbors", shape, cost(4.0 * NEIGHBOR_D as f64, pairs), &|| inputs.neighbors(dev))?;
    Ok(rows)
}

/// A launch and what it gives.
type Launch<'a, B> = dyn Fn() -> Result<Vec<Output<B>>, KernelError> + 'a;

fn fastest<B: Backend>(dev: &B, work: &Launch<'_, B>) -> Result<f64, KernelError> {
    let mut fastest = f64::INFINITY;
    for _ in 0..REPEATS {
        dev.synchronize()?;
        let started = Instant::now();
        work()?;
        dev.synchronize()?;
        fastest = fastest.min(started.elapsed().as_secs_f64());
    }
    Ok(fastest)
}

/// The flow of `extract` from the host and back, by one thread and by three, beside its copies alone.
fn flow<B: Backend>(dev: &B, inputs: &Inputs<B>, copies: Copies) -> Result<String, KernelError> {
    let n = inputs.n_spectra * BATCHES;
    let copy_in = seconds(1, |_| upload(dev, inputs).map(drop))?;
    let one = seconds(1, |_| batch(dev, inputs))?;
    let three = seconds(3, |_| batch(dev, inputs))?;
    let bytes = BATCHES as f64 * arms(&inputs.arms).map(|values| values * 4).sum::<usize>() as f64;
    Ok(format!(
        "\nflow of {BATCHES} batches of {} spectra, host to host\n\
         copy in alone         {:>10.0} spectra/s, {:.1} GB/s\n\
         one thread            {:>10.0} spectra/s\n\
         three threads         {:>10.0} spectra/s: {:.0} % of the rate of the copies in alone; \
         the bus alone would take {:.3} s of {three:.3} s\n",
        inputs.n_spectra,
        n as f64 / copy_in,
        bytes / copy_in / 1e9,
        n as f64 / one,
        n as f64 / three,
        copy_in / three * 100.0,
        bytes / copies.to_device,
    ))
}

/// Numbers of flux, ivar and mask of each arm.
fn arms(arms: &[ArmBatch; 3]) -> impl Iterator<Item = usize> {
    arms.iter().map(|arm| arm.flux_sp.len() + arm.ivar_sp.len() + arm.mask_sp.len())
}

/// Seconds that some threads need for all batches.
fn seconds(
    threads: usize,
    work: impl Fn(usize) -> Result<(), KernelError> + Sync,
) -> Result<f64, KernelError> {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let lane = || -> Result<(), KernelError> {
            loop {
                let own = next.fetch_add(1, Ordering::Relaxed);
                if own >= BATCHES {
                    return Ok(());
                }
                work(own)?;
            }
        };
        let lanes: Vec<_> = (0..threads).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().try_for_each(|lane| lane.join().expect("no lane panics"))
    })?;
    Ok(started.elapsed().as_secs_f64())
}

fn upload<B: Backend>(dev: &B, inputs: &Inputs<B>) -> Result<ArmSpectra<B>, KernelError> {
    let arms = ArmSpectra::upload(dev, &inputs.arms, &inputs.fiberstatus_s)?;
    dev.synchronize()?;
    Ok(arms)
}

/// What `extract` does with a batch, but for reading and writing.
fn batch<B: Backend>(dev: &B, inputs: &Inputs<B>) -> Result<(), KernelError> {
    let grid = &inputs.grid;
    let arms = ArmSpectra::upload(dev, &inputs.arms, &inputs.fiberstatus_s)?;
    dev.download(&dev.median_snr_arms(&arms, grid, &inputs.ranges)?)?;
    let mut observed = dev.combine_arms(&arms, grid, MaskRule::Masked)?;
    dev.download(&dev.count_pixels(&observed)?.n_good_s)?;
    dev.correct_extinction(&mut observed, &inputs.curve, &inputs.ebv_s)?;
    dev.download(&dev.measure_breaks(&observed, grid, &inputs.rows, &inputs.breaks)?.plain_si)?;
    dev.download(&dev.measure_indices(&observed, grid, &inputs.rows, &inputs.indices)?.value_si)?;
    dev.download(&dev.measure_lines(&observed, grid, &inputs.rows, &inputs.lines)?.flux_sl)?;
    let rest = dev.to_rest_frame(&observed, grid, &inputs.rows, &inputs.rest)?;
    dev.download(&rest.flux_sp)?;
    dev.download(&rest.ivar_sp)?;
    Ok(())
}
