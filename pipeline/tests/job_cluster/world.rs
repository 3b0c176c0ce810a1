//! What the stand-in holds, and how it answers.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::Role;
use serde::Serialize;
use serde_json::{Value, json};

use super::controller::{Script, is_over};

/// The namespace of all tests.
pub(crate) const NAMESPACE: &str = "mill";

/// The label that all objects of a run are found by.
const PART_OF: &str = "app.kubernetes.io/part-of";

/// A request.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) is_text: bool,
}

impl Reply {
    fn of(code: u16, object: &impl Serialize) -> Self {
        Self { code, body: serde_json::to_vec(object).unwrap(), is_text: false }
    }

    /// As the API server says no.
    pub(crate) fn status(code: u16, reason: &str, message: &str, details: Value) -> Self {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "details": details, "code": code,
        });
        Self::of(code, &status)
    }
}

/// A cluster.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) pods: BTreeMap<String, Pod>,
    /// What pods that were carried out have said.
    pub(crate) logs: BTreeMap<String, String>,
    /// All else, by resource and name.
    pub(crate) others: BTreeMap<(String, String), Value>,
    /// What was done to objects: `create jobs demo-extract-…`.
    pub(crate) deeds: Vec<String>,
    /// What was asked that the Role does not allow; `deny` is not of it.
    pub(crate) violations: Vec<String>,
    /// A verb and a resource that this account lacks.
    pub(crate) deny: Option<(&'static str, &'static str)>,
    /// The token that lets one in; anybody comes in where there is none.
    pub(crate) token: Option<String>,
    /// Whether the namespace is missing.
    pub(crate) no_namespace: bool,
    /// Objects of one answer to `list`, at most.
    pub(crate) page: Option<usize>,
    /// How Jobs go on.
    pub(crate) script: Script,
    /// Pods of deleted Jobs that are still ending, with how many looks they are still there for.
    pub(crate) ending: BTreeMap<String, u32>,
    /// Requests answered.
    pub(crate) requests: usize,
    pub(super) made: u32,
    rules: Vec<(String, String, String)>,
}

/// A resource in the path of a request.
struct Target {
    group: String,
    resource: String,
    name: Option<String>,
    part: Option<String>,
}

impl World {
    /// Answers a request.
    pub(crate) fn answer(&mut self, request: &Request) -> Reply {
        self.requests += 1;
        let wanted = self.token.as_ref().map(|token| format!("Bearer {token}"));
        if wanted.is_some() && request.headers.get("authorization") != wanted.as_ref() {
            return Reply::status(401, "Unauthorized", "Unauthorized", json!({}));
        }
        let Some(target) = Target::parse(&request.path) else {
            self.violations.push(format!("{} {}", request.method, request.path));
            return Reply::status(404, "NotFound", "no such path", json!({}));
        };
        let verb = match (request.method.as_str(), &target.name) {
            ("GET", Some(_)) => "get",
            ("GET", None) => "list",
            ("POST", _) => "create",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            (method, _) => panic!("{method} {}", request.path),
        };
        if let Some(refusal) = self.refuse(verb, &target) {
            return refusal;
        }
        match (verb, target.resource.as_str()) {
            ("patch", _) => self.apply(&target, request),
            ("get", "jobs") => self.get_job(&target.name.unwrap()),
            ("list", "jobs") => self.list_jobs(request),
            ("create", "jobs") => self.create_job(request),
            ("delete", "jobs") => self.delete_job(&target.name.unwrap(), request),
            ("list", "configmaps") => self.list_others("v1", "ConfigMapList", &target, request),
            ("list", "networkpolicies") => {
                self.list_others("networking.k8s.io/v1", "NetworkPolicyList", &target, request)
            }
            ("delete", "configmaps" | "networkpolicies") => self.delete_other(target, request),
            ("list", "pods") => self.list_pods(request),
            ("get", "pods") if target.part.as_deref() == Some("log") => self.log(&target.name.unwrap()),
            (verb, resource) => panic!("nobody needs to {verb} {resource}"),
        }
    }

    /// What happened, without the digests in names.
    pub(crate) fn history(&self) -> Vec<String> {
        self.deeds.iter().map(|deed| without_digest(deed)).collect()
    }

    fn refuse(&mut self, verb: &'static str, target: &Target) -> Option<Reply> {
        let part = target.part.as_ref().map_or_else(String::new, |part| format!("/{part}"));
        let resource = format!("{}{part}", target.resource);
        // Applying what is not there yet is making it.
        let verbs = if verb == "patch" { vec!["patch", "create"] } else { vec![verb] };
        for verb in verbs {
            let is_allowed = self.is_allowed(verb, &target.group, &resource);
            if !is_allowed {
                self.violations.push(format!("{verb} {resource} in group {:?}", target.group));
            }
            if !is_allowed || self.deny == Some((verb, resource.as_str())) {
                let message = format!(
                    "{resource} is forbidden: User \"ada\" cannot {verb} resource \"{resource}\" in API group \"{}\" in \
                     the namespace \"{NAMESPACE}\"",
                    target.group
                );
                return Some(Reply::status(403, "Forbidden", &message, json!({ "kind": resource })));
            }
        }
        None
    }

