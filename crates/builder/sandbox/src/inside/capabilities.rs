//! What root may do inside: what installing packages needs, and nothing that reaches the machine.

use block::{Error, Result};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// What stays. Gone are, among others: mounting, kernel modules, the clock, rebooting, raw network and files by handle.
///
/// Device nodes may be made (packages hold some), and cannot be used: every mount is `nodev`.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::AUDIT_WRITE);

/// Gives everything else up, for this process and all that it starts.
pub(super) fn drop_others() -> Result<()> {
    let doing = |error: rustix::io::Errno| Error::io("giving up capabilities", error.into());
    for one in CapabilitySet::all().iter() {
        if KEPT.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            // A kernel that is older than the capability does not know it.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(doing(error)),
        }
    }
    rustix::thread::clear_ambient_capability_set().map_err(doing)?;
    let held = rustix::thread::capabilities(None).map_err(doing)?;
    let sets = CapabilitySets {
        effective: held.effective & KEPT,
        permitted: held.permitted & KEPT,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).map_err(doing)
}
