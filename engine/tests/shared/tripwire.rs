//! What an audio thread must not do, counted while it does it: allocate or free, lock a mutex of
//! the C library, call the operating system at all. A lock of the standard library that somebody
//! else holds is a call of the system, too; one that nobody holds leaves no trace but in the
//! source, which `no_locks.rs` reads.
//!
//! Calls of the system are caught by the kernel itself (`PR_SET_SYSCALL_USER_DISPATCH`): while a
//! byte of the thread says so, each raises a signal, whose handler counts it and lets it pass. Of
//! one turn of the callback only the first is caught. Where the kernel or the processor can't,
//! [`Counts::calls`] is none.
//!
//! Where the toolchain's real-time sanitizer was loaded before this program (`just rtsan`) it looks on
//! instead of the kernel: it ends the process where something blocks and says where.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(unsafe_code, reason = "an allocator and a signal handler that count")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

pub struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Whether this thread must not do any of it now.
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static OWN: Cell<u64> = const { Cell::new(0) };
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LOCKS: AtomicU64 = AtomicU64::new(0);

fn count(total: &AtomicU64) {
    if ARMED.with(Cell::get) {
        OWN.with(|own| own.set(own.get() + 1));
        total.fetch_add(1, Ordering::Relaxed);
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(&ALLOCATIONS);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What armed threads have done since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    pub allocations: u64,
    pub locks: u64,
    /// Turns in which the system was called; none where that can't be counted.
    pub calls: Option<u64>,
}

pub fn counts() -> Counts {
    Counts {
        allocations: ALLOCATIONS.load(Ordering::Relaxed),
        locks: LOCKS.load(Ordering::Relaxed),
        calls: system::caught(),
    }
}

/// Arms and disarms this thread: what goes into `Config::tripwire`. Real-time safe, but for the
/// first time on a thread.
pub fn watch(armed: bool) {
    let sanitizer = sanitizer::found();
    if armed {
        if sanitizer.is_none() {
            system::arm();
        }
        ARMED.with(|it| it.set(true));
    } else {
        ARMED.with(|it| it.set(false));
        system::disarm();
    }
    if let Some([enter, exit]) = sanitizer {
        // SAFETY: both only count, for this thread.
        unsafe { if armed { enter() } else { exit() } }
    }
}

/// How often `f` did what it must not, on this thread.
pub fn offences(f: impl FnOnce()) -> u64 {
    let (own, calls) = (OWN.with(Cell::get), system::caught_here());
    watch(true);
    f();
    watch(false);
    OWN.with(Cell::get) - own + (system::caught_here() - calls)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod sanitizer {
    use std::{ffi::CStr, sync::OnceLock};

    pub type Call = unsafe extern "C" fn();

    fn symbol(name: &CStr) -> Option<Call> {
        // SAFETY: the name ends with a zero byte.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        // SAFETY: the symbols of these names take nothing and give nothing.
        (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut libc::c_void, Call>(found) })
    }

    /// How this thread enters and leaves what has to be real-time safe, where the sanitizer is.
    pub fn found() -> Option<[Call; 2]> {
        static FOUND: OnceLock<Option<[Call; 2]>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            Some([symbol(c"__rtsan_realtime_enter")?, symbol(c"__rtsan_realtime_exit")?])
        })
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod sanitizer {
    pub fn found() -> Option<[unsafe extern "C" fn(); 2]> {
        None
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod locks {
    use std::sync::atomic::{AtomicUsize, Ordering};

    static REAL: AtomicUsize = AtomicUsize::new(0);

    /// Stands before the one of the C library, for every library that this program loads.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn pthread_mutex_lock(mutex: *mut libc::pthread_mutex_t) -> libc::c_int {
        super::count(&super::LOCKS);
        let mut real = REAL.load(Ordering::Relaxed);
        if real == 0 {
            // SAFETY: the name ends with a zero byte.
            real = unsafe { libc::dlsym(libc::RTLD_NEXT, c"pthread_mutex_lock".as_ptr()) } as usize;
            REAL.store(real, Ordering::Relaxed);
        }
        type Lock = unsafe extern "C" fn(*mut libc::pthread_mutex_t) -> libc::c_int;
        // SAFETY: the symbol of that name has that type.
        let lock: Lock = unsafe { std::mem::transmute(real) };
        // SAFETY: the caller's mutex is handed on.
        unsafe { lock(mutex) }
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod system {
    use std::{
        cell::Cell,
        sync::{
            Once,
            atomic::{AtomicI64, AtomicU64, Ordering},
        },
    };

    const PR_SET_SYSCALL_USER_DISPATCH: libc::c_int = 59;

    thread_local! {
        /// What the kernel looks at: 1 catches calls.
        static CATCHES: Cell<u8> = const { Cell::new(0) };
        static ENROLLED: Cell<bool> = const { Cell::new(false) };
        static CAUGHT_HERE: Cell<u64> = const { Cell::new(0) };
    }

    static HANDLER: Once = Once::new();
    static CAUGHT: AtomicU64 = AtomicU64::new(0);
    /// The number of the last call that was caught, for who looks for it.
    static LAST: AtomicI64 = AtomicI64::new(-1);
    /// 1 where the kernel refuses.
    static REFUSED: AtomicU64 = AtomicU64::new(0);

    /// Counts, and does the call again with nobody watching.
    extern "C" fn caught_one(
        _: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        CATCHES.with(|catches| catches.set(0));
        CAUGHT_HERE.with(|caught| caught.set(caught.get() + 1));
        CAUGHT.fetch_add(1, Ordering::Relaxed);
        let _ = info;
        // SAFETY: the kernel hands a handler with SA_SIGINFO the context of the thread, in which
        // the number of the call stands where it stood and the program behind the instruction of
        // two bytes that made it.
        unsafe {
            let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
            LAST.store(registers[libc::REG_RAX as usize], Ordering::Relaxed);
            registers[libc::REG_RIP as usize] -= 2;
        }
    }

    fn enroll() {
        HANDLER.call_once(|| {
            // SAFETY: an action of zeros is an action, and what is set is what the call wants.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = caught_one as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
                libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut());
            }
        });
        let on: libc::c_ulong = 1;
        let nowhere: libc::c_ulong = 0;
        // SAFETY: the byte lives as long as the thread.
        let told = CATCHES.with(|catches| unsafe {
            libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, on, nowhere, nowhere, catches.as_ptr())
        });
        REFUSED.fetch_max(u64::from(told != 0), Ordering::Relaxed);
        ENROLLED.with(|enrolled| enrolled.set(true));
    }

    pub fn arm() {
        if !ENROLLED.with(Cell::get) {
            enroll();
        }
        CATCHES.with(|catches| catches.set(1));
    }

    pub fn disarm() {
        CATCHES.with(|catches| catches.set(0));
    }

    pub fn caught() -> Option<u64> {
        let refused = REFUSED.load(Ordering::Relaxed) == 1;
        (!refused).then(|| CAUGHT.load(Ordering::Relaxed))
    }

    pub fn caught_here() -> u64 {
        CAUGHT_HERE.with(Cell::get)
    }

    pub fn last() -> i64 {
        LAST.load(Ordering::Relaxed)
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod system {
    pub fn arm() {}

    pub fn disarm() {}

    pub fn caught() -> Option<u64> {
        None
    }

    pub fn caught_here() -> u64 {
        0
    }

    pub fn last() -> i64 {
        -1
    }
}

/// The number of the last call of the system that was caught; −1 for none.
pub fn last_call() -> i64 {
    system::last()
}
