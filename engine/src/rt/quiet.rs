//! Threads on which a caught panic stays silent: printing takes a lock and time
//! that the audio thread doesn't have, and the fault is reported anyway.

use std::{cell::Cell, sync::Once};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Puts a hook in front of the one that prints. Off the audio thread, before it
/// starts.
pub fn install() {
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let helper =
                std::thread::current().name().is_some_and(|name| name.starts_with("pulse-audio"));
            if !QUIET.with(Cell::get) && !helper {
                loud(info);
            }
        }));
    });
}

/// Runs `f` with panics kept silent on this thread. Real-time safe.
pub fn quietly<R>(f: impl FnOnce() -> R) -> R {
    let before = QUIET.with(|quiet| quiet.replace(true));
    let result = f();
    QUIET.with(|quiet| quiet.set(before));
    result
}
