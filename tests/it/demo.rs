//! The story that the README begins with.

use serde_json::Value;

use crate::harness::{run, run_json};

#[test]
fn the_demo_tells_its_whole_story_and_comes_back_to_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let told = run_json(dir.path(), &["demo"]);
    let steps = told["steps"].as_array().unwrap();
    let renders: Vec<&Value> =
        steps.iter().map(|step| &step["render"]).filter(|render| render.is_object()).collect();
    assert_eq!(renders.len(), 5, "{told}");
    let rendered = |at: usize| renders[at]["segments"]["rendered"].as_u64().unwrap();
    let total = renders[0]["segments"]["total"].as_u64().unwrap();
    assert!(rendered(0) > total / 2, "{told}");
    assert_eq!((rendered(1), rendered(4)), (0, 0), "what is known is not made again: {told}");
    assert!(rendered(2) > 0 && rendered(3) < total / 2, "{told}");
    assert!(renders.iter().all(|render| render["failed_nodes"] == Value::Array(Vec::new())));
    let merge = steps.iter().find(|step| step["conflicts"].is_u64()).unwrap();
    assert_eq!(merge["conflicts"], 1, "{told}");

    let sound = |name: &str| dir.path().join("pulse-demo/Renders").join(name);
    let length = |name: &str| std::fs::metadata(sound(name)).unwrap().len();
    assert!(length("1-song.wav") > 1_000_000);
    assert!(length("4-difference/difference.wav") > 1_000_000);
    assert_eq!(
        std::fs::read(sound("3-merged.wav")).unwrap(),
        std::fs::read(sound("5-undone.wav")).unwrap()
    );
    let status = run_json(dir.path(), &["-p", "pulse-demo", "status"]);
    assert_eq!(status["conflicts"], 0, "{status}");
}

#[test]
fn a_demo_takes_the_place_of_a_demo_only() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    let refused = run(dir.path(), &["demo", "mine"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("is no demo; choose another folder"), "{told}");
}

#[test]
fn the_device_that_needs_no_hardware_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let listed = run_json(dir.path(), &["devices"]);
    let devices = listed["devices"].as_array().unwrap();
    let null = devices.iter().find(|device| device["host"] == "null").unwrap();
    assert_eq!(null["name"], "null");
    let page = run(dir.path(), &["devices"]);
    assert!(String::from_utf8_lossy(&page.stdout).contains("null"), "{page:?}");
}
