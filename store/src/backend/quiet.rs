//! Panics of the database that are caught are not shown: what they mean is the error in which they
//! end, and a wall of text before it tells a person nothing. Every other panic stays as loud as it
//! was: those of other threads, and those of this crate, which are defects wherever they happen.

use std::{cell::Cell, panic, sync::Once};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs `work`, whose panics somebody catches, without the database's own being printed.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    // A thread that panics can't exchange the hook, and would lose its error if it tried.
    if !std::thread::panicking() {
        HOOK.call_once(install);
    }
    let _guard = Guard(GUARDED.replace(true));
    work()
}

/// Puts back what was, also while a panic passes.
struct Guard(bool);

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDED.set(self.0);
    }
}

fn install() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_ours = info.location().is_some_and(|place| place.file().starts_with(OUR_FILES));
        if is_ours || !GUARDED.get() {
            loud(info);
        }
    }));
}

/// This crate's files as the compiler names them.
const OUR_FILES: &str = {
    let (path, this) = (file!(), "backend/quiet.rs");
    path.split_at(path.len() - this.len()).0
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_guarded_is_quiet_and_only_while_it_is() {
        assert!(file!().starts_with(OUR_FILES) && OUR_FILES.ends_with("src/"), "{OUR_FILES}");
        assert!(!GUARDED.get());
        quietly(|| {
            assert!(GUARDED.get());
            let inner = panic::catch_unwind(|| quietly(|| panic!("on purpose")));
            assert!(inner.is_err() && GUARDED.get(), "an inner guard leaves the outer one");
        });
        assert!(!GUARDED.get());
    }
}
