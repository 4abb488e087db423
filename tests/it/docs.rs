//! The documents name things that exist.

use std::path::{Path, PathBuf};

use crate::workspace;

/// Every Markdown file outside build folders.
fn documents() -> Vec<PathBuf> {
    let root = workspace::root();
    let mut found: Vec<PathBuf> = markdown_in(&root);
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        found.extend(markdown_in(&folder));
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| path.is_dir()));
    }
    found
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// The targets of `[text](target)` outside code blocks.
fn links(text: &str) -> Vec<&str> {
    let mut inside_code = false;
    let lines = text.lines().filter(|line| {
        inside_code ^= line.trim_start().starts_with("```");
        !inside_code
    });
    lines
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let path = link.split('#').next().unwrap_or_default();
            let elsewhere = link.contains("://") || link.starts_with("mailto:");
            if !elsewhere && !path.is_empty() && !document.with_file_name(path).exists() {
                broken.push(format!("{} links to {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Words in backticks that are a path from the root: a known folder and a slash.
fn paths(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|word| !word.contains(char::is_whitespace) && !word.contains(['*', '{', '<']))
        .filter(|word| {
            let folder = word.split('/').next().unwrap_or_default();
            word.contains('/') && workspace::root().join(folder).is_dir() && !folder.is_empty()
        })
        .collect()
}

#[test]
fn the_map_names_files_that_exist() {
    for document in ["README.md", "ARCHITECTURE.md", "docs/glossary.md"] {
        let text = workspace::read(document);
        let gone: Vec<&str> = paths(&text)
            .into_iter()
            .filter(|path| !workspace::root().join(path).exists())
            .collect();
        assert!(gone.is_empty(), "{document} names {gone:?}, which are not there");
    }
}

#[test]
fn the_ci_script_ends_with_the_test_command_of_the_readme() {
    let readme = workspace::read("README.md");
    let command = readme
        .lines()
        .find_map(|line| line.trim().strip_prefix("./setup.sh && ").filter(|c| c.contains("test")))
        .expect("README.md shows `./setup.sh && cargo test …`");
    let script = workspace::read(".ci/run");
    let last = script.lines().rfind(|line| !line.trim().is_empty()).unwrap();
    assert_eq!(last.trim(), command);
}
