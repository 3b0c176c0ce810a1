//! What the manifests mean to a cluster, whatever the run file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use clap::Parser;
use serde_json::{Value, json};
use specmill::cli::{Cli, Command};
use specmill::exit::Exit;
use specmill::shard::Shard;

use super::{CATALOG, GPU, LOAD, Rendering, SPECTRA, objects_of};

/// Shards of a map stage in [`run_files`].
const SHARDS: u64 = 5;
/// Steps whose pods have a share each.
const INDEXED: [&str; 3] = ["catalog", "extract", "embed"];
/// Steps that compute.
const COMPUTING: [&str; 4] = ["extract", "fit-basis", "embed", "neighbors"];

/// Run files that differ in what they ask for, with the steps that follows from it.
fn run_files() -> Vec<(&'static str, String, Vec<&'static str>)> {
    let shards = format!("job.shards = {SHARDS}\n");
    let spectra = ["inventory", "extract", "fit-basis", "embed", "neighbors", "account"];
    let with = |extra: &[&'static str]| {
        const ORDER: [&str; 9] = [
            "inventory",
            "catalog",
            "catalog-keys",
            "extract",
            "fit-basis",
            "embed",
            "neighbors",
            "load",
            "account",
        ];
        ORDER.into_iter().filter(|step| spectra.contains(step) || extra.contains(step)).collect::<Vec<_>>()
    };
    let table = CATALOG.split_once('\n').unwrap().1;
    vec![
        ("cpu", format!("{shards}{SPECTRA}"), with(&[])),
        ("gpu", format!("{shards}{GPU}{SPECTRA}"), with(&[])),
        (
            "any card",
            format!("{shards}job.profile = \"gpu\"\njob.gpu.runtime_class = \"\"\n{SPECTRA}"),
            with(&[]),
        ),
        ("load", format!("{shards}{LOAD}{SPECTRA}"), with(&["load"])),
        (
            "everything",
            format!("{shards}{GPU}{LOAD}{SPECTRA}{table}"),
            with(&["catalog", "catalog-keys", "load"]),
        ),
        (
            "catalogues alone",
            format!("{shards}{CATALOG}"),
            vec!["inventory", "catalog", "catalog-keys", "account"],
        ),
        (
            "no models",
            format!("{shards}models.galaxy.name = \"\"\nmodels.qso.name = \"\"\n{SPECTRA}"),
            vec!["inventory", "extract", "account"],
        ),
        ("queue", format!("{shards}job.queue = \"research\"\n{SPECTRA}"), with(&[])),
        (
            "quiet",
            format!(
                "{shards}job.metrics.port = 0\njob.metrics.pushgateway = \"http://192.0.2.7:9091\"\n{SPECTRA}"
            ),
            with(&[]),
        ),
        (
            "the largest",
            format!(
                "{shards}job.memory_gib = 48\njob.parallelism = 3\njob.grace_seconds = 11\n{LOAD}{SPECTRA}"
            ),
            with(&["load"]),
        ),
    ]
}

fn pod(job: &Value) -> &Value {
    &job["spec"]["template"]["spec"]
}

fn container(job: &Value) -> &Value {
    assert_eq!(pod(job)["containers"].as_array().unwrap().len(), 1);
    &pod(job)["containers"][0]
}

fn words(array: &Value) -> Vec<&str> {
    array.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// What follows a word in the arguments of a Job's container.
fn argument<'a>(job: &'a Value, key: &str) -> Option<&'a str> {
    let arguments = words(&container(job)["args"]);
    let place = arguments.iter().position(|word| *word == key)?;
    Some(arguments[place + 1])
}

/// What became of a run file.
struct Rendered {
    name: &'static str,
    steps: Vec<&'static str>,
    files: BTreeMap<String, String>,
    /// By the name of the file without number and extension.
    objects: BTreeMap<String, Value>,
}

impl Rendered {
    /// Every Job, by its step.
    fn jobs(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.objects.iter().filter(|(_, object)| object["kind"] == "Job")
    }
}

