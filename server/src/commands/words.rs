//! Words of the history's labels.

/// `a clip`, `3 clips`.
pub fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("a {noun}"),
        count => format!("{count} {noun}s"),
    }
}
