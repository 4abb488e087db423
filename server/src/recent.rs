//! Projects that were open lately, across sessions.
//!
//! A small JSON file of the user, not of any project; losing it loses nothing
//! else, so whatever can't be read counts as empty.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Most projects that are remembered.
const MOST: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub path: PathBuf,
    pub name: String,
    /// Milliseconds since 1970.
    pub opened: i64,
}

/// The list, newest first.
#[derive(Debug, Default)]
pub struct Recent {
    /// None keeps the list in memory.
    file: Option<PathBuf>,
    entries: Vec<Entry>,
}

impl Recent {
    /// The list of the user who runs this process.
    pub fn of_user() -> Recent {
        match state_folder().filter(|_| !cfg!(test)) {
            Some(folder) => Recent::at(&folder.join("pulse/recent.json")),
            None => Recent::default(),
        }
    }

    pub fn at(file: &Path) -> Recent {
        let read = std::fs::read(file).ok();
        let entries = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Recent { file: Some(file.to_owned()), entries: entries.unwrap_or_default() }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Puts a project first. A list that can't be written is one that is
    /// forgotten with the process.
    pub fn note(&mut self, entry: Entry) {
        self.entries.retain(|known| known.path != entry.path);
        self.entries.insert(0, entry);
        self.entries.truncate(MOST);
        if let Some(file) = &self.file
            && let Err(error) = write(file, &self.entries)
        {
            tracing::warn!(%error, file = %file.display(), "recent projects are not remembered");
        }
    }
}

fn write(file: &Path, entries: &[Entry]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = file.with_extension("json.new");
    std::fs::write(&fresh, serde_json::to_vec_pretty(entries)?)?;
    std::fs::rename(fresh, file)
}

/// `$XDG_STATE_HOME`, or its usual place.
fn state_folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let home = || named("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    named("XDG_STATE_HOME").map(PathBuf::from).or_else(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, opened: i64) -> Entry {
        Entry { path: path.into(), name: path.into(), opened }
    }

    #[test]
    fn the_list_survives_and_holds_each_project_once() {
        let folder = std::env::temp_dir().join(format!("pulse-recent-{}", std::process::id()));
        let file = folder.join("deep/recent.json");
        let mut recent = Recent::at(&file);
        for (path, opened) in [("a", 1), ("b", 2), ("a", 3)] {
            recent.note(entry(path, opened));
        }
        assert_eq!(Recent::at(&file).entries(), [entry("a", 3), entry("b", 2)]);
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Recent::at(&file).entries(), []);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
