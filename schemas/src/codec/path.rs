//! Where in a document a reader stands. The chain lives on the stack and turns
//! into text only when something went wrong, so a good message pays nothing.

use std::fmt;

/// One step, linked to the steps that led there.
#[derive(Clone, Copy)]
pub enum Path<'p> {
    Root(&'p str),
    Key { parent: &'p Path<'p>, key: &'p str },
    Index { parent: &'p Path<'p>, index: usize },
}

impl<'p> Path<'p> {
    pub fn key(&'p self, key: &'p str) -> Path<'p> {
        Path::Key { parent: self, key }
    }

    pub fn index(&'p self, index: usize) -> Path<'p> {
        Path::Index { parent: self, index }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(name) => f.write_str(name),
            Path::Key { parent: Path::Root(""), key } => f.write_str(key),
            Path::Key { parent, key } => write!(f, "{parent}.{key}"),
            Path::Index { parent, index } => write!(f, "{parent}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_an_expression() {
        let root = Path::Root("payload");
        let notes = root.key("notes");
        let third = notes.index(3);
        assert_eq!(third.key("pitch").to_string(), "payload.notes[3].pitch");
        assert_eq!(Path::Root("").key("v").to_string(), "v");
    }
}
