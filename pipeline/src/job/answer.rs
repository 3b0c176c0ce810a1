//! What an error of the cluster means: over in a moment, or an answer.

use std::time::Duration;

use kube::Resource;
use kube::client::AuthError;

use super::error::JobError;
use crate::error::reason_of;

/// What was asked, in the words of roles.
pub(super) struct Call {
    verb: &'static str,
    resource: String,
    name: String,
}

impl Call {
    /// A verb on a resource; the name is empty where it is about many.
    pub(super) fn on<K: Resource<DynamicType = ()>>(verb: &'static str, name: &str) -> Self {
        Self { verb, resource: K::plural(&()).into_owned(), name: name.to_owned() }
    }

    /// The same on a part of it.
    pub(super) fn of(mut self, part: &str) -> Self {
        self.resource = format!("{}/{part}", self.resource);
        self
    }
}

/// What a failed question has brought.
pub(super) enum Answer {
    /// Nothing: it is to be asked again.
    Passing {
        /// Why there was none.
        reason: String,
        /// How long the cluster wants to be left alone.
        after: Option<Duration>,
    },
    /// No.
    Final(Box<JobError>),
}

impl Answer {
    /// Reads an error.
    pub(super) fn of(error: kube::Error, call: &Call, address: &str, namespace: &str) -> Self {
        let refused = |reason: String| {
            let what = format!("{} {}", call.resource, call.name).trim_end().to_owned();
            Self::Final(Box::new(JobError::Refused { verb: call.verb, what, reason }))
        };
        if let kube::Error::Api(status) = &error {
            return Self::of_status(status, call, address, namespace, refused);
        }
        if let kube::Error::Auth(error) = &error {
            let reason = reason_without_secrets(error);
            return Self::Final(Box::new(JobError::Unauthenticated { address: address.to_owned(), reason }));
        }
        let is_lost = matches!(
            error,
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_)
        );
        // An answer that ends before its end.
        let is_cut = matches!(&error, kube::Error::SerdeError(reason) if reason.is_eof());
        if is_lost || is_cut {
            // The library's own word for it says nothing.
            let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), reason_of);
            return Self::Passing { reason, after: None };
        }
        refused(reason_of(&error))
    }

    fn of_status(
        status: &kube::core::Status,
        call: &Call,
        address: &str,
        namespace: &str,
        refused: impl FnOnce(String) -> Self,
    ) -> Self {
        let reason = if status.message.is_empty() { status.reason.clone() } else { status.message.clone() };
        let about_the_namespace =
            || status.details.as_ref().is_some_and(|details| details.kind == "namespaces");
        match status.code {
            408 | 429 | 500 | 502 | 503 | 504 => {
                let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                let after = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
                Self::Passing { reason: format!("{}: {reason}", status.code), after }
            }
            401 => Self::Final(Box::new(JobError::Unauthenticated { address: address.to_owned(), reason })),
            403 => Self::Final(Box::new(JobError::Forbidden {
                verb: call.verb,
                resource: call.resource.clone(),
                namespace: namespace.to_owned(),
                reason,
            })),
            404 if about_the_namespace() => {
                Self::Final(Box::new(JobError::NoNamespace { namespace: namespace.to_owned() }))
            }
            _ => refused(reason),
        }
    }
}

/// What a program that was to bring credentials has put out may be the credentials.
fn reason_without_secrets(error: &AuthError) -> String {
    if let AuthError::AuthExecRun { cmd, out } = error {
        let said = String::from_utf8_lossy(&out.stderr);
        return format!("`{cmd}` of the kubeconfig failed with {}: {}", out.status, said.trim());
    }
    if let AuthError::AuthExecParse(_) = error {
        return "what the program of the kubeconfig put out is no credential".to_owned();
    }
    reason_of(error)
}
