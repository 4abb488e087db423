//! Where the workspace lies and what cargo knows about it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

pub fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `cargo metadata` with the given flags. Without the network when everything it
/// needs is on this machine, which is so after a build.
pub fn metadata(flags: &[&str]) -> Value {
    let offline = run(flags, &["--offline"]);
    let output = if offline.status.success() { offline } else { run(flags, &[]) };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn run(flags: &[&str], more: &[&str]) -> Output {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1"])
        .args(flags)
        .args(more)
        .current_dir(root())
        .output()
        .unwrap()
}
