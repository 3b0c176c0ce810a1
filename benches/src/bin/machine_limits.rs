//! What one core and the disk of this machine can do: the limits that rates are held against; JSON on standard output.
//!
//! `machine_limits FOLDER` writes a file into FOLDER, syncs it, and removes it.
//!
//! - `copy_gb_per_s`: bytes read and written by copying 256 MiB, far beyond the caches
//! - `warm_copy_gb_per_s`: the same of 8 MiB, in the last cache
//! - `swapped_copy_gb_per_s`: bytes that arrive where numbers are copied and their bytes swapped, from a warm buffer
//! - `fma_gflop_per_s`: fused multiply-adds of f32 in registers, two operations each
//! - `write_mb_per_s`: bytes of a file that are on the disk

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use specmill_kernels::Simd;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Passes, of which the best counts.
const REPEATS: usize = 7;
const COPY_BYTES: usize = 256 << 20;
/// As much as a few batches of a coadd: in the last cache, beyond the second.
const WARM_BYTES: usize = 8 << 20;
const FILE_BYTES: usize = 1 << 30;
const BLOCK_BYTES: usize = 8 << 20;

/// Sums that do not wait for each other, each of one vector register of the widest set.
const SUMS: usize = 8;
const LANES: usize = 16;
const FMA_ROUNDS: usize = 8_000_000;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from).ok_or("usage: machine_limits FOLDER")?;
    let simd = Simd::detect().to_string();
    writeln!(
        std::io::stdout(),
        "{{\"simd\": {simd:?}, \"copy_gb_per_s\": {:.2}, \"warm_copy_gb_per_s\": {:.2}, \
         \"swapped_copy_gb_per_s\": {:.2}, \
         \"fma_gflop_per_s\": {:.1}, \"write_mb_per_s\": {:.0}}}",
        copy(COPY_BYTES),
        copy(WARM_BYTES),
        swapped_copy(&simd),
        fma(&simd),
        write(&folder)?,
    )?;
    Ok(())
}

/// Seconds of the fastest of some passes.
fn fastest(mut pass: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let start = Instant::now();
        pass();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn copy(n_bytes: usize) -> f64 {
    let from = vec![1_u8; n_bytes];
    let mut to = vec![2_u8; n_bytes];
    let seconds = fastest(|| black_box(&mut to).copy_from_slice(black_box(&from)));
    assert_eq!(from, to, "everything is copied");
    2.0 * n_bytes as f64 / seconds / 1e9
}

fn swapped_copy(simd: &str) -> f64 {
    let from = vec![0x0102_0304_u32; WARM_BYTES / 4];
    let mut to = vec![0; from.len()];
    let seconds = fastest(|| swap_on(simd, black_box(&from), black_box(&mut to)));
    assert!(to.iter().all(|number| *number == 0x0403_0201), "every number is swapped");
    WARM_BYTES as f64 / seconds / 1e9
}

fn fma(simd: &str) -> f64 {
    let mut sums = [[1.0; LANES]; SUMS];
    let seconds = fastest(|| add_on(simd, black_box(&mut sums)));
    // s → s / 2 + 1 comes to rest at 2.
    assert!(sums.iter().flatten().all(|sum| (sum - 2.0_f32).abs() < 1e-3), "the sums converge");
    2.0 * (FMA_ROUNDS * SUMS * LANES) as f64 / seconds / 1e9
}

fn write(folder: &Path) -> Result<f64> {
    let path = folder.join(format!("machine_limits-{}.bin", std::process::id()));
    // Bytes that no file system makes small.
    let mut state = 1_u64;
    let block: Vec<u8> = (0..BLOCK_BYTES / 8)
        .flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()
        })
        .collect();
    let mut seconds = f64::INFINITY;
    for _ in 0..2 {
        let start = Instant::now();
        let mut file = fs_err::File::create(&path)?;
        for _ in 0..FILE_BYTES / BLOCK_BYTES {
            file.write_all(&block)?;
        }
        file.sync_all()?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
        fs_err::remove_file(&path)?;
    }
    Ok(FILE_BYTES as f64 / seconds / 1e6)
}

#[inline(always)]
fn swap(from: &[u32], to: &mut [u32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.swap_bytes();
    }
}

/// A step of some sums, each of one register.
macro_rules! step {
    ($half:ident, $one:ident, $($sum:ident)*) => {
        $(for (sum, (half, one)) in $sum.iter_mut().zip($half.iter().zip(&$one)) {
            *sum = sum.mul_add(*half, *one);
        })*
    };
}

#[inline(always)]
fn add(sums: &mut [[f32; LANES]; SUMS]) {
    let (half, one) = (black_box([0.5; LANES]), black_box([1.0; LANES]));
    // By name, not by index: so they live in registers.
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *sums;
    for _ in 0..FMA_ROUNDS {
        step!(half, one, a b c d e f g h);
    }
    *sums = [a, b, c, d, e, f, g, h];
}

/// Declares `fn name(simd, …)`, which runs `body(…)` compiled for the set of that name.
macro_rules! on_widest {
    (fn $name:ident($($arg:ident: $ty:ty),*) = $body:path;) => {
        fn $name(simd: &str, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) {
                $body($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
            fn avx512($($arg: $ty),*) {
                $body($($arg),*);
            }
            match simd {
                #[cfg(target_arch = "x86_64")]
                "avx512" => {
                    // SAFETY: `Simd::detect` says so only where the CPU was seen to have it.
                    unsafe { avx512($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                "avx2+fma" => {
                    // SAFETY: `Simd::detect` says so only where the CPU was seen to have it.
                    unsafe { avx2($($arg),*) }
                }
                _ => $body($($arg),*),
            }
        }
    };
}

on_widest! { fn swap_on(from: &[u32], to: &mut [u32]) = swap; }
on_widest! { fn add_on(sums: &mut [[f32; LANES]; SUMS]) = add; }
