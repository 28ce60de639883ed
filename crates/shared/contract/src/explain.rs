//! What the runtime would do with a kernel command line, in words, from what it reads itself: [`Request::read`] and [`Policy::read`].

use std::time::Duration;

use crate::cmdline::{Argument, Cmdline};
use crate::failure::{Failure, NO_LIVE_ROOT};
use crate::parameter::{self, Parameter};
use crate::request::persistence::{Persistence, Store};
use crate::request::ram::Copy;
use crate::request::search::{Layout, Only, Search};
use crate::request::verity::Verity;
use crate::request::{Activation, Digest, Emergency, Form, Policy, Request, Root, Verbosity};

/// A kernel command line, explained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// What is done, in boot order: what it is about, and how. Empty where the boot stops at the command line.
    pub steps: Vec<(&'static str, String)>,
    /// Each parameter that liveos knows, in the order of the line.
    pub parameters: Vec<Given>,
    /// Parameters that are left to the kernel and to the system, as they were given.
    pub others: Vec<String>,
    /// What the console says of what is not done.
    pub notices: Vec<String>,
    /// Why the boot stops, where it does.
    pub failure: Option<Failure>,
}

/// A parameter that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// As it was given: `rd.live.dir=liveos`.
    pub text: String,
    /// What is known of it.
    pub parameter: &'static Parameter,
    /// Whether its dialect is the one of the line; one of another is not read.
    pub is_read: bool,
}

/// Explains a command line.
#[must_use]
pub fn explain(cmdline: &Cmdline) -> Explanation {
    let activation = Activation::of(cmdline);
    let mut explanation = Explanation::default();
    for argument in cmdline.arguments() {
        let text = shown(argument);
        match parameter::find(&argument.name) {
            Some(parameter) => explanation.parameters.push(Given {
                text,
                parameter,
                is_read: activation.is_none_or(|it| it.reads(parameter)),
            }),
            None => explanation.others.push(text),
        }
    }
    match Request::read(cmdline) {
        Ok(Some(request)) => {
            explanation.steps = steps(&request, &Policy::read(cmdline));
            explanation.notices = request.notices;
        }
        Ok(None) => {
            let cause = match cmdline.value(parameter::ROOT) {
                Some(root) => format!("root={root} is none"),
                None => "there is no root= at all".to_owned(),
            };
            explanation.failure = Some(Failure::new(NO_LIVE_ROOT, cause));
        }
        Err(failure) => explanation.failure = Some(failure),
    }
    explanation
}

fn shown(argument: &Argument) -> String {
    match &argument.value {
        Some(value) => format!("{}={value}", argument.name),
        None => argument.name.clone(),
    }
}

fn steps(request: &Request, policy: &Policy) -> Vec<(&'static str, String)> {
    let mut steps = vec![("dialect", request.activation.name().to_owned())];
    for (name, modules) in [
        ("drivers first", &request.drivers.pre),
        ("drivers last", &request.drivers.post),
        ("drivers never", &request.drivers.blacklist),
    ] {
        if !modules.is_empty() {
            steps.push((name, modules.join(", ")));
        }
    }
    steps.push(("network", network(request)));
    steps.push(("medium", medium(request)));
    steps.push(("deadline", deadline(request.deadline)));
    let check = match request.check {
        true => "all of the medium is verified before it is used",
        false => "none",
    };
    steps.push(("media check", check.to_owned()));
    steps.push(("root file system image", image(request)));
    steps.push(("verity", verity(request.verity.as_ref())));
    steps.push(("memory", memory(request)));
    steps.push(("writable layer", layer(request)));
    steps.push(("persistence", persistence(request.persistence.as_ref())));
    let init = request.init.as_deref().unwrap_or("the usual one");
    steps.push(("init", init.to_owned()));
    steps.push(("console", console(policy)));
    steps.push(("when the boot stops", stop(policy)));
    steps
}

fn network(request: &Request) -> String {
    let network = &request.network;
    if !network.needed {
        return "stays down".to_owned();
    }
    let how = match network.addresses.len() {
        0 => "every card asks by DHCP".to_owned(),
        1 => "as ip= says".to_owned(),
        many => format!("as {many} ip= say"),
    };
    format!(
        "{how}; a card is waited for {} s, a link {} s, an address {} s",
        network.device_limit.as_secs(),
        network.carrier_limit.as_secs(),
        network.dhcp_limit.as_secs()
    )
}