/// Every run file, rendered once for all tests.
fn every_rendering() -> &'static [Rendered] {
    static RENDERED: LazyLock<Vec<Rendered>> = LazyLock::new(|| {
        let render = |(name, text, steps): (&'static str, String, Vec<&'static str>)| {
            let files = Rendering::of(&text).files();
            Rendered { name, steps, objects: objects_of(&files), files }
        };
        run_files().into_iter().map(render).collect()
    });
    &RENDERED
}

/// Calls a check with every Job of every run file: its run file's name, its step and itself.
fn every_job(check: impl Fn(&str, &str, &Value)) {
    for rendered in every_rendering() {
        assert_eq!(rendered.jobs().count(), rendered.steps.len(), "{}", rendered.name);
        for step in &rendered.steps {
            check(rendered.name, step, &rendered.objects[*step]);
        }
    }
}

#[test]
fn map_stages_are_indexed_and_everything_else_is_one_pod() {
    every_job(|name, step, job| {
        let (spec, place) = (&job["spec"], format!("{name}: {step}"));
        let is_indexed = INDEXED.contains(&step);
        assert_eq!(spec["completionMode"], if is_indexed { "Indexed" } else { "NonIndexed" }, "{place}");
        assert_eq!(spec["completions"], if is_indexed { SHARDS } else { 1 }, "{place}");
        let parallelism = if name == "the largest" { 3 } else { 4 };
        assert_eq!(spec["parallelism"], if is_indexed { parallelism } else { 1 }, "{place}");
        let limits =
            ["backoffLimitPerIndex", "maxFailedIndexes", "backoffLimit"].map(|key| spec[key].clone());
        let expected =
            if is_indexed { [json!(3), json!(2), Value::Null] } else { [Value::Null, Value::Null, json!(3)] };
        assert_eq!(limits, expected, "{place}");
        assert_eq!(spec["podReplacementPolicy"], "Failed", "{place}");
        assert_eq!(spec["ttlSecondsAfterFinished"], 604_800, "{place}");
        let queue = &job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"];
        let queued = (queue.as_str(), spec["suspend"].as_bool());
        let expected = if name == "queue" { (Some("research"), Some(true)) } else { (None, None) };
        assert_eq!(queued, expected, "{place}");
        assert_eq!(pod(job)["restartPolicy"], "Never", "{place}");
        let grace = if name == "the largest" { 11 } else { 120 };
        assert_eq!(pod(job)["terminationGracePeriodSeconds"], grace, "{place}");
    });
}

#[test]
fn one_shard_is_still_indexed_and_asks_for_no_more_than_there_are() {
    let jobs = Rendering::of(&format!("job.shards = 1\n{SPECTRA}")).jobs();
    let spec = &jobs["extract"]["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    for key in ["completions", "parallelism", "maxFailedIndexes"] {
        assert_eq!(spec[key], 1, "{key}");
    }
    assert_eq!(argument(&jobs["extract"], "--shard"), Some("$(JOB_COMPLETION_INDEX)/1"));
}

#[test]
fn what_a_job_does_about_failures_is_the_table_of_exit_codes() {
    let on_codes = |action: &str, values: &[u8]| {
        json!({
            "action": action,
            "onExitCodes": { "containerName": "specmill", "operator": "In", "values": values },
        })
    };
    let disruption = json!({
        "action": "Ignore",
        "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }],
    });
    // README.md of jobs/ has the same table.
    let count = on_codes("Count", &[1, 5, 137, 143]);
    let indexed = json!([disruption, on_codes("FailJob", &[2, 6]), on_codes("FailIndex", &[4]), count]);
    let single = json!([disruption, on_codes("FailJob", &[2, 4, 6]), count]);
    every_job(|name, step, job| {
        let rules = &job["spec"]["podFailurePolicy"]["rules"];
        let expected = if INDEXED.contains(&step) { &indexed } else { &single };
        assert_eq!(rules, expected, "{name}: {step}");
    });
}

