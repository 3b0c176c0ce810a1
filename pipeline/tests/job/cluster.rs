//! What a cluster must have before: jobs/cluster, beside the example that needs it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::project;

/// The objects of a file of jobs/cluster.
fn objects(file: &str) -> Vec<Value> {
    let text = fs_err::read_to_string(project().join("jobs/cluster").join(file)).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// The Job of a step of jobs/rendered.
fn rendered(file: &str) -> Value {
    let text = fs_err::read_to_string(project().join("jobs/rendered").join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn the_rights_of_submit_are_named_one_by_one_in_one_namespace() {
    let [role, binding] = &objects("role.yaml")[..] else { panic!("a role and who has it") };
    assert_eq!((&role["kind"], &binding["kind"]), (&json!("Role"), &json!("RoleBinding")));
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in rule["resources"].as_array().unwrap() {
            for verb in rule["verbs"].as_array().unwrap() {
                rights.insert(format!("{} {}", verb.as_str().unwrap(), resource.as_str().unwrap()));
            }
        }
    }
    let expected = [
        "create configmaps",
        "create jobs",
        "create networkpolicies",
        "create serviceaccounts",
        "delete configmaps",
        "delete jobs",
        "delete networkpolicies",
        "get jobs",
        "get pods",
        "get pods/log",
        "list configmaps",
        "list jobs",
        "list networkpolicies",
        "list pods",
        "patch configmaps",
        "patch networkpolicies",
        "patch serviceaccounts",
    ];
    assert_eq!(rights.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn everything_is_in_the_namespace_of_the_example_and_it_is_restricted() {
    let namespace = rendered("30-extract.yaml")["metadata"]["namespace"].clone();
    for object in ["role.yaml", "volumes.yaml", "quota.yaml"].iter().flat_map(|file| objects(file)) {
        let is_of_cluster = object["kind"] == "PersistentVolume";
        let place = if is_of_cluster { &object["spec"]["claimRef"] } else { &object["metadata"] };
        assert_eq!(place["namespace"], namespace, "{}", object["kind"]);
    }
    let metadata = &objects("namespace.yaml")[0]["metadata"];
    assert_eq!(metadata["name"], namespace);
    assert_eq!(metadata["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
}

#[test]
fn the_claims_of_the_example_are_there_and_the_release_is_never_written_to() {
    let volumes = objects("volumes.yaml");
    let claim = |name: &Value| {
        let is_it = |object: &&Value| {
            object["kind"] == "PersistentVolumeClaim" && object["metadata"]["name"] == *name
        };
        let claim = volumes.iter().find(is_it).expect("the claim is in volumes.yaml");
        let volume = volumes.iter().find(|object| {
            object["kind"] == "PersistentVolume" && object["metadata"]["name"] == claim["spec"]["volumeName"]
        });
        let volume = volume.expect("its volume, too");
        assert_eq!(volume["spec"]["claimRef"]["name"], claim["metadata"]["name"]);
        assert_eq!(volume["spec"]["accessModes"], claim["spec"]["accessModes"]);
        volume
    };
    let job = rendered("30-extract.yaml");
    let mounted = |place: usize| {
        let volumes = &job["spec"]["template"]["spec"]["volumes"];
        volumes[place]["persistentVolumeClaim"]["claimName"].clone()
    };
    let (input, lake) = (claim(&mounted(1)), claim(&mounted(2)));
    assert_eq!(input["spec"]["accessModes"], json!(["ReadOnlyMany"]));
    assert_eq!(input["spec"]["nfs"]["readOnly"], true);
    assert_eq!(lake["spec"]["accessModes"], json!(["ReadWriteMany"]));
}

#[test]
fn the_example_fits_into_the_quota() {
    let quota = objects("quota.yaml");
    let hard = &quota[0]["spec"]["hard"];
    let spec = &rendered("30-extract.yaml")["spec"];
    let limits = &spec["template"]["spec"]["containers"][0]["resources"]["limits"];
    let amount = |value: &Value| {
        let text = value.as_str().unwrap();
        text.strip_suffix("Gi").unwrap_or(text).parse::<u64>().unwrap()
    };
    let pods = spec["parallelism"].as_u64().unwrap();
    for key in ["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"] {
        let allowed = amount(&hard[format!("requests.{key}")]);
        assert!(pods * amount(&limits[key]) <= allowed, "{key}");
    }
    let most = &quota[1]["spec"]["limits"][0]["max"];
    assert!(amount(&limits["memory"]) <= amount(&most["memory"]));
    assert!(amount(&limits["cpu"]) <= amount(&most["cpu"]));
}
