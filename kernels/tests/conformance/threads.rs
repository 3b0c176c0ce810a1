//! Properties of a device that several threads work on.

use specmill_kernels::Backend;
use specmill_kernels::ops::combine_arms::MaskRule;

use crate::cases::{ArmCase, Spectra};

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
    }
}