#[test]
fn every_exit_has_one_code_and_at_most_one_action() {
    let codes: BTreeSet<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
    assert_eq!(codes, BTreeSet::from([0, 1, 2, 3, 4, 5, 6, 143]));
    let quiet: Vec<u8> =
        Exit::ALL.into_iter().filter(|exit| exit.in_job(true).is_none()).map(Exit::code).collect();
    assert_eq!(quiet, [0, 3], "3 is left to --accept-partial");
}

#[test]
fn command_lines_are_ones_the_program_takes() {
    every_job(|name, step, job| {
        let place = format!("{name}: {step}");
        for index in [0, SHARDS - 1] {
            let arguments = words(&container(job)["args"]);
            let replaced: Vec<String> = arguments
                .iter()
                .map(|word| word.replace("$(JOB_COMPLETION_INDEX)", &index.to_string()))
                .collect();
            let cli = Cli::try_parse_from(std::iter::once("specmill".to_owned()).chain(replaced))
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            let run = if let Command::Status(args) = &cli.command {
                assert_eq!(step, "account");
                assert!(args.merge && args.accept_partial);
                &args.run
            } else {
                let Command::Run(args) = &cli.command else { panic!("{place}: {cli:?}") };
                assert!(args.accept_partial, "{place}");
                let stage = if step == "catalog-keys" { "catalog" } else { step };
                let stages: Vec<&str> = args.run.stages.iter().map(|stage| stage.name()).collect();
                assert_eq!(stages, [stage], "{place}");
                let shard = INDEXED.contains(&step).then(|| {
                    Shard::new(usize::try_from(index).unwrap(), usize::try_from(SHARDS).unwrap()).unwrap()
                });
                assert_eq!(args.shard, shard, "{place}");
                let listens = args.metrics.metrics_listen.map(|address| address.to_string());
                assert_eq!(listens.as_deref(), (name != "quiet").then_some("0.0.0.0:9464"), "{place}");
                let pushes = (name == "quiet").then_some("http://192.0.2.7:9091");
                assert_eq!(args.metrics.metrics_push.as_deref(), pushes, "{place}");
                &args.run
            };
            assert_eq!(run.run_file.to_str(), Some("/etc/specmill/run.toml"), "{place}");
        }
    });
}

#[test]
fn pods_fulfil_restricted_to_the_letter() {
    every_job(|name, step, job| {
        let place = format!("{name}: {step}");
        let expected = json!({
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsGroup": 65532,
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "seccompProfile": { "type": "RuntimeDefault" },
        });
        assert_eq!(pod(job)["securityContext"], expected, "{place}");
        let expected = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
        });
        assert_eq!(container(job)["securityContext"], expected, "{place}");
        assert_eq!(pod(job)["automountServiceAccountToken"], false, "{place}");
        assert_eq!(pod(job)["enableServiceLinks"], false, "{place}");
        assert_eq!(pod(job)["serviceAccountName"], "iron", "{place}");
        for key in ["hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers", "ephemeralContainers"]
        {
            assert!(pod(job)[key].is_null(), "{place}: {key}");
        }
        for port in container(job)["ports"].as_array().into_iter().flatten() {
            assert!(port["hostPort"].is_null(), "{place}");
        }
    });
}

#[test]
fn volumes_are_kinds_that_restricted_allows_and_all_are_mounted() {
    every_job(|name, step, job| {
        let place = format!("{name}: {step}");
        let mut kinds = BTreeMap::new();
        for volume in pod(job)["volumes"].as_array().unwrap() {
            let kind = volume.as_object().unwrap().keys().find(|key| *key != "name").unwrap();
            assert!(kinds.insert(volume["name"].as_str().unwrap(), kind.as_str()).is_none(), "{place}");
            let bounded = kind != "emptyDir" || volume["emptyDir"]["sizeLimit"] == "4Gi";
            assert!(bounded, "{place}: {volume}");
        }
        let allowed = ["configMap", "emptyDir", "persistentVolumeClaim", "secret"];
        assert!(kinds.values().all(|kind| allowed.contains(kind)), "{place}: {kinds:?}");
        let mounts = container(job)["volumeMounts"].as_array().unwrap();
        let mounted: BTreeSet<&str> = mounts.iter().map(|mount| mount["name"].as_str().unwrap()).collect();
        assert_eq!(mounted, kinds.keys().copied().collect(), "{place}");
        assert_eq!(mounts.len(), kinds.len(), "{place}");
        let writable: BTreeSet<&str> = mounts
            .iter()
            .filter(|mount| mount["readOnly"] != true)
            .map(|mount| mount["mountPath"].as_str().unwrap())
            .collect();
        assert_eq!(writable, BTreeSet::from(["/cache", "/lake", "/tmp"]), "{place}");
        let input = &pod(job)["volumes"].as_array().unwrap()[1];
        assert_eq!(
            *input,
            json!({
                "name": "input",
                "persistentVolumeClaim": { "claimName": "desi-input", "readOnly": true },
            })
        );
    });
}

