//! Which kernel modules to load, in which order, with which parameters.

use std::collections::{BTreeMap, BTreeSet};

use contract::cmdline::Cmdline;
use contract::module_index::{ModuleIndex, normalise};

use crate::glob;
use crate::system::{Level, System};

/// Given to every module: its drivers look for their devices beside us, and the load does not wait for all that others
/// have begun (Linux, `do_init_module`). We wait for what devices say, and never for a module.
const ASYNC_PROBE: &str = "async_probe";

const EXISTS: i32 = rustix::io::Errno::EXIST.raw_os_error();
const NO_DEVICE: i32 = rustix::io::Errno::NODEV.raw_os_error();

/// The modules of this initramfs, and which of them have been loaded.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    index: ModuleIndex,
    /// The positions in `index.aliases` of the patterns for one bus: those whose text up to the first `:` is this.
    by_bus: BTreeMap<String, Vec<usize>>,
    /// Every module that was tried.
    tried: BTreeSet<String>,
    blacklist: BTreeSet<String>,
    /// Parameters from the command line: module to `name=value …`.
    parameters: BTreeMap<String, String>,
}

impl Modules {
    /// The modules of `index`; parameters for them come from the command line as `module.name=value`.
    pub(crate) fn new(index: ModuleIndex, cmdline: &Cmdline, blacklist: &[String]) -> Self {
        let mut by_bus: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (position, (pattern, _)) in index.aliases.iter().enumerate() {
            // Thousands of patterns are of few buses: a name is only copied when it is new.
            match by_bus.get_mut(bus(pattern)) {
                Some(positions) => positions.push(position),
                None => {
                    by_bus.insert(bus(pattern).to_owned(), vec![position]);
                }
            }
        }
        let mut parameters: BTreeMap<String, String> = BTreeMap::new();
        for argument in cmdline.arguments() {
            let Some((module, name)) = argument.name.split_once('.') else {
                continue;
            };
            let module = normalise(module);
            if name.is_empty() || !index.modules.contains_key(&module) {
                continue;
            }
            let all = parameters.entry(module).or_default();
            all.push(' ');
            all.push_str(name);
            if let Some(value) = &argument.value {
                let quote = if value.contains(' ') { "\"" } else { "" };
                all.extend(["=", quote, value, quote]);
            }
        }
        Self {
            index,
            by_bus,
            tried: BTreeSet::new(),
            blacklist: blacklist.iter().cloned().collect(),
            parameters,
        }
    }

    /// What must be loaded at start.
    pub(crate) fn always(&self) -> Vec<String> {
        self.index.always.clone()
    }

    /// Whether this module of the initramfs was loaded, or refused.
    pub(crate) fn was_tried(&self, name: &str) -> bool {
        self.tried.contains(name)
    }

    /// The modules that a device asks for and that were not tried yet.
    pub(crate) fn wanted_by(&self, modalias: &str) -> Vec<String> {
        let of = |bus: &str| self.by_bus.get(bus).into_iter().flatten();
        let mut wanted = Vec::new();
        for position in of(bus(modalias)).chain(of("")) {
            let Some((pattern, module)) = self.index.aliases.get(*position) else {
                continue;
            };
            let new = !self.tried.contains(module) && !self.blacklist.contains(module);
            if new && !wanted.contains(module) && glob::matches(pattern, modalias) {
                wanted.push(module.clone());
            }
        }
        wanted
    }

    /// Loads a module with all that it needs, or those that have this name as an alias; what is not in the initramfs is taken to be in
    /// the kernel. A refusal is a line in the log: whether it matters shows later.
    pub(crate) fn load(&mut self, system: &mut dyn System, name: &str) {
        let mut names = vec![name.to_owned()];
        if !self.index.modules.contains_key(name) {
            names = self.wanted_by(name);
        }
        for name in names {
            for step in self.order(&name) {
                self.load_one(system, &step);
            }
        }
    }

    fn load_one(&mut self, system: &mut dyn System, name: &str) {
        let Some(module) = self.index.modules.get(name) else {
            return;
        };
        if !self.tried.insert(name.to_owned()) {
            return;
        }
        let mut parameters = ASYNC_PROBE.to_owned();
        for given in &module.parameters {
            parameters.push(' ');
            parameters.push_str(given);
        }
        if let Some(given) = self.parameters.get(name) {
            parameters.push_str(given);
        }
        match system.load_module(&module.path, &parameters) {
            Ok(()) => system.log(Level::Detail, &format!("module {name}")),
            Err(error) if error.raw_os_error() == Some(EXISTS) => {}
            Err(error) => {
                let level = if error.raw_os_error() == Some(NO_DEVICE) {
                    Level::Detail
                } else {
                    Level::Warning
                };
                system.log(level, &format!("module {name}: {error}"));
            }
        }
    }

    /// The module and all that it needs, each behind what it needs itself. What is tried already is left out, and so is a
    /// module that needs itself.
    fn order(&self, name: &str) -> Vec<String> {
        let mut order = Vec::new();
        let mut entered = BTreeSet::new();
        // The second is whether all that it needs is in `order` already.
        let mut stack = vec![(name.to_owned(), false)];
        while let Some((name, ready)) = stack.pop() {
            if ready {
                order.push(name);
                continue;
            }
            let Some(module) = self.index.modules.get(&name) else {
                continue;
            };
            if self.tried.contains(&name) || !entered.insert(name.clone()) {
                continue;
            }
            // The last that is pushed comes first.
            let soft = |list: &Vec<String>| {
                list.iter()
                    .flat_map(|n| self.resolve(n))
                    .collect::<Vec<_>>()
            };
            let after = soft(&module.soft_post);
            let before = soft(&module.soft_pre);
            stack.extend(after.into_iter().rev().map(|n| (n, false)));
            stack.push((name, true));
            stack.extend(module.depends.iter().rev().map(|n| (n.clone(), false)));
            stack.extend(before.into_iter().rev().map(|n| (n, false)));
        }
        order
    }

