//! What has to be refused, and in which words: `debugfs` makes what no kernel would.

use block::Kind;

use super::image::{Image, chain, need, run};

/// Changes an image with requests to `debugfs`, which keeps its checksums right.
fn debugfs(image: &Image, requests: &[&str]) {
    for request in requests {
        run(
            "debugfs",
            &["-w", "-R", request, image.path.to_str().unwrap()],
        );
    }
}

/// An image with a folder and a file, changed by `requests`.
fn changed(options: &[&str], requests: &[&str]) -> Image {
    let source = tempfile::tempdir().unwrap();
    std::fs::create_dir(source.path().join("folder")).unwrap();
    std::fs::write(source.path().join("folder/file"), vec![7; 9000]).unwrap();
    let mut all = options.to_vec();
    all.extend(["-d", source.path().to_str().unwrap()]);
    let image = Image::make(8, &all);
    debugfs(&image, requests);
    image
}

/// Holds that `image` is refused as `kind`, in words that hold `text`.
fn refused(image: &Image, kind: Kind, text: &str) {
    let error = match formats::ext4::read(image.open()) {
        Ok(_) => panic!("it was read, and not refused because of {text:?}"),
        Err(error) => error,
    };
    let words = chain(&error);
    assert!(words.contains(text), "{words}: {text:?} is not in it");
    assert_eq!(error.kind(), kind, "{words}");
}

#[test]
fn ref_what_breaks_the_rules_is_refused_with_its_path() {
    if !need(&["mke2fs", "debugfs"]) {
        return;
    }
    let ext4 = &["-t", "ext4"][..];
    let plain = &["-t", "ext4", "-O", "^metadata_csum"][..];
    let corrupt: &[(&[&str], &[&str], &str)] = &[
        // Folders in a circle, with two names, or with a file's content.
        (ext4, &["link <2> folder/up"], "/folder/up"),
        (
            ext4,
            &["mkdir other", "link folder other/again"],
            "/other/again",
        ),
        (ext4, &["sif folder/file mode 040755"], "/folder/file"),
        (ext4, &["sif folder/file mode 0130644"], "no kind of file"),
        // Inodes that are not in use, are the file system's own, or do not exist.
        (ext4, &["clri folder/file"], "/folder/file"),
        (ext4, &["sif folder/file links_count 0"], "not in use"),
        (ext4, &["link <8> folder/journal"], "the file system's own"),
        // Blocks outside the file system, and extents out of order.
        (plain, &["sif folder block[0] 0"], "ext4 extent tree"),
        (
            plain,
            &["sif folder/file block[0] 0x0005f30a"],
            "5 of 4 entries",
        ),
        (plain, &["sif folder/file block[1] 0x00060004"], "depth 6"),
        (
            plain,
            &["sif folder/file block[1] 0x00010004"],
            "/folder/file",
        ),
        (
            plain,
            &["sif folder/file block[3] 0xffffffff"],
            "out of order",
        ),
        (
            plain,
            &["sif folder/file block[5] 0x7fffffff"],
            "outside the file system",
        ),
        (
            plain,
            &["sif folder/file block[4] 0x00050003"],
            "outside the file system",
        ),
        (
            plain,
            &["sif folder/file file_acl 0x7fffffff"],
            "outside the file system",
        ),
        (
            plain,
            &["sif folder/file size 0x7fffffffffffffff"],
            "/folder/file",
        ),
        (plain, &["sif folder size 100"], "a folder of 100 bytes"),
        (plain, &["sif folder size 8192"], "missing"),
        // The superblock.
        (ext4, &["ssv inode_size 100"], "inodes have 100 bytes"),
        (ext4, &["ssv inodes_per_group 0"], "0 inodes in a group"),
        (ext4, &["ssv blocks_per_group 0"], "0 blocks in a group"),
        (ext4, &["ssv blocks_count 8193"], "the file system has"),
        (ext4, &["ssv log_block_size 9"], "larger than 64 KiB"),
        (ext4, &["ssv desc_size 63"], "63 bytes"),
        (
            ext4,
            &["feature -has_journal +needs_recovery"],
            "there is none",
        ),
        (
            ext4,
            &["feature needs_recovery", "clri <8>"],
            "opening the ext4 journal",
        ),
    ];
    for (options, requests, text) in corrupt {
        refused(&changed(options, requests), Kind::Corrupt, text);
    }
}

#[test]
fn ref_what_is_not_read_is_refused_by_name() {
    if !need(&["mke2fs", "debugfs"]) {
        return;
    }
    let ext4 = &["-t", "ext4", "-O", "encrypt"][..];
    let cases: &[(&[&str], &str)] = &[
        (&["sif folder flags 0x80800"], "/folder"),
        (&["sif folder/file flags 0x80800"], "it is encrypted"),
        (&["feature dirdata"], "\"dirdata\""),
        (&["ssv feature_incompat 0x800002c2"], "0x80000000"),
        (&["ssv rev_level 2"], "revision 2"),
        (
            &["feature needs_recovery", "ssv journal_inum 0"],
            "external journal",
        ),
    ];
    for (requests, text) in cases {
        refused(&changed(ext4, requests), Kind::Unsupported, text);
    }
    // Encryption that no file uses, and an external journal that holds nothing, are no reason to refuse.
    changed(ext4, &[]).read();
    changed(ext4, &["ssv journal_inum 0"]).read();
}

#[test]
fn ref_a_journal_device_is_no_file_system() {
    if !need(&["mke2fs"]) {
        return;
    }
    let image = Image::make(8, &["-O", "journal_dev", "-b", "4096"]);
    assert_eq!(formats::ext4::probe(&image.open()).unwrap(), None);
    refused(&image, Kind::Unsupported, "external journal");
}

#[test]
fn what_is_no_ext4_is_not_taken_for_one() {
    let empty: std::sync::Arc<dyn block::ReadAt> = std::sync::Arc::new(vec![0_u8; 8192]);
    let short: std::sync::Arc<dyn block::ReadAt> = std::sync::Arc::new(vec![0xff_u8; 1500]);
    for source in [empty, short] {
        assert_eq!(formats::ext4::probe(&source).unwrap(), None);
        let error = formats::ext4::read(source).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }
}

#[test]
fn ref_the_identity_is_what_blkid_shows() {
    if !need(&["mke2fs", "blkid"]) {
        return;
    }
    let uuid = "2c1b5d0e-90a7-4f33-8e0c-00ff10203040";
    for kind in ["ext2", "ext3", "ext4"] {
        let image = Image::make(8, &["-t", kind, "-L", "sixteen bytes ok", "-U", uuid]);
        let identity = formats::ext4::probe(&image.open()).unwrap().unwrap();
        assert_eq!(identity.format, "ext4");
        let ask = |tag: &str| {
            let path = image.path.to_str().unwrap();
            run("blkid", &["-p", "-o", "value", "-s", tag, path])
                .trim()
                .to_owned()
        };
        assert_eq!(identity.uuid, ask("UUID"));
        assert_eq!(identity.label, ask("LABEL"));
        assert_eq!(image.read().identity, identity);
    }
}
