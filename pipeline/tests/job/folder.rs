//! The folder that `job render` writes.

use super::{LOAD, Rendering, SPECTRA, files_of, project, render};

#[test]
fn the_rendered_example_is_fresh() {
    let folder = tempfile::TempDir::new().unwrap();
    let output = render(&project().join("jobs/runs/cluster.toml"), folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (fresh, committed) = (files_of(folder.path()), files_of(&project().join("jobs/rendered")));
    assert!(
        fresh == committed,
        "jobs/rendered is stale: run `specmill job render jobs/runs/cluster.toml --out jobs/rendered`"
    );
}

#[test]
fn the_same_run_file_gives_the_same_bytes() {
    let text = format!("{SPECTRA}{LOAD}");
    assert_eq!(Rendering::of(&text).files(), Rendering::of(&text).files());
}

#[test]
fn files_stand_in_the_order_of_their_steps() {
    let rendering = Rendering::of(&format!("{SPECTRA}{LOAD}"));
    let names: Vec<String> = rendering.files().into_keys().collect();
    let expected = [
        "00-service-account.yaml",
        "01-run-file.yaml",
        "02-network-policy.yaml",
        "03-network-policy-load.yaml",
        "10-inventory.yaml",
        "30-extract.yaml",
        "40-fit-basis.yaml",
        "50-embed.yaml",
        "60-neighbors.yaml",
        "70-load.yaml",
        "80-account.yaml",
        "kustomization.yaml",
    ];
    assert_eq!(names, expected);
}

#[test]
fn kustomization_lists_every_manifest_in_order() {
    let files = Rendering::of(SPECTRA).files();
    let list: serde_json::Value = serde_saphyr::from_str(&files["kustomization.yaml"]).unwrap();
    let resources: Vec<&str> =
        list["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let manifests: Vec<&str> =
        files.keys().map(String::as_str).filter(|name| *name != "kustomization.yaml").collect();
    assert_eq!(resources, manifests);
}

#[test]
fn a_step_no_longer_asked_for_is_removed_and_other_files_stay() {
    let rendering = Rendering::of(&format!("{SPECTRA}{LOAD}"));
    let mine = rendering.path().join("90-mine.yaml");
    fs_err::write(&mine, "kind: ConfigMap\n").unwrap();
    let output = rendering.again(SPECTRA);
    let said = String::from_utf8(output.stdout).unwrap();
    for removed in ["03-network-policy-load.yaml", "70-load.yaml"] {
        assert!(!rendering.path().join(removed).exists());
        let says_so = |line: &str| line.contains(removed) && line.contains("removed");
        assert!(said.lines().any(says_so), "{said}");
    }
    assert_eq!(fs_err::read_to_string(mine).unwrap(), "kind: ConfigMap\n");
    let mut files = rendering.files();
    files.remove("90-mine.yaml");
    assert_eq!(files, Rendering::of(SPECTRA).files());
}

#[test]
fn a_file_of_somebody_else_is_not_written_over() {
    let rendering = Rendering::of(SPECTRA);
    let theirs = rendering.path().join("kustomization.yaml");
    fs_err::write(&theirs, "resources: []\n").unwrap();
    let before = rendering.files();
    let output = rendering.again(&format!("{SPECTRA}{LOAD}"));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(theirs.to_str().unwrap()), "{said}");
    assert_eq!(rendering.files(), before);
}

#[test]
fn the_run_file_is_in_the_cluster_as_it_was_written() {
    // What a reader of YAML would take for something else, or lose.
    let text = format!(
        "# comment: yes\n\n{SPECTRA}\t\n#   trailing   \n# - {{x: 1}} # \"q\" 'q' \\ \u{e5}\u{3b1}\n[job] # end\nttl_seconds = 3600"
    );
    for text in [text.clone(), format!("{text}\n"), format!("{text}\n\n\n"), format!("\n  {text}\n")] {
        let objects = Rendering::of(&text).objects();
        assert_eq!(objects["run-file"]["data"]["run.toml"], text.as_str());
        assert_eq!(objects["run-file"]["immutable"], true);
    }
}

#[test]
fn another_run_file_has_another_config_map_and_jobs_that_see_it() {
    let name = |rendering: &Rendering, object: &str| {
        rendering.objects()[object]["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let (one, other) = (Rendering::of(SPECTRA), Rendering::of(&format!("# more\n{SPECTRA}")));
    for object in ["run-file", "inventory", "extract", "account"] {
        assert_ne!(name(&one, object), name(&other, object));
    }
    for object in ["service-account", "network-policy"] {
        assert_eq!(one.objects()[object], other.objects()[object]);
    }
    for rendering in [&one, &other] {
        let config_map = name(rendering, "run-file");
        for (step, job) in rendering.jobs() {
            let volumes = &job["spec"]["template"]["spec"]["volumes"];
            assert_eq!(volumes[0]["configMap"]["name"], config_map.as_str(), "{step}");
        }
    }
}

#[test]
fn rendering_says_what_it_wrote_and_what_comes_next() {
    let folder = tempfile::TempDir::new().unwrap();
    let run_file = project().join("jobs/runs/cluster.toml");
    let output = render(&run_file, folder.path());
    let said = String::from_utf8(output.stdout).unwrap();
    for file in files_of(folder.path()).keys() {
        assert!(said.contains(file.as_str()), "{file}: {said}");
    }
    assert!(said.contains("extract in 64 shards, 4 at a time"), "{said}");
    assert!(said.contains("catalog-keys in one pod"), "{said}");
    assert!(said.contains(&format!("specmill job submit {}", run_file.display())), "{said}");
}
