//! `initramfs` and `rootImage`: ours.

use formats::squashfs::Compression;

use crate::file::fields::{Fields, Marked, Section};
use crate::file::form::key;
use crate::file::rule;
use crate::file::section::files::ADDITIONAL_FILE;
use crate::file::shape::{Choice, Flag, Integer, Text};
use crate::file::source::Mark;
use crate::settings::{AdditionalFile, DracutModules, Generator, RootImageSettings, Verity};

pub(super) const INITRAMFS: Section<InitramfsValues> = Section("Initramfs", initramfs);
pub(super) const ROOT_IMAGE: Section<RootImageSettings> = Section("RootImage", root_image);

/// `initramfs`, as one file has it.
#[derive(Debug, Default)]
pub(in crate::file) struct InitramfsValues {
    pub(in crate::file) generator: Option<Generator>,
    pub(in crate::file) dracut_modules: Option<Marked<DracutModules>>,
    pub(in crate::file) add_modules: Vec<String>,
    pub(in crate::file) omit_modules: Vec<String>,
    pub(in crate::file) install: Vec<String>,
    pub(in crate::file) shell: Option<bool>,
    pub(in crate::file) additional_files: Vec<AdditionalFile>,
    /// Keys that only the native generator heeds, as far as they are given.
    pub(in crate::file) native_only: Vec<(&'static str, Mark)>,
}

const GENERATORS: Choice<Generator> = Choice(&[
    (
        "native",
        Generator::Native,
        "we make it from the image's files; no program of the image runs",
    ),
    (
        "dracut",
        Generator::Dracut,
        "the image's own dracut makes it, in the sandbox",
    ),
]);

const DRACUT_MODULES: Choice<DracutModules> = Choice(&[
    ("liveos", DracutModules::Liveos, "our dracut module"),
    (
        "upstream",
        DracutModules::Upstream,
        "dracut's own `dmsquash-live livenet`",
    ),
]);

fn initramfs(fields: &mut Fields<'_>) -> InitramfsValues {
    let generator = key("generator", "Who makes a bootstrap initramfs.").default("`native`");
    let modules = key(
        "dracutModules",
        "What boots the media in an initramfs of dracut's; with `generator: dracut` only.",
    )
    .default("`liveos`");
    let add = key(
        "addModules",
        "Kernel modules to take along, by name or alias, besides those that live media need. With `generator: native` only, as `omitModules`, `install` and `additionalFiles`: dracut heeds files in the image's `/etc/dracut.conf.d`, which `os.additionalFiles` puts there.",
    );
    let omit = key("omitModules", "Kernel modules to leave out.");
    let install = key(
        "install",
        "Files of the image to take along; programs with their libraries.",
    );
    let shell = key(
        "shell",
        "A shell in the initramfs, which `rd.shell` and `rd.break` start: busybox of the image or of this machine. An initramfs of dracut's has one always.",
    )
    .default("`false`");
    let files = key("additionalFiles", "Files of this machine to put in.");
    let word = Text::of("the name of a kernel module", rule::name);
    let mut values = InitramfsValues {
        generator: fields.get(generator.ours(), &GENERATORS),
        dracut_modules: fields.marked(modules.ours(), &DRACUT_MODULES),
        add_modules: fields.list(add.ours(), word),
        omit_modules: fields.list(omit.ours(), word),
        install: fields.list(
            install.ours(),
            Text::of("a path of the image", rule::destination),
        ),
        shell: fields.get(shell.ours(), &Flag),
        additional_files: fields.list(files.ours(), ADDITIONAL_FILE),
        native_only: Vec::new(),
    };
    let native_only = ["addModules", "omitModules", "install", "additionalFiles"];
    let given = native_only.map(|name| fields.mark(name).map(|mark| (name, mark)));
    values.native_only = given.into_iter().flatten().collect();
    values
}

const VERITY: Choice<Verity> = Choice(&[
    (
        "auto",
        Verity::Auto,
        "where all kernels of the image can; a warning names one that cannot",
    ),
    (
        "on",
        Verity::On,
        "always; an error where a kernel of the image cannot",
    ),
    ("off", Verity::Off, "never"),
]);

fn root_image(fields: &mut Fields<'_>) -> RootImageSettings {
    let compression = key("compression", "How it is compressed.")
        .default("zstd at level 3, or gzip where the image's kernel cannot read zstd")
        .ours();
    let verity = key(
        "verity",
        "Whether the image has a hash tree (dm-verity), and the boot configuration its root hash: the kernel verifies each block as it is read, and a damaged one is an error, never wrong data.",
    )
    .default("`auto`, or what an earlier build of the live media that are built from was asked for")
    .ours();
    let compression = fields.get(compression, &Section("Compression", compression_section));
    RootImageSettings {
        compression: compression.flatten(),
        verity: fields.get(verity, &VERITY),
    }
}

/// The algorithms.
#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Zstd,
    Gzip,
    Xz,
    Lz4,
}

const ALGORITHMS: Choice<Algorithm> = Choice(&[
    ("zstd", Algorithm::Zstd, "Linux 4.14 and later"),
    ("gzip", Algorithm::Gzip, "every kernel with squashfs"),
    ("xz", Algorithm::Xz, "small, and slow to read"),
    ("lz4", Algorithm::Lz4, "fast to read, and large"),
]);

/// The highest level of zstd, and that of gzip (libdeflate's).
const MOST_ZSTD: u8 = 22;
const MOST_GZIP: u8 = 12;
/// The level of gzip where none is asked for, as zlib has it.
const DEFAULT_GZIP: u8 = 6;

fn compression_section(fields: &mut Fields<'_>) -> Option<Compression> {
    let algorithm = key("algorithm", "The algorithm.").needed().ours();
    let level = key(
        "level",
        "1 (fast) to 22 (small) with `zstd`, to 12 with `gzip`; the others have none.",
    )
    .default("3 with `zstd`, 6 with `gzip`")
    .ours();
    let algorithm = fields.get(algorithm, &ALGORITHMS);
    let level = fields.get(
        level,
        &Integer {
            least: 1,
            most: i64::from(MOST_ZSTD),
        },
    );
    let level = level.and_then(|level| u8::try_from(level).ok());
    match (algorithm?, level) {
        (Algorithm::Zstd, level) => Some(Compression::Zstd {
            level: level.unwrap_or(crate::DEFAULT_ZSTD_LEVEL),
        }),
        (Algorithm::Gzip, Some(level)) if level > MOST_GZIP => {
            fields.refuse(
                "level",
                &format!("is {level}, and gzip has 1 to {MOST_GZIP}"),
            );
            None
        }
        (Algorithm::Gzip, level) => Some(Compression::Gzip {
            level: level.unwrap_or(DEFAULT_GZIP),
        }),
        (_, Some(_)) => {
            fields.refuse("level", "has no meaning for this algorithm");
            None
        }
        (Algorithm::Xz, None) => Some(Compression::Xz),
        (Algorithm::Lz4, None) => Some(Compression::Lz4),
    }
}
