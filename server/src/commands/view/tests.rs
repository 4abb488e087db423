use pulse_query::view::delta;
use serde_json::{Value, json};

use crate::commands::testing::Project;

fn get(project: &mut Project, query: Value) -> Value {
    project.ok("view.get", json!({ "query": query }))["state"].take()
}

fn project() -> (Project, Value) {
    let mut project = Project::new();
    let made = project.ok("track.create", json!({"name": "Bass", "nodes": ["pulse.eq"]}));
    (project, made)
}

#[test]
fn every_view_answers_in_an_empty_and_in_a_small_project() {
    let (mut small, made) = project();
    for (project, made) in [(&mut Project::new(), None), (&mut small, Some(&made))] {
        for info in project.ok("view.list", json!({}))["views"].as_array().unwrap() {
            let name = info["view"].as_str().unwrap();
            let subject = match (name, made) {
                ("track", Some(made)) => made["track"].clone(),
                ("automation", Some(made)) => made["lane"].clone(),
                ("track" | "automation" | "clip", _) => continue,
                _ => Value::Null,
            };
            let state = get(project, json!({"view": name, "subject": subject}));
            assert!(state["hash"].is_string() && state["data"].is_object(), "{name}: {state}");
        }
    }
}

#[test]
fn views_show_what_was_made() {
    let (mut project, made) = project();
    let arrangement = get(&mut project, json!({"view": "arrangement"}));
    assert_eq!(arrangement["data"]["tracks"][0]["name"], "Bass");
    assert_eq!(arrangement["data"]["tracks"][0]["id"], made["track"]);
    let mixer = get(&mut project, json!({"view": "mixer"}));
    let channels = mixer["data"]["channels"].as_array().unwrap();
    assert_eq!(channels[0]["nodes"][0]["nodeKind"], "pulse.eq");
    assert_eq!(channels.last().unwrap()["channelKind"], "master");
    let history = get(&mut project, json!({"view": "history"}));
    assert_eq!(history["data"]["entries"][0]["command"], "track.create");
}

#[test]
fn a_view_of_an_older_revision_stays_as_it_was() {
    let (mut project, made) = project();
    let op = format!("op:{}", project.session.project().unwrap().seq());
    let query = json!({"view": "arrangement", "rev": op});
    let before = get(&mut project, query.clone());
    project.ok("track.rename", json!({"track": made["track"], "name": "Low end"}));
    assert_eq!(get(&mut project, query)["hash"], before["hash"]);
    assert_ne!(get(&mut project, json!({"view": "arrangement"}))["hash"], before["hash"]);
}

#[test]
fn a_wrong_subject_is_told_with_what_would_be_right() {
    let (mut project, made) = project();
    let ask = |query: Value| json!({ "query": query });
    project.refused("view.get", ask(json!({"view": "clip"})), "payload.invalid");
    let query = json!({"view": "clip", "subject": made["track"]});
    let error = project.refused("view.get", ask(query), "entity.wrongKind");
    assert!(error.message.contains("is about a clip"), "{}", error.message);
    let gone = json!({"view": "track", "subject": "trk_00000000000000000000000000"});
    project.refused("view.get", ask(gone), "entity.notFound");
}

#[test]
fn undo_brings_back_the_hash_of_a_view() {
    let (mut project, made) = project();
    let mixer = json!({"view": "mixer"});
    let before = get(&mut project, mixer.clone());
    project.ok("track.rename", json!({"track": made["track"], "name": "Low end"}));
    let between = get(&mut project, mixer.clone());
    assert_ne!(before["hash"], between["hash"]);
    project.ok("history.undo", json!({}));
    let after = get(&mut project, mixer);
    assert_eq!(before["hash"], after["hash"]);
    assert_eq!(before["data"], after["data"]);
    let mut same = before["data"].clone();
    delta::apply(&mut same, &[]).unwrap();
    assert_eq!(same, after["data"]);
}
