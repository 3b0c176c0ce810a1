//! The cluster, asked a few things in one namespace: no watch, no discovery, nothing that is not in a namespace.
//!
//! What passes by itself is waited for: a lost connection, too many requests, a server that is being replaced.

use std::cell::Cell;
use std::fmt::Debug;
use std::io::Write;
use std::time::{Duration, Instant};

use futures_util::AsyncBufReadExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use super::answer::{Answer, Call};
use super::attempt::Attempt;
use super::error::JobError;
use super::kubeconfig;
use crate::config::Environment;

/// Who sets the fields of what is applied.
const FIELD_MANAGER: &str = "specmill";
/// Objects of one answer; longer lists come in pieces.
const PAGE: u32 = 200;

/// How long, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Between two looks.
    pub(super) poll: Duration,
    /// Whether a cluster that has answered once is waited for whatever happens: it works on meanwhile.
    pub(super) endless: bool,
}

impl Patience {
    /// The first pause after a failure; it doubles, up to [`Self::longest_pause`].
    fn first_pause(self) -> Duration {
        self.poll / 5
    }

    /// 30 seconds where one looks every 5.
    fn longest_pause(self) -> Duration {
        self.poll * 6
    }

    /// How long a cluster may leave one without any answer: a minute where one looks every 5 seconds.
    fn without_answer(self) -> Duration {
        self.poll * 12
    }
}

/// A namespace of a cluster.
pub(super) struct Cluster {
    runtime: Runtime,
    client: Client,
    namespace: String,
    address: String,
    patience: Patience,
    /// Whether it has ever answered.
    answered: Cell<bool>,
}

