//! What becomes of files in each language.

use super::*;

fn parameters(delete: &[&str], replace: &[(&str, &str)], append: &[&str]) -> Parameters {
    let mut parameters = Parameters::default();
    delete.iter().for_each(|what| parameters.delete(what));
    replace
        .iter()
        .for_each(|(name, value)| parameters.replace(name, value));
    append.iter().for_each(|line| parameters.append(line));
    parameters
}

fn changed(dialect: Dialect, text: &str, parameters: &Parameters, more: Option<&str>) -> Changed {
    let change = Change {
        parameters,
        initramfs: more,
    };
    edit(dialect, text.as_bytes(), &change).unwrap()
}

fn text(changed: &Changed) -> String {
    String::from_utf8(changed.bytes.clone()).unwrap()
}

const GRUB: &str = "set timeout=5 # keep\nset linux_extra=\"quiet splash\"\nmenuentry 'one' {\n\
    \tlinux /boot/vmlinuz-1 root=live:CDLABEL=X console=tty0 console=ttyS0 $linux_extra -- single\n\
    \tinitrd /boot/initramfs-1.img\n}\nsubmenu 'more' { menuentry 'two' {\n\
    linuxefi ($root)/boot/vmlinuz-2 root=live:CDLABEL=X\ninitrdefi ($root)/boot/a.img ($root)/boot/b.img\n}}\n";

const ISOLINUX: &str = "UI menu.c32\nTIMEOUT 50\nLABEL a\n  MENU LABEL The ^first\n  LINUX /boot/vmlinuz-1\n\
    \x20 INITRD /boot/initramfs-1.img\n  APPEND root=live:CDLABEL=X quiet\nlabel b\n kernel /boot/vmlinuz-2\n\
    \x20append initrd=/boot/i2.img root=live:CDLABEL=X quiet ---\nlabel memtest\n  kernel memtest\n  append quiet\n\
    LABEL c\n  LINUX /boot/vmlinuz-3\n";

const ENTRY: &str = "title One\nversion 1\nlinux /boot/vmlinuz-1\ninitrd /boot/initramfs-1.img\noptions root=x quiet\n";

const IPXE: &str = "#!ipxe\nset base http://a/b\nkernel --name k ${base}/boot/vmlinuz initrd=initramfs.img root=live:x quiet || shell\n\
    initrd --name initramfs.img ${base}/boot/initramfs.img\nboot || shell\n";

#[test]
fn every_entry_of_every_language_gets_what_comes_and_loses_what_goes() {
    let wish = parameters(&["quiet"], &[("loglevel", "7")], &["a 'b=1'", "debug"]);
    for (dialect, given) in [
        (Dialect::Grub, GRUB),
        (Dialect::Syslinux, ISOLINUX),
        (Dialect::Entry, ENTRY),
        (Dialect::Ipxe, IPXE),
    ] {
        let done = changed(dialect, given, &wish, None);
        assert!(!done.lines.is_empty());
        for line in &done.lines {
            let has = |what: &str| line.parameters.iter().any(|argument| argument == what);
            assert!(has("loglevel=7") && has("debug") && has("a"), "{line:?}");
            assert!(!has("quiet"), "{line:?}");
        }
        let again = changed(dialect, &text(&done), &wish, None);
        assert_eq!(again.bytes, done.bytes, "{dialect:?}: twice is once");
        let nothing = changed(dialect, given, &Parameters::default(), None);
        assert_eq!(
            text(&nothing),
            given,
            "{dialect:?}: nothing changes nothing"
        );
    }
}

#[test]
fn in_grub_what_comes_stands_before_the_separator_and_all_else_stays() {
    let wish = parameters(&["splash"], &[("console", "ttyS1")], &["debug"]);
    let done = text(&changed(Dialect::Grub, GRUB, &wish, None));
    let expected = GRUB
        .replace("\"quiet splash\"", "\"quiet\"")
        .replace("console=tty0 console=ttyS0", "console=ttyS1")
        .replace(" -- single", " debug -- single")
        .replace(
            "vmlinuz-2 root=live:CDLABEL=X",
            "vmlinuz-2 root=live:CDLABEL=X console=ttyS1 debug",
        );
    assert_eq!(done, expected);
}

#[test]
fn a_further_initramfs_comes_last_in_every_entry_with_the_device_or_folder_of_the_others() {
    let more = Some("/boot/more.img");
    let none = Parameters::default();
    let grub = text(&changed(Dialect::Grub, GRUB, &none, more));
    assert!(
        grub.contains("initrd /boot/initramfs-1.img /boot/more.img\n"),
        "{grub}"
    );
    assert!(
        grub.contains("($root)/boot/b.img ($root)/boot/more.img\n"),
        "{grub}"
    );
    let isolinux = text(&changed(Dialect::Syslinux, ISOLINUX, &none, more));
    assert!(
        isolinux.contains("INITRD /boot/initramfs-1.img,/boot/more.img\n"),
        "{isolinux}"
    );
    assert!(
        isolinux.contains("initrd=/boot/i2.img,/boot/more.img root="),
        "{isolinux}"
    );
    let entry = text(&changed(Dialect::Entry, ENTRY, &none, more));
    assert!(
        entry.contains("initrd /boot/initramfs-1.img /boot/more.img\n"),
        "{entry}"
    );
    let ipxe = text(&changed(Dialect::Ipxe, IPXE, &none, more));
    assert!(
        ipxe.contains("initramfs.img\ninitrd ${base}/boot/more.img\nboot"),
        "{ipxe}"
    );
    let variable = "menuentry x {\nlinux /k a\ninitrd \"${path}/i.img\"\n}\n";
    let variable = text(&changed(Dialect::Grub, variable, &none, more));
    assert!(
        variable.contains("initrd \"${path}/i.img\" \"${path}/more.img\"\n"),
        "{variable}"
    );
}