fn medium(request: &Request) -> String {
    let root = &request.root;
    if let Root::Url(url) = root {
        let certificates = match request.verify_certificates {
            true => "",
            false => ", from a server whose certificate is not verified",
        };
        let digest = match request.digest {
            Some(Digest::Sha256(_)) => ", which must have the digest that is given",
            None => "",
        };
        return format!("fetched to memory from {url}{certificates}{digest}");
    }
    if let Root::File(path) = root {
        return format!("the file {path} of the initramfs");
    }
    let Search { iso, only, .. } = &request.search;
    let only = match only {
        Only::Any => "",
        Only::Removable => " that can be taken out",
        Only::RemovableUsb => " on USB that can be taken out",
    };
    match iso {
        None => format!("the first device{only} with {}", root.describe()),
        Some(file) => {
            let carrier = match &file.carrier {
                Some(carrier) => format!("the device{only} with {}", carrier.describe()),
                None => format!("the first device{only} that has it"),
            };
            let inside = match root {
                Root::Label(_) | Root::Uuid(_) => format!(", which has {}", root.describe()),
                _ => String::new(),
            };
            format!("the file {} of {carrier}{inside}", file.path)
        }
    }
}

fn deadline(deadline: Option<Duration>) -> String {
    match deadline {
        Some(deadline) => format!(
            "the boot stops {} s after the search began",
            deadline.as_secs()
        ),
        None => "none: the medium is waited for without end".to_owned(),
    }
}

fn image(request: &Request) -> String {
    let dir = &request.dir;
    let named = match &request.search.layout {
        Layout::Named => format!("{dir}/{}", request.image),
        Layout::FirstOf(names) => {
            let paths: Vec<String> = names.iter().map(|name| format!("{dir}/{name}")).collect();
            paths.join(" or ")
        }
        Layout::Stack { list } => {
            format!(
                "all images of {dir}, each on top of those before, or those that {dir}/{list} names"
            )
        }
    };
    match request.says_layout {
        true => named,
        false => format!("{named}, or where tools that make live media put it"),
    }
}

