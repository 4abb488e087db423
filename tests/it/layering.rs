//! Who may depend on whom. The table below is the architecture; a new edge is a
//! decision, and this is where it is made.

use serde_json::{Value, json};

use crate::workspace;

/// A crate and the crates of this workspace that it may name.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("schemas", &[]),
    ("store", &["schemas"]),
    ("engine", &["schemas"]),
    ("interop", &["schemas"]),
    ("client", &["schemas"]),
    ("query", &["schemas", "store", "engine"]),
    ("server", &["schemas", "store", "engine", "query", "interop", "client"]),
];

/// Packages that stand outside: they look at everything and nothing looks at them.
const OUTSIDE: &[&str] = &["tests", "benches"];

/// Third-party crates that shape whatever touches them, and the crates that may.
const FENCES: &[(&str, &[&str], &str)] = &[
    ("redb", &["store"], "only the store knows how a project lies on disk"),
    ("salsa", &["query"], "only query decides what is recomputed"),
    ("tantivy", &["query"], "the search index is a derived view"),
    ("cpal", &["engine"], "only the engine talks to audio devices"),
    ("midir", &["engine"], "only the engine talks to MIDI devices"),
    ("tokio", &["server", "client"], "everything below the server is synchronous"),
];

#[test]
fn every_dependency_follows_the_layers() {
    let wrong = violations(&workspace::metadata(&["--no-deps"]));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A crate that a merge dropped from the list of members is built by nobody.
#[test]
fn every_crate_folder_is_a_member() {
    let metadata = workspace::metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap();
    for (folder, _) in DIRECTIONS {
        let there = workspace::root().join(folder).join("Cargo.toml").exists();
        let member = packages.iter().any(|package| package["name"] == format!("pulse-{folder}"));
        assert!(member || !there, "add {folder:?} to `members` in Cargo.toml");
    }
}

/// Clippy reads the nearest file only, so each of these crates links to the one
/// that bans files, clocks and default-hashed maps.
#[test]
fn every_crate_below_the_server_has_its_bans() {
    let bans = workspace::read("clippy-below-server.toml");
    let below =
        DIRECTIONS.iter().map(|row| row.0).filter(|row| !["client", "server"].contains(row));
    for folder in below.filter(|folder| workspace::root().join(folder).is_dir()) {
        let found = workspace::read(&format!("{folder}/clippy.toml"));
        assert!(found == bans, "link {folder}/clippy.toml to ../clippy-below-server.toml");
    }
}

/// One sentence for each edge that the tables don't allow. Dependencies of
/// tests and build scripts count like all others.
fn violations(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some(folder) = name.strip_prefix("pulse-") else {
            wrong
                .push(format!("package `{name}` breaks the naming rule: call it `pulse-<folder>`"));
            continue;
        };
        if OUTSIDE.contains(&folder) {
            continue;
        }
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(known, _)| *known == folder) else {
            wrong.push(format!(
                "`{name}` has no row in DIRECTIONS (tests/it/layering.rs): decide what it may depend on"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array().unwrap();
        let names = dependencies.iter().map(|dependency| dependency["name"].as_str().unwrap());
        wrong.extend(names.filter_map(|dependency| wrong_edge(folder, allowed, dependency)));
    }
    wrong
}

fn wrong_edge(folder: &str, allowed: &[&str], dependency: &str) -> Option<String> {
    if let Some(other) = dependency.strip_prefix("pulse-") {
        let below = if allowed.is_empty() { "nothing".into() } else { allowed.join(", ") };
        return (!allowed.contains(&other)).then(|| {
            format!(
                "`pulse-{folder}` must not depend on `{dependency}`: {folder} stands on {below}"
            )
        });
    }
    let (fenced, homes, reason) = FENCES.iter().find(|(fenced, ..)| *fenced == dependency)?;
    (!homes.contains(&folder)).then(|| {
        let homes = homes.join(" and ");
        format!(
            "`pulse-{folder}` must not depend on `{fenced}`: it lives in {homes}, because {reason}"
        )
    })
}

fn check(package: &str, dependency: &str, expect: &[&str]) {
    let metadata = json!({"packages": [
        {"name": package, "dependencies": [{"name": dependency, "kind": "dev"}]}
    ]});
    assert_eq!(violations(&metadata), expect);
}

#[test]
fn an_async_runtime_in_the_store_is_refused() {
    check(
        "pulse-store",
        "tokio",
        &["`pulse-store` must not depend on `tokio`: it lives in server and client, \
           because everything below the server is synchronous"],
    );
    check("pulse-server", "tokio", &[]);
    check("pulse-tests", "tokio", &[]);
}

#[test]
fn store_and_engine_never_meet() {
    check(
        "pulse-store",
        "pulse-engine",
        &["`pulse-store` must not depend on `pulse-engine`: store stands on schemas"],
    );
    check(
        "pulse-engine",
        "pulse-store",
        &["`pulse-engine` must not depend on `pulse-store`: engine stands on schemas"],
    );
    check(
        "pulse-schemas",
        "pulse-store",
        &["`pulse-schemas` must not depend on `pulse-store`: schemas stands on nothing"],
    );
    check("pulse-query", "pulse-store", &[]);
}

#[test]
fn a_crate_without_a_row_is_refused() {
    check(
        "pulse-misc",
        "serde",
        &["`pulse-misc` has no row in DIRECTIONS (tests/it/layering.rs): \
           decide what it may depend on"],
    );
    check(
        "helpers",
        "serde",
        &["package `helpers` breaks the naming rule: call it `pulse-<folder>`"],
    );
}
