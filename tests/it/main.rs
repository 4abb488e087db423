//! One file per journey of a user, and one per rule of the workspace.

mod ahead;
mod bad_input;
mod bounces;
mod cli;
mod compat;
mod demo;
mod docs;
mod drafts;
mod generated;
mod gestures;
mod golden;
mod harness;
mod kill_loop;
mod layering;
mod licences;
mod limits;
mod listening;
mod media;
mod meters;
mod python_example;
mod renders;
mod replay;
mod robustness;
mod serve;
mod setup;
mod storm;
mod together;
mod workspace;

/// A file that is not declared above would never run, and nobody would notice.
#[test]
fn every_file_of_this_folder_is_declared_here() {
    let folder = workspace::root().join("tests/it");
    let main = include_str!("main.rs");
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        let declared = main.lines().any(|line| line.trim() == format!("mod {module};"));
        if module != "main" && !declared {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "add `mod …;` to tests/it/main.rs for {missing:?}");
}
