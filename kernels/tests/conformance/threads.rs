//! Properties of a device that several threads work on.

use std::ops::Range;

use specmill_kernels::ops::combine_arms::MaskRule;
use specmill_kernels::{ArmSpectra, Backend, KernelError};

use crate::cases::{ArmCase, Spectra, to_bits};

/// What one thread put on the device, others read; what each makes is its own.
pub(crate) fn threads_share_a_device<B: Backend>(dev: &B) {
    let case = ArmCase::desi(23, 2);
    let arms = case.upload(dev);
    let combine = || {
        let observed = dev.combine_arms(&arms, &case.grid, MaskRule::Masked).expect("the case is valid");
        Spectra::download(dev, &observed).bits()
    };
    let alone = combine();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| [combine(), combine()])).collect();
        for thread in threads {
            for own in thread.join().expect("no thread panics") {
                assert_eq!(own, alone);
            }
        }
    });
}

/// Arrays longer than the pieces that copies are cut into, and none at all, come back as they went.
pub(crate) fn arrays_of_any_length_come_back<B: Backend>(dev: &B) {
    for n in [0, 1, 16_384, 16_385, 1 << 20, (5 << 20) + 3] {
        let host: Vec<u32> = (0..n).map(|i: u32| i.wrapping_mul(0x9e37_79b9)).collect();
        let array = dev.upload(&host).expect("the device has room");
        assert!(dev.download(&array).expect("the copy succeeds") == host, "{n} numbers");
        assert!(dev.fetch(array).expect("the copy succeeds") == host, "{n} numbers, moved");
    }
}

/// Rows taken in pieces give what they give together, in their order, from whichever row on.
pub(crate) fn pieces_of_a_batch_are_its_rows<B: Backend>(dev: &B) {
    let case = ArmCase::desi(24, 33);
    let combine = |rows: Range<usize>| {
        let arms = ArmSpectra::upload_rows(dev, &case.arms, rows, &case.fiberstatus_s)?;
        let observed = dev.combine_arms(&arms, &case.grid, MaskRule::Masked)?;
        Ok::<_, KernelError>((dev.fetch(observed.flux_sp)?, dev.fetch(observed.ivar_sp)?))
    };
    let (flux_sp, ivar_sp) = combine(0..33).expect("the case is valid");
    for rows in [0..33, 5..32, 31..32, 7..7] {
        let pieces = dev.in_pieces(rows.clone(), combine).expect("the case is valid");
        let (flux, ivar): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        let pixels = rows.start * 7781..rows.end * 7781;
        assert!(to_bits(&flux.concat()) == to_bits(&flux_sp[pixels.clone()]), "rows {rows:?}");
        assert!(to_bits(&ivar.concat()) == to_bits(&ivar_sp[pixels]), "rows {rows:?}");
    }
}

/// Of several pieces that fail the first is told, whichever thread was faster.
pub(crate) fn the_first_error_of_several_pieces_is_told<B: Backend>(dev: &B) {
    for _ in 0..20 {
        let told = dev.in_pieces(0..100, |rows| if rows.end > 20 { Err(rows.start) } else { Ok(()) });
        assert!(matches!(told, Err(0..=20)), "{told:?}");
    }
}
