//! `input`, `output` and `baseConfigs`.

use std::path::PathBuf;

use crate::file::fields::{Context, Fields, Marked, Section, Shape};
use crate::file::form::{Form, key};
use crate::file::local::Local;
use crate::file::node::{Node, Value};
use crate::file::rule;
use crate::file::shape::{Choice, Integer, List, Short, Text};
use crate::settings::{Input, OutputFormat};

pub(super) const INPUT: Section<Option<Input>> = Section("Input", input);
pub(super) const OUTPUT: Section<OutputValues> = Section("Output", output);
pub(super) const BASE_CONFIG: Section<Option<Marked<PathBuf>>> = Section("BaseConfig", base_config);

/// `output`, as one file has it.
#[derive(Debug, Default)]
pub(in crate::file) struct OutputValues {
    pub(in crate::file) path: Option<Marked<PathBuf>>,
    pub(in crate::file) format: Option<Marked<Format>>,
}

/// A word for an output format.
#[derive(Clone, Copy, Debug)]
pub(in crate::file) enum Format {
    /// Live media.
    Live(OutputFormat),
    /// A disk image or an archive of one: not written.
    Disk(&'static str),
}

fn input(fields: &mut Fields<'_>) -> Option<Input> {
    let image = Section("InputImage", input_image);
    fields
        .get(key("image", "What is built from."), &image)
        .flatten()
}

fn input_image(fields: &mut Fields<'_>) -> Option<Input> {
    let path = key(
        "path",
        "A disk image, a live ISO, a tar or a folder; relative to this file.",
    );
    let oci = key(
        "oci",
        "An OCI image that holds one disk image. A single value is its `uri`. *Not built from yet.*",
    );
    let azure = key(
        "azureLinux",
        "A published image of Azure Linux. *Not built from yet.*",
    );
    let oci_shape = Short {
        short: Text::of("an OCI reference", rule::oci_reference),
        long: Section("OciImage", oci_image),
    };
    let given = ["path", "oci", "azureLinux"].map(|name| (name, fields.has(name)));
    let path = fields.get(path, &Local::Unchecked).map(Input::Path);
    let oci = fields.get(oci, &oci_shape).map(Input::Oci);
    let azure = fields.get(azure, &Section("AzureLinuxImage", azure_linux));
    let mut given = given.iter().filter(|(_, is_given)| *is_given);
    if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
        let message =
            format!("cannot stand beside `{first}`: give one of `path`, `oci` and `azureLinux`");
        fields.refuse(second, &message);
    }
    path.or(oci).or(azure)
}

fn oci_image(fields: &mut Fields<'_>) -> String {
    let uri = key(
        "uri",
        "The reference: `REGISTRY/REPOSITORY:TAG` or `…@DIGEST`.",
    );
    let uri = fields.need(uri, &Text::of("an OCI reference", rule::oci_reference));
    let platform = key(
        "platform",
        "Which of an index's images: `OS` or `OS/ARCHITECTURE`, or a section.",
    )
    .default("`linux` and this machine's architecture");
    let shape = Short {
        short: Text::of("a platform", platform_word),
        long: Section("OciPlatform", platform_section),
    };
    fields.get(platform, &shape);
    uri
}

fn platform_word(text: &str) -> rule::Checked {
    rule::word(text)?;
    match text.split('/').count() {
        1 | 2 => Ok(()),
        _ => Err(format!("is `{text}`, and must be OS or OS/ARCHITECTURE")),
    }
}

fn platform_section(fields: &mut Fields<'_>) -> String {
    let os = fields.get(
        key("os", "The operating system.").default("`linux`"),
        &Text::any("a name"),
    );
    let architecture =
        key("architecture", "As OCI names it: `amd64`, `arm64`.").default("this machine's");
    fields.get(architecture, &Text::any("a name"));
    os.unwrap_or_default()
}