impl Cluster {
    /// A client of the cluster that the environment names; it has not asked anything yet.
    ///
    /// # Errors
    /// Where nothing names a cluster, or what does cannot be used.
    pub(super) fn connect(
        environment: &Environment,
        context: Option<&str>,
        namespace: &str,
        patience: Patience,
    ) -> Result<Self, JobError> {
        let unusable =
            |address: &str, reason: String| JobError::Unreachable { address: address.to_owned(), reason };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unusable("its address", error.to_string()))?;
        let config = runtime.block_on(kubeconfig::configuration(environment, context))?;
        let address = config.cluster_url.to_string();
        // The client's tasks live on this runtime.
        let client = {
            let _entered = runtime.enter();
            Client::try_from(config).map_err(|error| unusable(&address, crate::error::reason_of(&error)))?
        };
        let answered = Cell::new(false);
        Ok(Self { runtime, client, namespace: namespace.to_owned(), address, patience, answered })
    }

    /// The namespace.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Waits until the next look is due.
    pub(super) fn wait(&self) {
        self.pause(self.patience.poll);
    }

    /// Makes an object what it is here, whether it is there or not.
    ///
    /// # Errors
    /// Where the cluster refuses, or does not answer.
    pub(super) fn apply<K>(&self, object: &K) -> Result<(), JobError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let api = self.api::<K>();
        let name = object.name_any();
        // The run file is the only source: whoever set these fields otherwise is overruled.
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let call = Call::on::<K>("patch", &name);
        let patch = Patch::Apply(object);
        self.ask(&call, || api.patch(&name, &parameters, &patch)).map(|_| ())
    }

    /// A Job, if it is there.
    ///
    /// # Errors
    /// Where the cluster refuses, or does not answer.
    pub(super) fn job(&self, name: &str) -> Result<Option<Job>, JobError> {
        let api = self.api::<Job>();
        self.ask(&Call::on::<Job>("get", name), || api.get_opt(name))
    }

    /// The Jobs with these labels.
    ///
    /// # Errors
    /// Where the cluster refuses, or does not answer.
    pub(super) fn jobs(&self, labels: &str) -> Result<Vec<Job>, JobError> {
        self.objects(labels)
    }

    /// The objects of a kind with these labels.
    ///
    /// # Errors
    /// Where the cluster refuses, or does not answer.
    pub(super) fn objects<K>(&self, labels: &str) -> Result<Vec<K>, JobError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let mut objects = Vec::new();
        self.list::<K>(ListParams::default().labels(labels), |object| objects.push(object))?;
        Ok(objects)
    }

    /// Makes a Job; one of that name that is there already stays.
    ///
    /// # Errors
    /// Where the cluster refuses, or does not answer.
    pub(super) fn create(&self, job: &Job) -> Result<(), JobError> {
        let api = self.api::<Job>();
        let parameters =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let call = Call::on::<Job>("create", &job.name_any());
        self.ask(&call, || async {
            match api.create(&parameters, job).await {
                // Made by a request whose answer was lost, or by another submit of the same run.
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                other => other.map(|_| ()),
            }
        })
    }

    /// Has an object deleted, a Job with its pods, unless another one took its name meanwhile.
    ///
    /// # Errors
    /// Where the cluster refuses, or does not answer.
    pub(super) fn delete<K>(&self, object: &K) -> Result<(), JobError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        let name = object.name_any();
        let this_one = Preconditions { uid: object.uid(), resource_version: None };
        let parameters = DeleteParams::background().preconditions(this_one);
        self.ask(&Call::on::<K>("delete", &name), || async {
            match api.delete(&name, &parameters).await {
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
                other => other.map(|_| ()),
            }
        })
    }

    /// What became of the pods with these labels and fields.
    ///
    /// # Errors
    /// Where the cluster refuses, or does not answer.
    pub(super) fn attempts(&self, labels: &str, fields: &str) -> Result<Vec<Attempt>, JobError> {
        let mut attempts = Vec::new();
        let which = ListParams::default().labels(labels).fields(fields);
        self.list::<Pod>(which, |pod| attempts.push(Attempt::of(&pod)))?;
        Ok(attempts)
    }

    /// Copies what a pod has said until now, piece by piece.
    ///
    /// # Errors
    /// Where the cluster refuses or does not answer, or `out` takes no more.
    pub(super) fn copy_log(&self, pod: &str, out: &mut dyn Write) -> Result<Log, crate::error::Error> {
        let api = self.api::<Pod>();
        let parameters = LogParams::default();
        let call = Call::on::<Pod>("get", pod).of("log");
        let stream = self.ask(&call, || async {
            match api.log_stream(pod, &parameters).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Err(Log::Gone)),
                // It has not been started: there is no log of it.
                Err(kube::Error::Api(status)) if status.code == 400 => Ok(Err(Log::None(status.message))),
                other => other.map(Ok),
            }
        });
        let stream = match stream? {
            Ok(stream) => stream,
            Err(why_not) => return Ok(why_not),
        };
        let mut stream = std::pin::pin!(stream);
        let mut ends_a_line = true;
        loop {
            let piece = match self.runtime.block_on(stream.fill_buf()) {
                Ok([]) => break,
                Ok(piece) => piece,
                Err(error) => return Ok(Log::BrokenOff(error.to_string())),
            };
            out.write_all(piece).map_err(crate::error::Error::io("cannot write to standard output"))?;
            ends_a_line = piece.ends_with(b"\n");
            let length = piece.len();
            stream.consume_unpin(length);
        }
        if !ends_a_line {
            out.write_all(b"\n").map_err(crate::error::Error::io("cannot write to standard output"))?;
        }
        Ok(Log::Whole)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn list<K>(&self, mut which: ListParams, mut take: impl FnMut(K)) -> Result<(), JobError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        let call = Call::on::<K>("list", "");
        which.limit = Some(PAGE);
        loop {
            let page = self.ask(&call, || api.list(&which))?;
            page.items.into_iter().for_each(&mut take);
            which.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if which.continue_token.is_none() {
                return Ok(());
            }
        }
    }

    /// Asks until there is an answer that does not pass by itself.
    fn ask<T, F>(&self, call: &Call, question: impl Fn() -> F) -> Result<T, JobError>
    where
        F: Future<Output = kube::Result<T>>,
    {
        let begun = Instant::now();
        let mut pause = self.patience.first_pause();
        let mut told = false;
        loop {
            let error = match self.runtime.block_on(question()) {
                Ok(answer) => {
                    self.answered.set(true);
                    if told {
                        tracing::info!("the cluster answers again");
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let (reason, asked_for) = match Answer::of(error, call, &self.address, &self.namespace) {
                Answer::Final(error) => return Err(*error),
                Answer::Passing { reason, after } => (reason, after),
            };
            let endless = self.patience.endless && self.answered.get();
            if !endless && begun.elapsed() >= self.patience.without_answer() {
                return Err(JobError::Unreachable { address: self.address.clone(), reason });
            }
            if !told {
                tracing::warn!("no answer from the cluster, asking again and again: {reason}");
                told = true;
            }
            self.pause(asked_for.map_or(pause, |asked| asked.max(pause)).min(self.patience.longest_pause()));
            pause = (pause * 2).min(self.patience.longest_pause());
        }
    }

    /// Inside the runtime, so that connections are looked after meanwhile.
    fn pause(&self, duration: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(duration).await });
    }
}

/// What there was of a pod's log.
#[derive(Debug)]
pub(super) enum Log {
    /// All of it until now.
    Whole,
    /// Its container was never started, with the cluster's words.
    None(String),
    /// The pod is not there any more.
    Gone,
    /// The connection ended in the middle.
    BrokenOff(String),
}
