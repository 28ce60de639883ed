//! Our ISOs seen by the programs of the field, theirs read by us.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these tests start reference programs"
)]

mod iso9660_reference;
mod iso9660_sample;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use block::{Content, DiskFile, ReadAt as _};
use formats::iso9660::{File, boot_catalog, probe, read_tree};
use iso9660_reference::{need, need_root, read_folder, run, text};
use iso9660_sample::{
    TIME, add_boot, contents, dump, files, metadata, noise, options, path, put, put_file, tree,
    write_file,
};
use tree::{InodeId, Node, Tree};

/// The dump without the times of links, which xorriso does not set.
fn without_link_times(tree: &mut Tree<Content>) -> String {
    let links: Vec<InodeId> = tree
        .walk()
        .filter(|entry| matches!(entry.inode.node, Node::Symlink(_)))
        .map(|entry| entry.id)
        .collect();
    for id in links {
        tree.metadata_mut(id).mtime = TIME;
    }
    dump(tree)
}

/// Holds that two dumps are the same; shows the lines that differ.
fn assert_same(found: &str, expected: &str) {
    let [found, expected] = [found, expected].map(|text| text.lines().collect::<BTreeSet<_>>());
    let more: Vec<_> = found.difference(&expected).collect();
    let less: Vec<_> = expected.difference(&found).collect();
    assert!(
        more.is_empty() && less.is_empty(),
        "found {more:#?}\nexpected {less:#?}"
    );
}

#[test]
fn ref_xorriso_extracts_what_was_written() {
    if !need("xorriso") || !need_root() {
        return;
    }
    let mut tree = tree();
    // xorriso makes no sockets, sees other numbers in a device that only Linux takes (PN), takes two slashes for one, and reads no
    // target of this length.
    for other in ["/dev/socket", "/dev/wide", "/links/4", "/links/sixteen"] {
        assert!(tree.remove_path(&path(other)));
    }
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("ours.iso");
    let out = folder.path().join("out");
    write_file(&tree, &options(), &iso);
    let args = "-abort_on WARNING -osirrox on:device_files -hardlinks on -indev";
    let args: Vec<&str> = args
        .split(' ')
        .chain([text(&iso), "-extract", "/", text(&out)])
        .collect();
    run("xorriso", &args);
    let expected = without_link_times(&mut contents(&tree));
    assert_same(&without_link_times(&mut read_folder(&out)), &expected);
}

