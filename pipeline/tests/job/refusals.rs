//! Run files that a cluster could not follow: refused before anything is written, by the name of the setting.

use super::{CATALOG, LOAD, Rendering, SPECTRA};

/// Every refusal names its setting and what would do instead.
#[track_caller]
fn refuses(settings: &str, key: &str, way_out: &str) {
    let said = Rendering::refused(&format!("{settings}\n{SPECTRA}"));
    assert!(said.contains(&format!("error: {key}: ")), "{settings}: {said}");
    assert!(said.contains(way_out), "{settings}: {said}");
}

#[test]
fn names_that_kubernetes_does_not_take_are_refused() {
    refuses("job.name = \"Iron_Dark\"", "job.name", "as iron-dark");
    refuses("job.name = \"-iron\"", "job.name", "as iron-dark");
    refuses(&format!("job.name = \"{}\"", "a".repeat(36)), "job.name", "1 to 35");
    refuses("job.namespace = \"\"", "job.namespace", "namespace");
    refuses("job.namespace = \"a.b\"", "job.namespace", "namespace");
    refuses("job.image = \"\"", "job.image", "with a tag or digest");
    refuses("job.queue = \"two words\"", "job.queue", "queue");
    refuses("job.gpu.product = \"RTX A4000\"", "job.gpu.product", "kubectl get nodes");
    refuses("job.gpu.runtime_class = \"N\"", "job.gpu.runtime_class", "RuntimeClass");
    refuses("job.storage.input_claim = \"\"", "job.storage.input_claim", "PersistentVolumeClaim");
    refuses("job.storage.lake_claim = \"a..b\"", "job.storage.lake_claim", "PersistentVolumeClaim");
    refuses("job.metrics.namespace = \"\"", "job.metrics.namespace", "namespace");
}

#[test]
fn a_run_file_s_own_name_is_refused_where_it_cannot_name_jobs() {
    let folder = tempfile::TempDir::new().unwrap();
    let run_file = folder.path().join("Iron Dark.toml");
    fs_err::write(&run_file, SPECTRA).unwrap();
    let output = super::render(&run_file, &folder.path().join("rendered"));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("job.name: `Iron Dark`, the run file's name,"), "{said}");
}

#[test]
fn the_longest_name_is_taken() {
    let name = "a".repeat(35);
    let rendering = Rendering::of(&format!("job.name = \"{name}\"\n{SPECTRA}"));
    assert_eq!(rendering.objects()["service-account"]["metadata"]["name"], name.as_str());
}

#[test]
fn amounts_no_cluster_has_are_refused() {
    refuses("job.shards = 0", "job.shards", "1 to 100000");
    refuses("job.shards = 100001", "job.shards", "1 to 100000");
    refuses("job.parallelism = 0", "job.parallelism", "at least 1");
    refuses("job.cpu = 0", "job.cpu", "at least 1");
    refuses("job.scratch_gib = 0", "job.scratch_gib", "at least 1");
    refuses("job.memory_gib = 0", "job.memory_gib", "at least 1");
    refuses("job.memory_gib = 49", "job.memory_gib", "48 at most");
    refuses("job.grace_seconds = 10", "job.grace_seconds", "more than 10");
    refuses("job.ttl_seconds = 3599", "job.ttl_seconds", "at least 3600");
    refuses("job.database.port = 0", "job.database.port", "at least 1");
}

#[test]
fn mounts_that_hide_something_are_refused() {
    for path in
        ["input", "/", "/in/../put", "/in:put", "/tmp", "/tmp/input", "/etc/specmill/input", "/cache", "/dev"]
    {
        let settings = format!("job.storage.input_path = {path:?}");
        let said = Rendering::refused(&format!("{settings}\n{SPECTRA}"));
        assert!(said.contains("error: job.storage.input_path: "), "{settings}: {said}");
    }
    refuses("job.storage.input_path = \"/lake\"", "job.storage", "lie in each other");
    refuses("job.storage.input_path = \"/lake/input\"", "job.storage", "lie in each other");
}