    /// Whether the Role that `jobs/cluster` holds has this right.
    fn is_allowed(&mut self, verb: &str, group: &str, resource: &str) -> bool {
        if self.rules.is_empty() {
            self.rules = rules();
        }
        self.rules
            .iter()
            .any(|rule| (rule.0.as_str(), rule.1.as_str(), rule.2.as_str()) == (verb, group, resource))
    }

    fn apply(&mut self, target: &Target, request: &Request) -> Reply {
        if let Some(missing) = self.missing_namespace() {
            return missing;
        }
        assert_eq!(request.headers["content-type"], "application/apply-patch+yaml");
        assert_eq!(request.query["fieldManager"], "specmill");
        assert_eq!(request.query["force"], "true");
        let name = target.name.clone().unwrap();
        let mut object: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(object["metadata"]["name"], json!(name));
        assert_eq!(object["metadata"]["namespace"], json!(NAMESPACE));
        for key in ["apiVersion", "kind"] {
            assert!(object[key].is_string(), "{object}");
        }
        let key = (target.resource.clone(), name);
        object["metadata"]["uid"] = json!(format!("uid-of-{}", key.1));
        if let Some(before) = self.others.get(&key)
            && before["immutable"] == json!(true)
            && before["data"] != object["data"]
        {
            return Reply::status(422, "Invalid", "field is immutable when `immutable` is set", json!({}));
        }
        self.deeds.push(format!("apply {} {}", key.0, key.1));
        self.others.insert(key, object.clone());
        Reply::of(200, &object)
    }

    fn missing_namespace(&self) -> Option<Reply> {
        let message = format!("namespaces \"{NAMESPACE}\" not found");
        let details = json!({ "name": NAMESPACE, "kind": "namespaces" });
        self.no_namespace.then(|| Reply::status(404, "NotFound", &message, details))
    }

    fn get_job(&mut self, name: &str) -> Reply {
        self.tick(name);
        match self.jobs.get(name) {
            Some(job) => Reply::of(200, job),
            None => not_found("jobs.batch", name),
        }
    }

    fn create_job(&mut self, request: &Request) -> Reply {
        if let Some(missing) = self.missing_namespace() {
            return missing;
        }
        let job: Job = serde_json::from_slice(&request.body).unwrap();
        let name = job.metadata.name.clone().unwrap();
        assert_eq!(job.metadata.namespace.as_deref(), Some(NAMESPACE));
        if self.jobs.contains_key(&name) {
            let message = format!("jobs.batch \"{name}\" already exists");
            return Reply::status(409, "AlreadyExists", &message, json!({ "name": name, "kind": "jobs" }));
        }
        let at_work = self.jobs.values().filter(|job| !is_over(job)).count();
        assert_eq!(at_work, 0, "{name} is made before what comes before it is over");
        self.deeds.push(format!("create jobs {name}"));
        let job = self.admit(job);
        let reply = Reply::of(201, &job);
        self.jobs.insert(name, job);
        reply
    }

    fn delete_job(&mut self, name: &str, request: &Request) -> Reply {
        let Some(job) = self.jobs.get(name) else { return not_found("jobs.batch", name) };
        check_deletion(request, &json!(job.metadata.uid));
        self.deeds.push(format!("delete jobs {name}"));
        self.remove(name);
        deleted()
    }

    fn list_others(&self, version: &str, kind: &str, target: &Target, request: &Request) -> Reply {
        let others = self.others.iter().filter(|((resource, _), object)| {
            let labels = serde_json::from_value(object["metadata"]["labels"].clone()).unwrap();
            *resource == target.resource && is_selected(&labels, request.query.get("labelSelector"))
        });
        self.list(version, kind, others.map(|(_, object)| object).collect(), request)
    }

    fn delete_other(&mut self, target: Target, request: &Request) -> Reply {
        let key = (target.resource, target.name.unwrap());
        let Some(object) = self.others.get(&key) else { return not_found(&key.0, &key.1) };
        check_deletion(request, &object["metadata"]["uid"]);
        let uses = |pod: &&Pod| pod.metadata.labels.as_ref().unwrap().contains_key(PART_OF);
        assert_eq!(self.pods.values().filter(uses).count(), 0, "{} is deleted while pods use it", key.1);
        self.deeds.push(format!("delete {} {}", key.0, key.1));
        self.others.remove(&key);
        deleted()
    }

    fn list_jobs(&self, request: &Request) -> Reply {
        let jobs = self.jobs.values().filter(|job| {
            let labels = job.metadata.labels.clone().unwrap_or_default();
            is_selected(&labels, request.query.get("labelSelector"))
        });
        self.list("batch/v1", "JobList", jobs.collect(), request)
    }

    fn list_pods(&mut self, request: &Request) -> Reply {
        self.end_pods();
        let pods = self.pods.values().filter(|pod| {
            let labels = pod.metadata.labels.clone().unwrap_or_default();
            let phase = pod.status.as_ref().unwrap().phase.clone().unwrap();
            is_selected(&labels, request.query.get("labelSelector"))
                && is_in_phase(&phase, request.query.get("fieldSelector"))
        });
        self.list("v1", "PodList", pods.collect(), request)
    }

