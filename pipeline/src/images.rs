//! Kernels that were compiled at run time, kept for the next run.

use std::path::PathBuf;

use specmill_kernels::cuda::ImageCache;

use crate::config::Environment;

/// A folder of the user's cache.
pub(crate) struct KernelCache {
    folder: Option<PathBuf>,
}

impl KernelCache {
    /// The folder that the environment names.
    pub(crate) fn of(environment: &Environment) -> Self {
        Self { folder: environment.cache.as_ref().map(|cache| cache.join("specmill/kernels")) }
    }
}

impl ImageCache for KernelCache {
    fn read(&self, key: &str) -> Option<Vec<u8>> {
        fs_err::read(self.folder.as_ref()?.join(key)).ok()
    }

    fn write(&self, key: &str, image: &[u8]) {
        let Some(folder) = &self.folder else { return };
        // Written aside and renamed: what another run reads is whole.
        let aside = folder.join(format!("{key}.{}", std::process::id()));
        let kept = fs_err::create_dir_all(folder)
            .and_then(|()| fs_err::write(&aside, image))
            .and_then(|()| fs_err::rename(&aside, folder.join(key)));
        if let Err(error) = kept {
            tracing::debug!("compiled kernels are not kept: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_back_and_no_folder_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = KernelCache { folder: Some(folder.path().join("deep/kernels")) };
        assert_eq!(cache.read("sm_86-1"), None);
        cache.write("sm_86-1", b"image");
        assert_eq!(cache.read("sm_86-1").as_deref(), Some(&b"image"[..]));
        let none = KernelCache { folder: None };
        none.write("sm_86-1", b"image");
        assert_eq!(none.read("sm_86-1"), None);
    }
}
