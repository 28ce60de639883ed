//! Which modules devices ask for, and which of them to load first.

use std::collections::VecDeque;

use super::Boot;

const BUSES: &str = "/sys/bus";
/// The longest attribute that is read, in bytes: sysfs has at most a page.
const ATTRIBUTE: usize = 4096;
/// Processors ask for cryptography, which costs time here and is loaded by the system later.
const PROCESSORS: &str = "cpu";

/// Modules that devices asked for and that are still to be loaded.
#[derive(Debug)]
pub(crate) struct Drivers {
    urgent: VecDeque<String>,
    other: VecDeque<String>,
    /// Whether a device that asks so is one that we wait for: its driver comes before all others.
    is_urgent: fn(&str) -> bool,
}

impl Drivers {
    /// Nothing but `first`.
    pub(crate) fn new(
        first: impl IntoIterator<Item = String>,
        is_urgent: fn(&str) -> bool,
    ) -> Self {
        Self {
            urgent: first.into_iter().collect(),
            other: VecDeque::new(),
            is_urgent,
        }
    }

    /// Every device that is here already asks for its driver.
    pub(crate) fn ask_all(&mut self, boot: &Boot<'_>) {
        for bus in boot.system.list(BUSES).unwrap_or_default() {
            if bus == PROCESSORS {
                continue;
            }
            let devices = format!("{BUSES}/{bus}/devices");
            for device in boot.system.list(&devices).unwrap_or_default() {
                let path = format!("{devices}/{device}/modalias");
                if let Ok(modalias) = boot.system.read(&path, ATTRIBUTE) {
                    self.want(boot, String::from_utf8_lossy(&modalias).trim_end());
                }
            }
        }
    }

    /// A device asks.
    pub(crate) fn want(&mut self, boot: &Boot<'_>, modalias: &str) {
        let queue = if (self.is_urgent)(modalias) {
            &mut self.urgent
        } else {
            &mut self.other
        };
        for module in boot.modules.wanted_by(modalias) {
            if !queue.contains(&module) {
                queue.push_back(module);
            }
        }
    }

    /// What to load next of what is waited for.
    pub(crate) fn next_urgent(&mut self) -> Option<String> {
        self.urgent.pop_front()
    }

    /// What to load next.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.urgent.pop_front().or_else(|| self.other.pop_front())
    }
}