    /// A soft dependency may name an alias.
    fn resolve(&self, name: &str) -> Vec<String> {
        if self.index.modules.contains_key(name) {
            return vec![name.to_owned()];
        }
        self.wanted_by(name)
    }
}

/// The text before the first `:`, where no part of a pattern is in it; else nothing.
fn bus(text: &str) -> &str {
    match text.split_once(':') {
        Some((bus, _)) if !bus.contains(['*', '?', '[', '\\']) => bus,
        Some(_) => "",
        None if text.contains(['*', '?', '[', '\\']) => "",
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn index() -> ModuleIndex {
        ModuleIndex::parse(
            "liveos module index 1\n\
             always dm_mod\n\
             module usb_storage /u.ko\ndepends scsi_mod usbcore\npost uas\n\
             module uas /uas.ko\ndepends usb_storage\n\
             module usbcore /usbcore.ko\ndepends usb_common\n\
             module usb_common /common.ko\n\
             module scsi_mod /scsi.ko\ndepends scsi_common\n\
             module scsi_common /sc.ko\nparameters z=1\n\
             module ext4 /ext4.ko\npre crc32c\n\
             module crc32c_generic /crc.ko\n\
             module loop_a /a.ko\ndepends loop_b\n\
             module loop_b /b.ko\ndepends loop_a\n\
             alias usb:v*ic08isc06ip50in* usb_storage\n\
             alias usb:v*ic08isc06ip62in* uas\n\
             alias crc32c crc32c_generic\n\
             alias *odd* ext4\n\
             alias fs-ext4 ext4\n",
        )
        .unwrap()
    }

    fn loaded(cmdline: &str, blacklist: &[String], names: &[&str]) -> Vec<String> {
        let mut fake = Fake::default();
        let mut modules = Modules::new(index(), &Cmdline::parse(cmdline), blacklist);
        for name in names {
            modules.load(&mut fake, name);
        }
        fake.done_of("load")
    }

    #[test]
    fn what_a_module_needs_is_loaded_before_it() {
        let loaded = loaded("", &[], &["usb_storage"]);
        let paths: Vec<_> = loaded.iter().filter_map(|l| l.split(' ').next()).collect();
        assert_eq!(
            paths,
            [
                "/sc.ko",
                "/scsi.ko",
                "/common.ko",
                "/usbcore.ko",
                "/u.ko",
                "/uas.ko"
            ]
        );
    }

    #[test]
    fn nothing_is_loaded_twice() {
        assert_eq!(
            loaded("", &[], &["scsi_mod", "scsi_mod", "scsi_common"]).len(),
            2
        );
    }

    #[test]
    fn soft_dependencies_and_names_may_be_aliases() {
        assert_eq!(
            loaded("", &[], &["fs-ext4"]),
            ["/crc.ko async_probe", "/ext4.ko async_probe"]
        );
    }

    #[test]
    fn a_circle_ends() {
        assert_eq!(loaded("", &[], &["loop_a"]).len(), 2);
    }

    #[test]
    fn a_module_that_is_not_here_is_taken_to_be_in_the_kernel() {
        assert_eq!(loaded("", &[], &["squashfs"]), [] as [&str; 0]);
    }

    #[test]
    fn parameters_come_from_the_index_and_then_from_the_command_line() {
        assert_eq!(
            loaded(
                "scsi-common.a=1 scsi_common.b scsi_common.c=\"x y\" other.d=1",
                &[],
                &["scsi_common"]
            ),
            ["/sc.ko async_probe z=1 a=1 b c=\"x y\""]
        );
    }

    #[test]
    fn devices_ask_by_pattern_and_the_blacklist_holds_for_them() {
        let alias = "usb:v46F4p0001ic08isc06ip50in00";
        let wanted = |blacklist: &[String], alias: &str| {
            Modules::new(index(), &Cmdline::default(), blacklist).wanted_by(alias)
        };
        assert_eq!(wanted(&[], alias), ["usb_storage"]);
        assert_eq!(wanted(&["usb_storage".into()], alias), [] as [&str; 0]);
        assert_eq!(wanted(&[], "pci:odd"), ["ext4"]);
        assert_eq!(
            wanted(&[], "pci:v46F4p0001ic08isc06ip50in00"),
            [] as [&str; 0]
        );
    }

    #[test]
    fn a_module_that_the_kernel_refuses_is_named_and_the_rest_goes_on() {
        let mut fake = Fake::default();
        fake.refuse("load /scsi.ko async_probe", rustix::io::Errno::INVAL);
        let mut modules = Modules::new(index(), &Cmdline::default(), &[]);
        modules.load(&mut fake, "usb_storage");
        assert_eq!(fake.done_of("load").len(), 6);
        assert!(
            fake.log
                .iter()
                .any(|line| line.contains("module scsi_mod: Invalid")),
            "{:?}",
            fake.log
        );
    }
}