#[test]
fn what_was_asked_for_last_about_a_name_counts() {
    let mut wish = parameters(&[], &[], &["debug", "x=1"]);
    wish.append("debug");
    assert_eq!(wish.append, ["debug", "x=1"]);
    wish.delete("debug");
    wish.replace("x", "2");
    assert_eq!(wish.append, Vec::<String>::new());
    assert_eq!(wish.replace, [("x".to_owned(), "2".to_owned())]);
    wish.delete("x");
    assert!(wish.replace.is_empty());
    let old = ["x=0".to_owned(), "debug".to_owned(), "y".to_owned()];
    assert_eq!(wish.apply(&old), ["y"]);
    wish.append("x=5");
    assert_eq!(wish.apply(&old), ["y", "x=5"]);
}

#[test]
fn names_are_compared_as_the_kernel_does_and_a_value_can_be_meant() {
    let wish = parameters(&["no-hz", "console=tty0"], &[], &[]);
    let old = ["no_hz=1", "console=tty0", "console=ttyS0", "no_hzx"].map(str::to_owned);
    assert_eq!(wish.apply(&old), ["console=ttyS0", "no_hzx"]);
}

#[test]
fn a_parameter_with_blanks_is_one_parameter_everywhere() {
    let wish = parameters(&[], &[], &["dyndbg=\"file a +p\""]);
    assert_eq!(wish.append, ["dyndbg=file a +p"]);
    let grub = text(&changed(Dialect::Grub, GRUB, &wish, None));
    assert!(grub.contains(" 'dyndbg=file a +p' -- single"), "{grub}");
    let entry = text(&changed(Dialect::Entry, ENTRY, &wish, None));
    assert!(
        entry.contains("options root=x quiet \"dyndbg=file a +p\"\n"),
        "{entry}"
    );
}

#[test]
fn parameters_that_grub_takes_from_elsewhere_are_told_of() {
    let script = "menuentry x {\nlinux /k $kernelopts\ninitrd /i\n}\n";
    let done = changed(
        Dialect::Grub,
        script,
        &parameters(&["quiet"], &[], &[]),
        None,
    );
    assert!(
        done.warnings
            .iter()
            .any(|warning| warning.contains("kernelopts")),
        "{done:?}"
    );
}

#[test]
fn a_label_that_starts_no_linux_stays_as_it_is() {
    let done = text(&changed(
        Dialect::Syslinux,
        ISOLINUX,
        &parameters(&["quiet"], &[], &["debug"]),
        None,
    ));
    assert!(
        done.contains("label memtest\n  kernel memtest\n  append quiet\n"),
        "{done}"
    );
    assert!(
        done.contains("LINUX /boot/vmlinuz-3\n  APPEND debug\n"),
        "{done}"
    );
    assert!(
        done.contains("append initrd=/boot/i2.img root=live:CDLABEL=X debug ---\n"),
        "{done}"
    );
}

#[test]
fn a_files_language_follows_from_its_name_and_folder() {
    for (path, dialect) in [
        ("/boot/grub2/grub.cfg", Some(Dialect::Grub)),
        ("/EFI/BOOT/grub.cfg", Some(Dialect::Grub)),
        ("/isolinux/isolinux.cfg", Some(Dialect::Syslinux)),
        ("/isolinux/txt.cfg", Some(Dialect::Syslinux)),
        ("/boot/x86_64/loader/isolinux.cfg", Some(Dialect::Syslinux)),
        ("/pxelinux.cfg/default", Some(Dialect::Syslinux)),
        ("/loader/entries/a.conf", Some(Dialect::Entry)),
        ("/boot/loader/entries/a.conf", Some(Dialect::Entry)),
        ("/boot.ipxe", Some(Dialect::Ipxe)),
        ("/etc/other.conf", None),
        ("/boot/vmlinuz", None),
    ] {
        assert_eq!(Dialect::of(path), dialect, "{path}");
    }
}

#[test]
fn what_makes_media_boot_is_protected() {
    for name in [
        "root",
        "rd.live.image",
        "rd.live.dir",
        "rd.live.squashimg",
        "rd.live.overlay.overlayfs",
        "boot",
    ] {
        assert!(protected(name), "{name}");
    }
    for name in ["console", "rd.live.ram", "rd.live.check", "quiet"] {
        assert!(!protected(name), "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_changed_or_refused(
        words in proptest::collection::vec(
            "(label|LINUX|linux|kernel|append|APPEND|initrd|INITRD|options|title|set|menuentry|\\{|\\}|\n|'|\"|\\$x|\\$\\{y\\}|--|-|=|\\||a=b|quiet|/k|x,y|é|\\\\| )",
            0..40,
        ),
        glue in "( |\t|)",
    ) {
        let given = words.join(&glue);
        let wish = parameters(&["quiet", "a=b"], &[("x", "é")], &["debug c=\"d e\""]);
        for dialect in [Dialect::Grub, Dialect::Syslinux, Dialect::Entry, Dialect::Ipxe] {
            for initramfs in [None, Some("/boot/more.img")] {
                let change = Change { parameters: &wish, initramfs };
                if let Ok(done) = edit(dialect, given.as_bytes(), &change)
                    && dialect == Dialect::Grub
                {
                    // What is a script stays one.
                    proptest::prop_assert!(crate::grub::Script::parse(done.bytes).is_ok(), "{given:?}");
                }
            }
        }
    }
}