#[test]
fn pods_have_what_they_ask_for_and_fit_on_a_node() {
    every_job(|name, step, job| {
        let place = format!("{name}: {step}");
        let resources = &container(job)["resources"];
        assert_eq!(resources["requests"], resources["limits"], "{place}");
        let gib = |key: &str| {
            let text = resources["limits"][key].as_str().unwrap();
            text.strip_suffix("Gi").unwrap().parse::<u32>().unwrap()
        };
        assert_eq!(gib("memory"), if name == "the largest" { 48 } else { 16 }, "{place}");
        assert_eq!(gib("ephemeral-storage"), 4, "{place}");
        assert_eq!(resources["limits"]["cpu"], "8", "{place}");
    });
}

#[test]
fn a_card_is_asked_for_by_the_stages_that_compute_and_by_no_other() {
    every_job(|name, step, job| {
        let place = format!("{name}: {step}");
        let has_card = ["gpu", "any card", "everything"].contains(&name) && COMPUTING.contains(&step);
        let device = has_card.then_some("cuda:0").or((step != "account").then_some("cpu"));
        assert_eq!(argument(job, "--device"), device, "{place}");
        let limits = container(job)["resources"]["limits"].as_object().unwrap();
        assert_eq!(limits.get("nvidia.com/gpu"), has_card.then(|| json!("1")).as_ref(), "{place}");
        let toleration = json!([{ "key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule" }]);
        let or_null = |condition: bool, value: Value| if condition { value } else { Value::Null };
        assert_eq!(pod(job)["tolerations"], or_null(has_card, toleration), "{place}");
        let is_any = name == "any card";
        let selector = json!({ "nvidia.com/gpu.product": "NVIDIA-RTX-A4000" });
        assert_eq!(pod(job)["nodeSelector"], or_null(has_card && !is_any, selector), "{place}");
        assert_eq!(pod(job)["runtimeClassName"], or_null(has_card && !is_any, json!("nvidia")), "{place}");
        let variables = container(job)["env"].to_string();
        assert_eq!(variables.contains("compute,utility"), has_card, "{place}");
    });
}

#[test]
fn the_environment_names_only_places_that_can_be_written() {
    every_job(|name, step, job| {
        let place = format!("{name}: {step}");
        let variables = container(job)["env"].as_array().unwrap();
        let values: BTreeMap<&str, Option<&str>> = variables
            .iter()
            .map(|variable| (variable["name"].as_str().unwrap(), variable["value"].as_str()))
            .collect();
        assert_eq!(values.len(), variables.len(), "{place}: a variable stands twice");
        let has_card = argument(job, "--device") == Some("cuda:0");
        assert_eq!(values["HOME"], Some("/tmp"), "{place}");
        assert_eq!(values["TMPDIR"], Some("/tmp"), "{place}");
        assert_eq!(values["XDG_CACHE_HOME"], Some("/cache"), "{place}");
        assert_eq!(
            values.get("CUDA_CACHE_PATH").copied().flatten(),
            has_card.then_some("/cache/cuda"),
            "{place}"
        );
        assert_eq!(values["SPECMILL_LOG_FORMAT"], Some("json"), "{place}");
        assert_eq!(values["SPECMILL_TERMINATION_MESSAGE"], container(job)["terminationMessagePath"].as_str());
        assert_eq!(container(job)["terminationMessagePolicy"], "FallbackToLogsOnError", "{place}");
        let grace = if name == "the largest" { "1" } else { "110" };
        assert_eq!(values["SPECMILL_GRACE_SECONDS"], Some(grace), "{place}");
        let index = variables.iter().find(|variable| variable["name"] == "JOB_COMPLETION_INDEX");
        let field = json!({
            "apiVersion": "v1",
            "fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']",
        });
        let expected = INDEXED.contains(&step).then_some(&field);
        assert_eq!(index.map(|variable| &variable["valueFrom"]["fieldRef"]), expected, "{place}");
        assert_eq!(job.to_string().contains("$(JOB_COMPLETION_INDEX)"), expected.is_some(), "{place}");
    });
}

