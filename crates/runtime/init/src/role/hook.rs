//! The worker of our dracut module: the same stages in an initramfs that dracut made, which has mounted the kernel's file systems,
//! loads drivers by udev, and changes into the new root by itself.

use contract::cmdline::Cmdline;
use contract::failure::{Failure, NO_LIVE_ROOT, Stage};
use contract::media;
use contract::module_index::ModuleIndex;
use contract::request::{Policy, Request, Root};

use super::pid1;
use crate::modules::Modules;
use crate::report::{self, Report};
use crate::stage::{Boot, start};
use crate::system::System;

/// What the program is asked for by its arguments, where it is not process 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// To say whether the command line's root is a live medium.
    Claim,
    /// To mount the live system at this folder.
    Mount(String),
}

impl Hook {
    /// Reads `hook claim` or `hook mount <folder>`.
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        match arguments {
            [hook, claim] if hook == "hook" && claim == "claim" => Some(Self::Claim),
            [hook, mount, target] if hook == "hook" && mount == "mount" => {
                let target = target.trim_end_matches('/');
                target
                    .starts_with('/')
                    .then(|| Self::Mount(target.to_owned()))
            }
            _ => None,
        }
    }
}

/// Does it, and answers whether it is done. A failure is told on the console and in the report; what happens then is dracut's.
pub(crate) fn run(system: &mut dyn System, hook: &Hook) -> bool {
    let target = match hook {
        Hook::Claim => return is_ours(system),
        Hook::Mount(target) => target,
    };
    let mut report = Report {
        began: system.clock(),
        ..Report::default()
    };
    report.begin(Stage::Start.key(), report.began);
    match mount(system, &mut report, target) {
        Ok(()) => {
            report.save(system, None);
            true
        }
        Err(failure) => {
            report::tell(system, &failure);
            report.save(system, Some(&failure));
            false
        }
    }
}

/// Whether the command line names a live medium, in any of the dialects. What names one and cannot be done is ours too: who mounts it says
/// why it cannot.
fn is_ours(system: &dyn System) -> bool {
    let cmdline = start::read_cmdline(system);
    !matches!(Request::read(&cmdline), Ok(None))
}

fn mount(system: &mut dyn System, report: &mut Report, target: &str) -> Result<(), Failure> {
    let cmdline = start::read_cmdline(system);
    system.set_verbosity(Policy::read(&cmdline).verbosity);
    let Some(mut request) = Request::read(&cmdline)? else {
        let cause = "root= is not live:";
        return Err(Failure::new(NO_LIVE_ROOT, cause));
    };
    // So is the network, which is waited for where the medium comes from there.
    request.network.needed = matches!(request.root, Root::Url(_));
    // What lies there is dracut's; only a copy of the image needs a file system of its own.
    if request.ram.is_asked_for() || matches!(request.root, Root::Url(_)) {
        start::mount_run_initramfs(system)?;
    }
    let modules = Modules::new(ModuleIndex::default(), &Cmdline::default(), &[]);
    let mut boot = Boot { system, modules };
    // dracut has its own breaks.
    pid1::assemble(&mut boot, &mut request, report, &Policy::default(), target)?;
    boot.step(&format!(
        "the live system is at {target}, from {}",
        media::LIVE_DEVICE
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn mounted(cmdline: &str) -> (bool, Fake) {
        let mut fake = Fake::default();
        fake.file("/proc/cmdline", cmdline)
            .file("/proc/self/exe", "program")
            .file(
                "/proc/meminfo",
                "MemTotal: 9 kB\nMemAvailable: 1024000 kB\n",
            )
            .on_mount("/dev/sr0", "liveos/rootfs.img", *b"hsqs............")
            .on_mount("/dev/loop0", "usr/bin/true", "")
            .appears(3, "sr0", crate::stage::tests::iso("CDROM"));
        let done = run(&mut fake, &Hook::Mount("/sysroot".to_owned()));
        (done, fake)
    }

    #[test]
    fn the_live_system_is_mounted_and_nothing_else_is_touched() {
        let live = "root=live:CDLABEL=CDROM rd.live.dir=liveos rd.live.squashimg=rootfs.img";
        let (done, fake) = mounted(live);
        assert!(done, "{}", fake.screen);
        let targets: Vec<_> = fake
            .done_of("mount")
            .iter()
            .filter_map(|line| line.split(' ').nth(2).map(str::to_owned))
            .collect();
        assert!(targets.contains(&"/sysroot".to_owned()), "{targets:?}");
        for kernels in ["/proc", "/sys", "/dev", "/run", "/run/initramfs"] {
            assert!(!targets.contains(&kernels.to_owned()), "{kernels}");
        }
        for verb in ["move", "root", "execute", "shell"] {
            assert!(fake.done_of(verb).is_empty(), "{verb}");
        }
        assert!(fake.files.contains_key(media::SHUTDOWN));
        let (done, fake) = mounted(&format!("{live} rd.live.ram rd.break=mount"));
        assert!(done, "{}", fake.screen);
        assert!(
            fake.done_of("mount")
                .iter()
                .any(|m| m.contains(" /run/initramfs "))
        );
        assert!(fake.done_of("shell").is_empty());
    }

    #[test]
    fn what_cannot_be_mounted_is_told_and_answered() {
        for (cmdline, code) in [
            ("root=live:CDLABEL=OTHER rd.timeout=5", "L0201"),
            ("root=live:CDLABEL=CDROM rd.live.dir=elsewhere", "L0401"),
            ("root=/dev/sda1", "L0101"),
            ("root=live:nonsense", "L0102"),
        ] {
            let (done, fake) = mounted(cmdline);
            assert!(!done && fake.screen.contains(code), "{}", fake.screen);
            let report = String::from_utf8(fake.files[media::REPORT].clone()).unwrap();
            assert!(report.contains(code) && report.contains("stopped"));
        }
    }

    #[test]
    fn a_live_medium_is_claimed_and_any_other_root_is_left_alone() {
        for (cmdline, ours) in [
            ("root=live:CDLABEL=CDROM", true),
            ("root=LABEL=x rd.live.image", true),
            ("root=live:nonsense", true),
            ("root=/dev/sda1 ro", false),
            ("root=UUID=1234-ABCD", false),
            ("quiet", false),
        ] {
            let mut fake = Fake::default();
            fake.file("/proc/cmdline", cmdline);
            assert_eq!(run(&mut fake, &Hook::Claim), ours, "{cmdline}");
            assert!(fake.done.is_empty() && fake.screen.is_empty());
        }
    }

    #[test]
    fn only_what_is_known_is_a_hook() {
        let parse = |words: &[&str]| {
            Hook::parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
        };
        let mount = Some(Hook::Mount("/sysroot".to_owned()));
        assert_eq!(parse(&["hook", "mount", "/sysroot"]), mount);
        assert_eq!(parse(&["hook", "mount", "/sysroot/"]), mount);
        assert_eq!(parse(&["hook", "claim"]), Some(Hook::Claim));
        for words in [
            &["hook", "mount"][..],
            &["hook", "claim", "all"],
            &["hook", "mount", "here"],
            &["mount", "/sysroot"],
            &[],
            &["hook", "umount", "/x"],
        ] {
            assert_eq!(parse(words), None, "{words:?}");
        }
    }
}