#[test]
fn ref_xorriso_sees_both_boot_images_and_the_partitions() {
    if !need("xorriso") {
        return;
    }
    let (mut tree, mut options) = (tree(), options());
    assert!(tree.remove_path(&path("/links/sixteen")));
    add_boot(&mut tree, &mut options);
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("ours.iso");
    let esp = write_file(&tree, &options, &iso).esp.unwrap();
    let report = ["-report_el_torito", "plain", "-report_system_area", "plain"];
    let args: Vec<&str> = ["-abort_on", "WARNING", "-indev", text(&iso)]
        .into_iter()
        .chain(report)
        .collect();
    let report = run("xorriso", &args);
    let sectors = format!("GPT start and size :   2  {}  300", esp.offset / 512);
    for line in [
        "Volume id    : 'LIVE-media_1.0'",
        "Boot record  : El Torito , MBR protective-msdos-label grub2-mbr cyl-align-off GPT",
        "El Torito img path :   1  /boot/grub2/i386-pc/eltorito.img",
        "El Torito img opts :   1  boot-info-table grub2-boot-info",
        "El Torito img path :   2  /boot/grub2/efiboot.img",
        "MBR partition      :   2   0x80  0x00            0            1",
        "GPT partition path :   2  /boot/grub2/efiboot.img",
        &sectors,
    ] {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
}

#[test]
fn ref_partition_tools_find_no_fault() {
    let (mut tree, mut options) = (tree(), options());
    add_boot(&mut tree, &mut options);
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("ours.iso");
    write_file(&tree, &options, &iso);
    if need("sgdisk") {
        let report = run("sgdisk", &["-v", text(&iso)]);
        assert!(report.contains("No problems found"), "{report}");
        assert!(!report.contains("Caution"), "{report}");
    }
    if need("sfdisk") {
        let report = run("sfdisk", &["-V", text(&iso)]);
        assert!(report.contains("No errors detected"), "{report}");
    }
    if need("blkid") {
        let report = run("blkid", &["-p", "-o", "export", text(&iso)]);
        let identity = probe(&DiskFile::open(&iso).unwrap()).unwrap().unwrap();
        for line in [
            "TYPE=iso9660".to_owned(),
            format!("LABEL={}", identity.label),
            format!("UUID={}", identity.uuid),
            "PTTYPE=gpt".to_owned(),
        ] {
            assert!(
                report.lines().any(|found| found == line),
                "{line} is not in\n{report}"
            );
        }
    }
}

#[test]
fn ref_blkid_takes_the_whole_of_a_long_label() {
    if !need("blkid") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("ours.iso");
    let mut options = options();
    options.volume_id =
        formats::iso9660::VolumeId::new("A-Label-of-thirty-two-characters").unwrap();
    write_file(&tree(), &options, &iso);
    let report = run("blkid", &["-p", "-o", "value", "-s", "LABEL", text(&iso)]);
    assert_eq!(report.trim(), "A-Label-of-thirty-two-characters");
}

#[test]
fn ref_isoinfo_reads_the_same_bytes_in_every_view() {
    if !need("isoinfo") {
        return;
    }
    let mut tree = Tree::new(metadata(0o755));
    put_file(
        &mut tree,
        "/folder/A long name of some Kind.text",
        &noise(4, 70_000),
    );
    put_file(&mut tree, "/folder/ä.txt", b"unicode");
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("ours.iso");
    write_file(&tree, &options(), &iso);
    for (view, name) in [
        ("-R", "/folder/A long name of some Kind.text"),
        ("-J", "/folder/A long name of some Kind.text;1"),
        ("-s", "/FOLDER/A_LONG_NAME_OF_SOME_KIND.TEXT;1"),
    ] {
        let args = [view, "-i", text(&iso), "-x", name];
        let output = Command::new("isoinfo").args(args).output().unwrap();
        assert!(output.stdout == noise(4, 70_000), "{view}");
    }
    let args = ["-J", "-j", "iso8859-1", "-f", "-i", text(&iso)];
    let output = Command::new("isoinfo").args(args).output().unwrap();
    let mut lines = output.stdout.split(|byte| *byte == b'\n');
    assert!(lines.any(|line| line == b"/folder/\xe4.txt;1"));
}

#[test]
fn ref_xorriso_reads_a_file_of_several_extents() {
    if !need("xorriso") {
        return;
    }
    let len = (4_u64 << 30) + 5_000;
    let content = Content::new([
        block::Piece::Bytes(noise(5, 4000).into()),
        block::Piece::Hole { len: len - 8000 },
        block::Piece::Bytes(noise(6, 4000).into()),
    ])
    .unwrap();
    let mut tree = Tree::new(metadata(0o755));
    put(
        &mut tree,
        "/large",
        0o644,
        Node::File(File::Content(content)),
    );
    put_file(&mut tree, "/small", b"small");
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("ours.iso");
    write_file(&tree, &options(), &iso);
    let args = [
        "-abort_on",
        "WARNING",
        "-indev",
        text(&iso),
        "-lsl",
        "/large",
        "/small",
    ];
    let list = run("xorriso", &args);
    assert!(list.contains(&len.to_string()), "{list}");
    // Its ends, and what lies on both sides of the border of the extents.
    let out = folder.path().join("part");
    for (offset, expected) in [
        (0, &noise(5, 4000)[..2048]),
        (len - 2048, &noise(6, 4000)[4000 - 2048..]),
    ] {
        let (at, out) = (offset.to_string(), text(&out));
        let args = [
            "-osirrox",
            "on",
            "-indev",
            text(&iso),
            "-extract_cut",
            "/large",
            &at,
            "2048",
            out,
        ];
        run("xorriso", &args);
        assert!(std::fs::read(out).unwrap() == expected);
        std::fs::remove_file(out).unwrap();
    }
}

/// A folder on disk with what both programs put on an ISO as it is: they lose the last slash of a link's target.
fn make_folder(at: &Path) {
    std::fs::create_dir(at).unwrap();
    let folder = at.parent().unwrap();
    let iso = folder.join("seed.iso");
    let mut tree = tree();
    for other in [
        "/dev/socket",
        "/links/4",
        "/links/5",
        "/links/sixteen",
        "/deep-0",
        "/dev/wide",
    ] {
        assert!(tree.remove_path(&path(other)));
    }
    write_file(&tree, &options(), &iso);
    let args = "-osirrox on:device_files -hardlinks on -indev";
    let args: Vec<&str> = args
        .split(' ')
        .chain([text(&iso), "-extract", "/", text(at)])
        .collect();
    run("xorriso", &args);
}

#[test]
fn ref_we_read_what_xorriso_makes() {
    if !need("xorriso") || !need_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    make_folder(&from);
    let iso = folder.path().join("theirs.iso");
    let args = "-as mkisofs -V THEIRS --hardlinks -J -o";
    let args: Vec<&str> = args.split(' ').chain([text(&iso), text(&from)]).collect();
    run("xorriso", &args);
    let read = read_tree(Arc::new(DiskFile::open(&iso).unwrap())).unwrap();
    assert_same(&dump(&read), &dump(&read_folder(&from)));
    assert_eq!(
        probe(&DiskFile::open(&iso).unwrap())
            .unwrap()
            .unwrap()
            .label,
        "THEIRS"
    );
}

#[test]
fn ref_we_read_what_genisoimage_makes() {
    if !need("genisoimage") || !need("xorriso") || !need_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    make_folder(&from);
    // It writes a wrong length into a component that goes on elsewhere, which Linux does not read either.
    for link in ["one", "four", "parts"] {
        std::fs::remove_file(from.join("links").join(link)).unwrap();
    }
    // Its relocation of deep folders (CL, PL, RE) too.
    let deep = from.join("1/2/3/4/5/6/7/8/9/10/11");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("file"), "deep").unwrap();
    let iso = folder.path().join("theirs.iso");
    let args = "-quiet -V THEIRS -R -o";
    let args: Vec<&str> = args.split(' ').chain([text(&iso), text(&from)]).collect();
    run("genisoimage", &args);
    let read = read_tree(Arc::new(DiskFile::open(&iso).unwrap())).unwrap();
    assert_same(&dump(&read), &dump(&read_folder(&from)));
}

