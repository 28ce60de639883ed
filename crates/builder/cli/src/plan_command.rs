//! `liveos plan`: what `build` would do with the same arguments.

use std::io::Write as _;

use config::settings::OutputFormat;
use config::{BiosLoader, InitramfsPlan, Plan};
use serde_json::{Value, json};

use crate::args::PlanArguments;
use crate::failure::{Exit, Failure, Result};
use crate::job::Job;
use crate::progress::{Progress, Verbosity};
use crate::run::Environment;
use crate::system::System;

/// Prints the plan.
pub(crate) fn run(arguments: &PlanArguments, environment: &Environment) -> Result<()> {
    let progress = Progress::new(Verbosity::Quiet);
    let mut job = Job::new(&arguments.build, environment)?;
    let system = System::open(&mut job, &arguments.build, &progress)?;
    let plan = system.plan(&job)?;
    for warning in job.settings.warnings.iter().chain(&plan.warnings) {
        progress.warn(warning);
    }
    let value = as_json(&job, &plan);
    let text = if arguments.json {
        format!("{value:#}\n")
    } else {
        as_text(&value)
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(Exit::Output, "printing the plan", error))
}

/// The plan as JSON: an interface.
fn as_json(job: &Job, plan: &Plan) -> Value {
    let (kind, generator) = match plan.initramfs {
        InitramfsPlan::Bootstrap { generator, .. } => {
            ("bootstrap", Some(format!("{generator:?}").to_lowercase()))
        }
        InitramfsPlan::FullOs => ("full-os", None),
    };
    let bios = plan.bios.as_ref().map(|loader| match loader {
        BiosLoader::GrubOfImage(folder) => format!("GRUB of the image ({folder})"),
        BiosLoader::GrubOfHost => "GRUB of this machine".to_owned(),
        BiosLoader::Isolinux { program, .. } => format!("ISOLINUX of the image ({program})"),
    });
    let network_grub =
        (plan.format != OutputFormat::Iso).then(|| plan.efi.network_grub.path.to_string());
    json!({
        "input": job.source,
        "output": job.output,
        "format": plan.format.name(),
        "configuration": job.settings.files,
        "steps": customize::description::describe(&job.settings),
        "system": plan.name,
        "kernels": plan.kernels.iter().map(|kernel| &kernel.version).collect::<Vec<_>>(),
        "initramfs": { "type": kind, "generator": generator },
        "network": plan.network.as_ref().map(|network| json!({ "url": network.url, "iso": network.iso_name })),
        "rootImage": (plan.initramfs != InitramfsPlan::FullOs)
            .then(|| format!("squashfs, {:?}", plan.root_image.compression)),
        "verity": (plan.initramfs != InitramfsPlan::FullOs).then_some(plan.verity),
        "volumeId": plan.volume_id.as_str(),
        "time": plan.time.seconds,
        "efi": { "shim": plan.efi.shim.to_string(), "grub": plan.efi.grub.path.to_string(), "networkGrub": network_grub },
        "bios": bios,
        "kernelParameters": plan.append,
    })
}

/// The same for people: a line for each fact, those without a value left out.
fn as_text(value: &Value) -> String {
    let mut text = String::new();
    lines("", value, &mut text);
    text
}

fn lines(name: &str, value: &Value, text: &mut String) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                lines(&name, value, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                lines(name, item, text);
            }
        }
        Value::String(item) => text.push_str(&format!("{name}: {item}\n")),
        other => text.push_str(&format!("{name}: {other}\n")),
    }
}
