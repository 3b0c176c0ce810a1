//! What a pod leaves behind for whoever asks why it ended.

use std::path::Path;

use crate::exit::Exit;

/// Longer messages are cut by the cluster.
const MOST_BYTES: usize = 4096;

/// Writes how a command ended to the file that the environment names, if any.
pub(crate) fn write(path: Option<&Path>, exit: Exit, message: &str) {
    let Some(path) = path else { return };
    let mut text = format!("exit {}: {message}", exit.code());
    if text.len() > MOST_BYTES {
        let cut = (0..=MOST_BYTES - 4).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str(" …");
    }
    // The cluster's own file, not one of ours: it exists already and is written in place.
    if let Err(error) = fs_err::write(path, text) {
        tracing::warn!("the termination message is not written: {error}");
    }
}
