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
    copy_into(from, to, &mut Vec::new()).map_err(|error| {
        if let Err(error) = fs::remove_dir_all(to) {
            tracing::warn!(%error, folder = %to.display(), "a half copy is left");
        }
        failed(to, &error)
    })
}

/// A folder that lies elsewhere and is linked here, as `Media` may be, is copied as if it lay
/// here: the copy is to stand alone. `above` are the folders that the way led through, so that
/// links which lead in a circle end.
fn copy_into(from: &Path, to: &Path, above: &mut Vec<PathBuf>) -> io::Result<()> {
    let here = fs::canonicalize(from)?;
    if above.contains(&here) {
        return Ok(());
    }
    above.push(here);
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_one(&entry.path(), &to.join(entry.file_name()), above)?;
    }
    above.pop();
    Ok(())
}

fn copy_one(from: &Path, to: &Path, above: &mut Vec<PathBuf>) -> io::Result<()> {
    match fs::metadata(from) {
        Ok(data) if data.is_dir() => copy_into(from, to, above),
        Ok(data) if data.is_file() => fs::copy(from, to).map(drop),
        // Nobody knows when a pipe ends.
        Ok(_) => {
            tracing::warn!(file = %from.display(), "no plain file; it is not copied");
            Ok(())
        }
        // What it led to is gone already, or not there yet.
        Err(_) if from.is_symlink() => {
            tracing::warn!(file = %from.display(), "the link leads nowhere; it is not copied");
            Ok(())
        }
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    #[test]
    fn a_copy_stands_alone_whatever_links_and_sockets_lie_about() {
        let root = std::env::temp_dir().join(format!("pulse-copies-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let (song, drive) = (root.join("song"), root.join("drive"));
        fs::create_dir_all(song.join("sub")).unwrap();
        fs::create_dir_all(&drive).unwrap();
        fs::write(drive.join("kick.wav"), "sound").unwrap();
        fs::write(song.join("sub/notes.txt"), "words").unwrap();
        symlink(&drive, song.join("Media")).unwrap();
        symlink(drive.join("kick.wav"), song.join("linked.wav")).unwrap();
        symlink(&song, song.join("sub/back")).unwrap();
        symlink(root.join("nowhere"), song.join("gone")).unwrap();
        let _socket = UnixListener::bind(song.join("s")).unwrap();
        let to = root.join("copy");
        copy(&song, &to).unwrap();
        fs::remove_dir_all(&drive).unwrap();
        for (path, content) in
            [("Media/kick.wav", "sound"), ("linked.wav", "sound"), ("sub/notes.txt", "words")]
        {
            assert_eq!(fs::read_to_string(to.join(path)).unwrap(), content);
        }
        for path in ["sub/back", "gone", "s"] {
            assert!(!to.join(path).exists(), "{path}");
        }
        assert!(!to.join("Media").is_symlink());
        fs::remove_dir_all(&root).unwrap();
    }
}