fn verity(verity: Option<&Verity>) -> String {
    match verity {
        Some(verity) => format!(
            "each block of the image is verified as it is read, against sha256:{}",
            hex(&verity.root_hash)
        ),
        None => "none".to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn memory(request: &Request) -> String {
    let ram = &request.ram;
    let copy = match ram.copy {
        Copy::No => return "the medium stays in use".to_owned(),
        Copy::WhereItFits => "where there is much memory the image is copied to it",
        Copy::Always => "the image is copied to memory",
    };
    let eject = if ram.eject { " and ejected" } else { "" };
    format!(
        "{copy}, {} MiB must be left, and the medium is released{eject}",
        ram.min_memory_mib
    )
}

fn layer(request: &Request) -> String {
    let layer = &request.layer;
    let form = match layer.form {
        Form::Fitting => "an overlay, or a snapshot where the image is a file system for disks",
        Form::Overlay => "an overlay",
        Form::Snapshot => "a snapshot where the image is a file system for disks, else an overlay",
        Form::Direct => "the image itself where it is in memory, else an overlay",
    };
    let mut text = format!("{form}; in memory it may have {}", layer.tmpfs_options());
    if !layer.root_flags.is_empty() {
        text.push_str(&format!("; mounted with {}", layer.root_flags));
    }
    text
}

fn persistence(persistence: Option<&Persistence>) -> String {
    let Some(wish) = persistence else {
        return "none: what is written is gone with the machine's end".to_owned();
    };
    let kind = wish.file_system.name();
    let mut text = match &wish.store {
        Store::BootDisk { file, file_mib } => format!(
            "on the boot disk, in a partition with {kind} that is made where there is none; beside an ISO file in {file}, of {file_mib} MiB"
        ),
        Store::Named { device, path } => {
            let path = path.as_deref().unwrap_or("the usual folder");
            format!("in {path} of the device {device:?}")
        }
    };
    for (is_so, words) in [
        (wish.encrypted, "; encrypted where it is new"),
        (wish.reset, "; emptied first"),
    ] {
        if is_so {
            text.push_str(words);
        }
    }
    text
}

fn console(policy: &Policy) -> String {
    match policy.verbosity {
        Verbosity::Quiet => "warnings and failures",
        Verbosity::Normal => "warnings, failures and steps",
        Verbosity::Debug => "everything",
    }
    .to_owned()
}

fn stop(policy: &Policy) -> String {
    let then = match policy.emergency {
        Some(Emergency::Reboot) => "the machine starts again",
        Some(Emergency::PowerOff) => "the machine powers off",
        Some(Emergency::Halt) => "the machine halts",
        None => "the machine waits",
    };
    match policy.shell {
        true => format!("a shell, then {then}"),
        false => then.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::Standing;
    use proptest::prelude::*;

    fn of(text: &str) -> Explanation {
        explain(&Cmdline::parse(text))
    }

    fn step<'a>(explanation: &'a Explanation, about: &str) -> &'a str {
        let step = explanation.steps.iter().find(|(name, _)| *name == about);
        step.map_or("", |(_, text)| text)
    }

    #[test]
    fn a_boot_from_a_medium_is_told_in_its_order() {
        let it = of(
            "BOOT_IMAGE=/k root=live:CDLABEL=CDROM rd.live.dir=liveos rd.live.squashimg=rootfs.img rd.live.ram quiet",
        );
        assert_eq!(it.failure, None);
        assert_eq!(it.others, ["BOOT_IMAGE=/k"]);
        for (about, text) in [
            ("dialect", "dmsquash-live and KIWI"),
            ("medium", "the first device with the label \"CDROM\""),
            ("root file system image", "liveos/rootfs.img"),
            ("console", "warnings and failures"),
            ("network", "stays down"),
        ] {
            assert_eq!(step(&it, about), text);
        }
        assert!(step(&it, "memory").starts_with("the image is copied to memory"));
        assert!(step(&it, "deadline").contains("180 s"));
        assert_eq!(it.parameters.len(), 5);
        assert!(it.parameters.iter().all(|given| given.is_read));
    }

    #[test]
    fn a_copy_to_memory_is_asked_for_in_the_words_of_any_dialect() {
        for text in ["root=live:LABEL=x toram", "boot=live copytoram=y"] {
            let it = of(text);
            assert!(
                step(&it, "memory").starts_with("the image is copied"),
                "{text}"
            );
            assert!(it.parameters.iter().all(|given| given.is_read), "{text}");
        }
    }

    #[test]
    fn other_forms_of_media_are_told() {
        for (text, medium) in [
            (
                "boot=live live-media=removable",
                "the first device that can be taken out with a root file system image in its folder live",
            ),
            (
                "root=live:LABEL=x iso-scan/filename=/a.iso",
                "the file /a.iso of the first device that has it, which has the label \"x\"",
            ),
            (
                "archisobasedir=arch img_dev=UUID=1 img_loop=a.iso",
                "the file /a.iso of the device with the UUID \"1\"",
            ),
            ("root=live:/x.iso", "the file /x.iso of the initramfs"),
            ("root=live:http://a/b", "fetched to memory from http://a/b"),
        ] {
            assert_eq!(step(&of(text), "medium"), medium, "{text}");
        }
    }

    #[test]
    fn what_stops_and_what_is_not_done_is_told() {
        assert_eq!(of("root=/dev/sda1").failure.unwrap().code.code, "L0101");
        let it = of("root=live:nonsense verify=y");
        assert_eq!(it.failure.unwrap().code.code, "L0102");
        assert!(it.steps.is_empty());
        let given = &it.parameters[1];
        assert!(!given.is_read && given.parameter.standing == Standing::Refused);
        let it = of("boot=live persistence");
        assert_eq!(it.notices.len(), 1, "{:?}", it.notices);
    }

    proptest! {
        #[test]
        fn any_command_line_is_explained(text in "(root=live:|boot=live|iso-scan/filename=|LABEL=|[a-z/=. ]){0,20}") {
            let it = of(&text);
            prop_assert_eq!(it.steps.is_empty(), it.failure.is_some());
        }
    }
}
