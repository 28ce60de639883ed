//! In the place of `net` where the program is built without the network.

/// What the stages need of the machine's network: nothing.
pub(crate) trait Network {}

impl Network for crate::sys::Machine {}
