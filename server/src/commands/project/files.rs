//! Project folders on the disk: copied, moved, found to be free.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use pulse_schemas::error::ErrorCode;

use crate::refusal::Refusal;

pub fn failed(path: &Path, error: &io::Error) -> Refusal {
    let code = match error.kind() {
        io::ErrorKind::StorageFull => ErrorCode::IoFull,
        _ => ErrorCode::IoFailed,
    };
    Refusal::new(code, format!("{}: {error}", path.display())).with("reason", error.to_string())
}

/// An absolute path; relative ones would mean another place to every client.
pub fn absolute(field: &str, text: &str) -> Result<PathBuf, Refusal> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    let message = format!("{text} is no absolute path");
    Err(Refusal::new(ErrorCode::PathForbidden, message).with("path", field))
}

/// Fails unless there is nothing at the path, or an empty folder.
pub fn require_free(path: &Path) -> Result<(), Refusal> {
    let taken = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => true,
        Err(error) => return Err(failed(path, &error)),
    };
    if taken {
        let text = format!("there is something at {} already", path.display());
        return Err(Refusal::new(ErrorCode::ProjectExists, text));
    }
    Ok(())
}

/// Copies a folder with all that is in it. What can't be copied whole is taken
/// away again.
pub fn copy(from: &Path, to: &Path) -> Result<(), Refusal> {
    // A folder inside itself would be copied for ever.
    if to.starts_with(from) {
        let text = format!("{} lies inside the project's own folder", to.display());
        return Err(Refusal::new(ErrorCode::PathForbidden, text));
    }
    require_free(to)?;
    copy_into(from, to).map_err(|error| {
        if let Err(error) = fs::remove_dir_all(to) {
            tracing::warn!(%error, folder = %to.display(), "a half copy is left");
        }
        failed(to, &error)
    })
}

fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_into(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Moves a folder, across disks if need be.
pub fn relocate(from: &Path, to: &Path) -> Result<(), Refusal> {
    require_free(to)?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
    }
    match fs::rename(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy(from, to)?;
            fs::remove_dir_all(from).map_err(|error| failed(from, &error))
        }
        Err(error) => Err(failed(to, &error)),
    }
}
