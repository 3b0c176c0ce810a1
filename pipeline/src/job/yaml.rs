//! Typed objects as YAML: the same object is the same text.

use serde::Serialize;

use super::Object;

/// Lines are not broken: a command's argument stays one line.
const WIDTH: usize = 4096;

impl Object {
    /// The object as YAML.
    pub(crate) fn to_yaml(&self) -> String {
        match self {
            Self::ServiceAccount(account) => yaml(account),
            Self::ConfigMap(config_map) => yaml(config_map),
            Self::NetworkPolicy(policy) => yaml(policy),
            Self::Job(step) => yaml(&step.job),
        }
    }
}

/// Anything as YAML that readers of 1.1 and 1.2 take for the same.
pub(super) fn yaml<T: Serialize>(object: &T) -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: WIDTH };
    serde_saphyr::to_string_with_options(object, options)
        .expect("a typed object has text for keys and no floating point")
}
