//! Writes the example of every command as a seed of the fuzz target `payload`
//! (`just fuzz`): the number of the command, then its payload.

use std::{io, path::Path};

use pulse_schemas::command;

#[allow(clippy::disallowed_methods, reason = "a tool for developers; the library opens no files")]
fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/payload");
    std::fs::create_dir_all(&folder)?;
    for (number, spec) in (0u16..).zip(command::all()) {
        let mut seed = number.to_be_bytes().to_vec();
        seed.extend_from_slice(spec.example().to_string().as_bytes());
        std::fs::write(folder.join(spec.full_name()), seed)?;
    }
    Ok(())
}
