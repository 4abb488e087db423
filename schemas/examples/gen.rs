//! Writes what is generated from the command table (`just gen`).

use std::{io, path::Path};

#[allow(clippy::disallowed_methods, reason = "a tool for developers; the library opens no files")]
fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, text) in pulse_schemas::r#gen::all() {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}