    /// A piece of a list; the token of the next one is where it begins.
    fn list<T: Serialize>(&self, version: &str, kind: &str, items: Vec<&T>, request: &Request) -> Reply {
        let limit: usize = request.query["limit"].parse().unwrap();
        let from: usize = request.query.get("continue").map_or(0, |token| token.parse().unwrap());
        let to = items.len().min(from + limit.min(self.page.unwrap_or(limit)));
        let next = if to < items.len() { json!({ "continue": to.to_string() }) } else { json!({}) };
        let piece = &items[from.min(to)..to];
        Reply::of(200, &json!({ "apiVersion": version, "kind": kind, "metadata": next, "items": piece }))
    }

    fn log(&self, pod: &str) -> Reply {
        let Some(found) = self.pods.get(pod) else { return not_found("pods", pod) };
        if found.status.as_ref().unwrap().phase.as_deref() == Some("Pending") {
            let message =
                format!("container \"specmill\" in pod \"{pod}\" is waiting to start: ContainerCreating");
            return Reply::status(400, "BadRequest", &message, json!({}));
        }
        let said = self.logs.get(pod).cloned().unwrap_or_else(|| format!("{{\"message\":\"all of {pod}\"}}"));
        Reply { code: 200, body: said.into_bytes(), is_text: true }
    }
}

impl Target {
    /// Only what is in the namespace of the tests.
    fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, "v1", rest @ ..] => (*group, rest),
            _ => return None,
        };
        let ["namespaces", NAMESPACE, resource, rest @ ..] = rest else { return None };
        let owned = |part: &&str| (*part).to_owned();
        Some(Self {
            group: group.to_owned(),
            resource: (*resource).to_owned(),
            name: rest.first().map(owned),
            part: rest.get(1).map(owned),
        })
    }
}

/// With pods, and nothing else that has the name by now.
fn check_deletion(request: &Request, uid: &Value) {
    let options: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(options["propagationPolicy"], json!("Background"), "{options}");
    assert_eq!(options["preconditions"]["uid"], *uid, "{options}");
}

fn deleted() -> Reply {
    Reply::of(200, &json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }))
}

fn not_found(resource: &str, name: &str) -> Reply {
    let kind = resource.split('.').next();
    let message = format!("{resource} \"{name}\" not found");
    Reply::status(404, "NotFound", &message, json!({ "name": name, "kind": kind }))
}

/// Verb, group and resource of everything that the Role allows.
fn rules() -> Vec<(String, String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../jobs/cluster/role.yaml");
    let text = fs_err::read_to_string(path).unwrap();
    let documents = text.split("\n---\n").filter(|document| document.contains("\nkind: Role\n"));
    let mut allowed = BTreeSet::new();
    for document in documents {
        let role: Role = serde_saphyr::from_str(document).unwrap();
        for rule in role.rules.unwrap() {
            assert_eq!(rule.resource_names, None, "objects have other names every time");
            for verb in &rule.verbs {
                for group in rule.api_groups.as_ref().unwrap() {
                    for resource in rule.resources.as_ref().unwrap() {
                        assert!(![verb, group, resource].iter().any(|word| *word == "*"));
                        allowed.insert((verb.clone(), group.clone(), resource.clone()));
                    }
                }
            }
        }
    }
    assert!(!allowed.is_empty(), "{path} holds no Role");
    allowed.into_iter().collect()
}

/// Whether labels fit a selector of `key=value` and `key in (one,other)`.
fn is_selected(labels: &BTreeMap<String, String>, selector: Option<&String>) -> bool {
    let selector = selector.expect("no list is asked for without labels");
    let mut rest = selector.as_str();
    while !rest.is_empty() {
        let key_end = rest.find(['=', ' ']).unwrap();
        let (key, after) = rest.split_at(key_end);
        let (wanted, next): (Vec<&str>, &str) = match after.strip_prefix(" in (") {
            Some(set) => {
                let (set, next) = set.split_once(')').unwrap();
                (set.split(',').collect(), next)
            }
            None => {
                let value = after.strip_prefix('=').unwrap();
                let end = value.find(',').unwrap_or(value.len());
                (vec![&value[..end]], &value[end..])
            }
        };
        if !labels.get(key).is_some_and(|value| wanted.contains(&value.as_str())) {
            return false;
        }
        rest = next.trim_start_matches(',');
    }
    true
}

fn is_in_phase(phase: &str, selector: Option<&String>) -> bool {
    selector.map_or("", String::as_str).split(',').filter(|term| !term.is_empty()).all(|term| {
        match (term.strip_prefix("status.phase!="), term.strip_prefix("status.phase=")) {
            (Some(other), _) => phase != other,
            (None, Some(same)) => phase == same,
            (None, None) => panic!("{term}"),
        }
    })
}

/// `demo-extract-0a1b2c3d-0-x` as `demo-extract-0-x`.
pub(crate) fn without_digest(text: &str) -> String {
    let is_digest = |part: &&str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split('-').filter(|part| !is_digest(part)).collect::<Vec<_>>().join("-")
}