#[test]
fn load_alone_has_the_secret_and_the_way_to_the_database() {
    for Rendered { name, objects, .. } in every_rendering() {
        for (step, object) in objects {
            let mentions = object.to_string().contains("specmill-database");
            assert_eq!(mentions, step == "load", "{name}: {step}");
            // The run file speaks of the address, too.
            let reaches = object["kind"] == "NetworkPolicy" && object.to_string().contains("192.0.2.10/32");
            assert_eq!(reaches, step == "network-policy-load", "{name}: {step}");
        }
        let Some(load) = objects.get("load") else { continue };
        assert_eq!(
            container(load)["envFrom"],
            json!([{ "secretRef": { "name": "specmill-database", "optional": false } }])
        );
        let policy = &objects["network-policy-load"]["spec"];
        assert_eq!(policy["policyTypes"], json!(["Egress"]));
        let to = json!([{
            "ports": [{ "port": 5432, "protocol": "TCP" }],
            "to": [{ "ipBlock": { "cidr": "192.0.2.10/32" } }],
        }]);
        assert_eq!(policy["egress"], to);
        for (step, job) in objects.iter().filter(|(_, object)| object["kind"] == "Job") {
            assert_eq!(selects(policy, job), step == "load", "{name}: {step}");
        }
    }
}

/// Whether a policy is about the pods of a Job.
fn selects(policy: &Value, job: &Value) -> bool {
    let labels = job["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
    let wanted = policy["podSelector"]["matchLabels"].as_object().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[test]
fn pods_may_ask_for_names_and_give_metrics_and_nothing_else() {
    for rendered in every_rendering() {
        let Rendered { name, objects, .. } = rendered;
        let policy = &objects["network-policy"]["spec"];
        assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]), "{name}");
        assert!(rendered.jobs().all(|(_, job)| selects(policy, job)), "{name}");
        let namespace = |name: &str| json!([{ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } }]);
        let names_of_hosts = json!({
            "ports": [{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" }],
            "to": namespace("kube-system"),
        });
        let push = json!({
            "ports": [{ "port": 9091, "protocol": "TCP" }],
            "to": [{ "ipBlock": { "cidr": "192.0.2.7/32" } }],
        });
        let scrape = json!([{
            "ports": [{ "port": "metrics", "protocol": "TCP" }],
            "from": namespace("monitoring"),
        }]);
        let (egress, ingress) = match *name {
            "quiet" => (json!([names_of_hosts, push]), Value::Null),
            _ => (json!([names_of_hosts]), scrape),
        };
        assert_eq!(policy["egress"], egress, "{name}");
        assert_eq!(policy["ingress"], ingress, "{name}");
        for (step, job) in rendered.jobs() {
            let port = json!([{ "name": "metrics", "containerPort": 9464, "protocol": "TCP" }]);
            let listens = argument(job, "--metrics-listen").is_some();
            assert_eq!(container(job)["ports"], if listens { port } else { Value::Null }, "{name}: {step}");
        }
    }
}