#[test]
fn ref_without_rock_ridge_names_come_from_joliet_or_are_plain() {
    if !need("genisoimage") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    std::fs::create_dir_all(from.join("Folder")).unwrap();
    std::fs::write(from.join("Folder/A Name with ä.text"), noise(7, 5000)).unwrap();
    for (args, name) in [
        ("-J", "/Folder/A Name with ä.text"),
        ("-iso-level 1", "/folder/a_name_w.tex"),
    ] {
        let iso = folder.path().join("theirs.iso");
        let args = format!("-quiet -input-charset utf-8 -V X {args} -o");
        let args: Vec<&str> = args.split(' ').chain([text(&iso), text(&from)]).collect();
        run("genisoimage", &args);
        let read = read_tree(Arc::new(DiskFile::open(&iso).unwrap())).unwrap();
        let listing = dump(&read);
        let content = read
            .file(name)
            .unwrap_or_else(|| panic!("{name} is not in\n{listing}"));
        assert!(content.read_all(9999).unwrap() == noise(7, 5000));
    }
}

#[test]
fn ref_we_find_the_boot_images_that_xorriso_puts_on_an_iso() {
    if !need("xorriso") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("bios.img"), noise(1, 30_000)).unwrap();
    std::fs::write(from.join("efi.img"), noise(2, 50_000)).unwrap();
    let iso = folder.path().join("theirs.iso");
    let args = "-as mkisofs -V X -R -b bios.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \
                -eltorito-alt-boot -e efi.img -no-emul-boot -o";
    let args: Vec<&str> = args
        .split(' ')
        .filter(|arg| !arg.is_empty())
        .chain([text(&iso), text(&from)])
        .collect();
    run("xorriso", &args);
    let disk = DiskFile::open(&iso).unwrap();
    let entries = boot_catalog(&disk).unwrap();
    let efi = entries
        .iter()
        .find(|entry| entry.platform == formats::iso9660::Platform::Efi)
        .unwrap();
    let mut bytes = vec![0; 50_000];
    disk.read_exact_at(&mut bytes, efi.offset).unwrap();
    assert!(bytes == noise(2, 50_000));
    // And our patches of the BIOS image are theirs, byte for byte, where it lies in the same place.
    let theirs = entries
        .iter()
        .find(|entry| entry.platform == formats::iso9660::Platform::X86)
        .unwrap();
    let mut patched = vec![0; 30_000];
    disk.read_exact_at(&mut patched, theirs.offset).unwrap();
    let read = read_tree(Arc::new(DiskFile::open(&iso).unwrap())).unwrap();
    let mut tree = files(&read);
    let mut options = options();
    put_file(&mut tree, "/bios.img", &noise(1, 30_000));
    add_boot(&mut tree, &mut options);
    options.bios.as_mut().unwrap().image = path("/bios.img");
    let ours = folder.path().join("ours.iso");
    write_file(&tree, &options, &ours);
    let disk = DiskFile::open(&ours).unwrap();
    let at = boot_catalog(&disk).unwrap()[0].offset;
    let mut own = vec![0; 30_000];
    disk.read_exact_at(&mut own, at).unwrap();
    let moved = |bytes: &mut Vec<u8>, from: u64| {
        let sub = |bytes: &mut Vec<u8>, at: usize, by: u64| {
            let number = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let number = number.wrapping_sub(u32::try_from(by).unwrap());
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        };
        sub(bytes, 12, from / 2048);
        sub(bytes, 2548, from / 512);
    };
    moved(&mut patched, theirs.offset);
    moved(&mut own, at);
    // The checksum is of the image with its place in it, or without.
    patched[20..24].fill(0);
    own[20..24].fill(0);
    assert!(patched == own);
}