fn azure_linux(fields: &mut Fields<'_>) -> Input {
    let variant = key("variant", "The variant: `minimal-os`.");
    let version = key(
        "version",
        "`MAJOR.MINOR` for the newest, or `MAJOR.MINOR.DATE`.",
    );
    Input::AzureLinux {
        variant: fields.need(variant, &Text::of("a variant", rule::variant)),
        version: fields.need(version, &Text::of("a version", rule::version)),
    }
}

fn base_config(fields: &mut Fields<'_>) -> Option<Marked<PathBuf>> {
    let path = key("path", "The file, relative to this one.").needed();
    fields.marked(path, &Local::File)
}

/// The formats of live media.
const LIVE_FORMATS: Choice<OutputFormat> = Choice(&[
    ("iso", OutputFormat::Iso, "a hybrid ISO"),
    ("pxe-dir", OutputFormat::PxeDir, "a folder for network boot"),
    ("pxe-tar", OutputFormat::PxeTar, "the same as a tarball"),
]);

/// Image Customizer's formats of disk images: known, and refused once the whole chain is read.
const DISK_FORMATS: [&str; 7] = [
    "raw",
    "qcow2",
    "vhd",
    "vhd-fixed",
    "vhdx",
    "cosi",
    "baremetal-image",
];

/// A word for an output format.
#[derive(Clone, Copy, Debug)]
struct FormatWord;

impl Shape for FormatWord {
    type Value = Format;

    fn read(&self, node: &Node, context: &mut Context) -> Option<Format> {
        if let Value::Scalar { text, .. } = &node.value
            && let Some(name) = DISK_FORMATS.iter().find(|name| *name == text)
        {
            return Some(Format::Disk(name));
        }
        LIVE_FORMATS.read(node, context).map(Format::Live)
    }

    fn form(&self) -> Form {
        let Form::Choice(mut words) = LIVE_FORMATS.form() else {
            return LIVE_FORMATS.form();
        };
        words.extend(DISK_FORMATS.map(|name| (name, "an error: no format of live media")));
        Form::Choice(words)
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}

fn output(fields: &mut Fields<'_>) -> OutputValues {
    let image = Section("OutputImage", output_image);
    let values = fields.get(key("image", "What is written."), &image);
    let artifacts = key("artifacts", "Boot files beside the disk image.")
        .idle("live media hold their boot files themselves, and no others are written");
    fields.get(artifacts, &Section("Artifacts", artifacts_section));
    let policy = key(
        "selinuxPolicyPath",
        "A folder for the image's SELinux policy.",
    )
    .idle("the policy is not written apart from the media");
    fields.get(policy, &Local::Unchecked);
    values.unwrap_or_default()
}

fn output_image(fields: &mut Fields<'_>) -> OutputValues {
    let path = key("path", "Where to, relative to this file. `-o` wins.");
    let format = key(
        "format",
        "As what. `-f` wins. What is no format of live media is an error, unless `-f` says otherwise.",
    )
    .default("by the ending of the path");
    let cosi =
        key("cosi", "How a COSI file is compressed.").idle("COSI is no format of live media");
    let values = OutputValues {
        path: fields.marked(path, &Local::Unchecked),
        format: fields.marked(format, &FormatWord),
    };
    fields.get(cosi, &Section("Cosi", cosi_section));
    values
}

fn cosi_section(fields: &mut Fields<'_>) {
    let compression = key("compression", "How it is compressed.");
    fields.get(compression, &Section("CosiCompression", cosi_compression));
}

fn cosi_compression(fields: &mut Fields<'_>) {
    fields.get(
        key("level", "zstd's level."),
        &Integer { least: 1, most: 22 },
    );
}

const ARTIFACTS: Choice<()> = Choice(&[
    ("ukis", (), "unified kernel images"),
    ("shim", (), "shim"),
    ("bootloader", (), "the boot loader"),
    ("verity-hash", (), "verity root hashes"),
]);

fn artifacts_section(fields: &mut Fields<'_>) {
    let items = key("items", "Which.").needed();
    let path = key("path", "The folder.").needed();
    fields.get(items, &List(ARTIFACTS));
    fields.get(path, &Local::Unchecked);
}
