//! The generated files that are checked in are fresh.

use std::path::Path;

#[test]
#[allow(clippy::disallowed_methods, reason = "reads the files that it is about")]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let stale: Vec<&str> = pulse_schemas::r#gen::all()
        .into_iter()
        .filter(|(path, text)| {
            std::fs::read_to_string(root.join(path)).ok().as_deref() != Some(text)
        })
        .map(|(path, _)| path)
        .collect();
    assert!(stale.is_empty(), "run `just gen`: {stale:?} no longer say what the table says");
}