#[test]
fn a_pushgateway_is_reached_by_address_or_in_its_namespace() {
    let to = |url: &str| {
        let text = format!("job.metrics.pushgateway = {url:?}\n{SPECTRA}");
        let policy = &Rendering::of(&text).objects()["network-policy"]["spec"]["egress"][1];
        (policy["to"][0].clone(), policy["ports"][0]["port"].as_u64())
    };
    let namespace = |name: &str| json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } });
    let block = |cidr: &str| json!({ "ipBlock": { "cidr": cidr } });
    assert_eq!(
        to("http://push.metrics.svc:9091"),
        (namespace("metrics"), None),
        "its pods may listen elsewhere"
    );
    assert_eq!(to("http://push.metrics.svc.cluster.local:80"), (namespace("metrics"), None));
    assert_eq!(to("http://push.metrics:80"), (namespace("metrics"), None));
    assert_eq!(to("http://192.0.2.7:9091"), (block("192.0.2.7/32"), Some(9091)));
    assert_eq!(to("http://[2001:db8::7]:9091"), (block("2001:db8::7/128"), Some(9091)));
}

#[test]
fn objects_are_found_by_their_labels_and_named_within_limits() {
    for Rendered { name, files, objects, .. } in every_rendering() {
        let mut waves = Vec::new();
        for file in files.keys().filter(|file| *file != "kustomization.yaml") {
            let place = format!("{name}: {file}");
            let object = &objects[file[3..].strip_suffix(".yaml").unwrap()];
            let metadata = &object["metadata"];
            assert_eq!(metadata["namespace"], "specmill", "{place}");
            let labels = &metadata["labels"];
            assert_eq!(labels["app.kubernetes.io/name"], "specmill", "{place}");
            assert_eq!(labels["app.kubernetes.io/instance"], "iron", "{place}");
            assert_eq!(labels["app.kubernetes.io/managed-by"], "specmill", "{place}");
            assert_eq!(labels["app.kubernetes.io/part-of"], "iron", "{place}");
            let wave = &metadata["annotations"]["argocd.argoproj.io/sync-wave"];
            waves.push(wave.as_str().unwrap().parse::<u32>().unwrap());
            let step = &labels["app.kubernetes.io/component"];
            if object["kind"] != "Job" {
                assert!(step.is_null(), "{place}");
                continue;
            }
            let step = step.as_str().unwrap();
            assert_eq!(&file[3..], format!("{step}.yaml"), "{place}");
            let of_pods = &object["spec"]["template"]["metadata"]["labels"];
            assert_eq!(of_pods["app.kubernetes.io/component"], step, "{place}");
            assert_eq!(of_pods["app.kubernetes.io/part-of"], "iron", "{place}");
            let digest = metadata["name"].as_str().unwrap().strip_prefix(&format!("iron-{step}-")).unwrap();
            assert!(digest.len() == 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{place}");
        }
        assert!(waves.is_sorted(), "{name}: {waves:?}");
    }
}

#[test]
fn two_runs_never_name_an_object_alike() {
    let names = |run: &str| {
        let objects = Rendering::of(&format!("job.name = {run:?}\n{LOAD}{SPECTRA}")).objects();
        let name = |object: Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        objects.into_values().map(name).collect::<std::collections::BTreeSet<_>>()
    };
    let one = names("iron");
    assert!(one.contains("\"NetworkPolicy\" \"iron.load\""), "{one:?}");
    for other in ["iron-load", "iron-extract", "iron-run-file"] {
        assert!(one.is_disjoint(&names(other)), "{other}");
    }
}

#[test]
fn the_host_name_of_every_pod_is_a_label_even_with_the_longest_name() {
    let run = "a".repeat(35);
    let jobs = Rendering::of(&format!("job.name = {run:?}\njob.shards = 100000\n{LOAD}{SPECTRA}\n[[catalog]]\nname = \"zall-pix\"\nfiles = [\"a.fits\"]")).jobs();
    assert_eq!(jobs.len(), 9);
    for (step, job) in jobs {
        let name = job["metadata"]["name"].as_str().unwrap();
        // Of an Indexed Job the host is <job>-<index>; of another, the pod: <job>-<five characters>.
        let host =
            if INDEXED.contains(&step.as_str()) { format!("{name}-54321") } else { format!("{name}-abcde") };
        assert!(host.len() <= 63, "{host} has {} characters", host.len());
    }
}
