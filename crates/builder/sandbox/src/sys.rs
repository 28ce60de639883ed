//! The requests to the kernel that no safe function makes. The only unsafe code of this crate.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::FdFlags;
use rustix::thread::UnshareFlags;

/// Moves this process into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: what makes the call unsafe is a table of file descriptors that threads no longer share; that flag is not given, and
    // the processes that call this have one thread.
    #[expect(unsafe_code, reason = "no safe function enters a namespace")]
    let result = unsafe { rustix::thread::unshare_unsafe(flags) };
    Ok(result?)
}

/// Closes every descriptor but the three standard ones as soon as another program is started: whoever started `liveos` may have
/// left some open.
pub(crate) fn close_others_on_exec() -> io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in open {
        // SAFETY: the descriptor is borrowed for one call that neither closes nor reads it. That of the folder above is closed by
        // now: the call answers with an error then, which is all that happens.
        #[expect(unsafe_code, reason = "nobody owns what was inherited")]
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        // OK: see above.
        let _ = rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
    Ok(())
}