#[test]
fn paths_that_pods_do_not_have_are_refused_by_their_key() {
    let refuses = |settings: &str, key: &str| {
        let said = Rendering::refused(settings);
        assert!(said.contains(&format!("error: {key}: ")), "{settings}: {said}");
        assert!(said.contains("job.storage.lake_path"), "{settings}: {said}");
    };
    refuses("input.root = \"/input\"\n", "output.folder");
    refuses("input.root = \"/input\"\noutput.folder = \"/input/run\"\n", "output.folder");
    refuses("input.root = \"/input\"\noutput.folder = \"/lake/../run\"\n", "output.folder");
    refuses("input.root = \"/lakes\"\noutput.folder = \"/lake/run\"\n", "input.root");
    refuses("input.root = \"data-samples\"\noutput.folder = \"/lake/run\"\n", "input.root");
    refuses("input.files = [\"/input/a.fits\", \"b.fits\"]\noutput.folder = \"/lake/run\"\n", "input.files");
    refuses(&format!("input.declarations = [\"mine.toml\"]\n{SPECTRA}"), "input.declarations");
    refuses(
        &format!("redshifts.source = \"catalog\"\nredshifts.path = \"z.fits\"\n{SPECTRA}"),
        "redshifts.path",
    );
    refuses(&format!("models.galaxy.folder = \"/models/a\"\n{SPECTRA}"), "models.galaxy.folder");
    refuses(&format!("models.qso.folder = \"models\"\n{SPECTRA}"), "models.qso.folder");
    refuses(&CATALOG.replace("/input/", "zcatalog/"), "catalog.files");
    let catalog = "\n[[catalog]]\nname = \"zall-pix\"\nfiles = ";
    refuses(&format!("{SPECTRA}{catalog}[\"../zall.fits\"]\n"), "catalog.files");
    Rendering::of(&format!("{SPECTRA}{catalog}[\"zcatalog/zall-*.fits\", \"/lake/zall.fits\"]\n"));
}

#[test]
fn a_run_without_input_is_refused() {
    let said = Rendering::refused("output.folder = \"/lake/run\"\n");
    assert!(said.contains("error: input: "), "{said}");
    let said = Rendering::refused(&format!("output.folder = \"/lake/run\"\n{LOAD}"));
    assert!(said.contains("error: input: "), "{said}");
}

#[test]
fn load_without_the_database_s_addresses_is_refused() {
    refuses("load.enabled = true", "job.database.cidr", "load.enabled = false");
    for cidr in ["db.example.org", "192.0.2.10", "192.0.2.10/33", "192.0.2/24", "2001:db8::/129"] {
        let settings = format!("load.enabled = true\njob.database.cidr = [{cidr:?}]");
        refuses(&settings, "job.database.cidr", "192.0.2.10/32");
    }
    refuses(&format!("{LOAD}job.database.secret = \"\""), "job.database.secret", "Secret");
}

#[test]
fn a_pushgateway_that_no_policy_can_name_is_refused() {
    for url in [
        "pushgateway:9091",
        "http://pushgateway:9091",
        "https://a.b.svc:9091",
        "http://a.b.svc",
        "http://a.b.org.x:1",
    ] {
        refuses(&format!("job.metrics.pushgateway = {url:?}"), "job.metrics.pushgateway", "http://HOST:PORT");
    }
}

#[test]
fn settings_of_the_run_itself_are_checked_before_a_pod_is_started() {
    refuses("extract.mask_rule = \"desi\"", "extract.mask_rule", "use dr1, masked or 0.70");
    refuses(
        "grids.star.min_aa = -1.0\ngrids.star.max_aa = 9850.0\ngrids.star.dlog10 = 1e-4",
        "grids.star",
        "plan",
    );
    refuses("neighbors.k = 0", "neighbors.k, neighbors.score_k", "score_k");
    refuses("models.qso.components = 65", "models.qso", "between 1 and 64");
}
