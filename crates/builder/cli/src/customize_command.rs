//! `liveos customize`: the command line of Image Customizer's `customize`, handed on to `build`.

use crate::args::{BuildArguments, CustomizeArguments};
use crate::build;
use crate::failure::Result;
use crate::run::Environment;

/// Builds what the arguments ask for.
pub(crate) fn run(arguments: &CustomizeArguments, environment: &Environment) -> Result<()> {
    build::run(&translated(arguments), environment)
}

/// The same in the words of `build`.
fn translated(arguments: &CustomizeArguments) -> BuildArguments {
    let quiet = ["panic", "fatal", "error"];
    BuildArguments {
        source: arguments.image_file.clone(),
        config: arguments.config_file.clone(),
        output: arguments.output_image_file.clone(),
        format: arguments.output_image_format,
        package_source: arguments.rpm_source.clone(),
        disable_image_repositories: arguments.disable_base_image_rpm_repos,
        package_snapshot_time: arguments.package_snapshot_time.clone(),
        scratch: arguments.build_dir.clone(),
        quiet: quiet.contains(&arguments.log_level.as_str()),
        ..BuildArguments::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arguments, Command, FormatName};
    use clap::Parser as _;
    use std::path::Path;

    #[test]
    fn the_command_line_of_image_customizer_is_understood() {
        let line = "liveos customize --build-dir b --config-file c.yaml --image-file i.vhdx --output-image-file o.tar.gz \
                    --output-image-format pxe-tar --rpm-source r1 --rpm-source r2 --disable-base-image-rpm-repos \
                    --package-snapshot-time 2024-01-01 --log-level error --cosi-compression-level 9 --disable-telemetry";
        let Command::Customize(arguments) = Arguments::parse_from(line.split_whitespace()).command
        else {
            panic!("another command");
        };
        let build = translated(&arguments);
        assert_eq!(build.source.as_deref(), Some(Path::new("i.vhdx")));
        assert_eq!(build.config.as_deref(), Some(Path::new("c.yaml")));
        assert_eq!(build.output.as_deref(), Some(Path::new("o.tar.gz")));
        assert_eq!(build.format, Some(FormatName::PxeTar));
        assert_eq!(build.package_source, [Path::new("r1"), Path::new("r2")]);
        assert!(build.disable_image_repositories && build.quiet);
        assert_eq!(build.package_snapshot_time.as_deref(), Some("2024-01-01"));
        assert_eq!(build.scratch.as_deref(), Some(Path::new("b")));
    }

    #[test]
    fn the_older_name_of_the_output_is_understood() {
        let line = "liveos customize --image-file i --output-path o.iso --output-image-format iso";
        let Command::Customize(arguments) = Arguments::parse_from(line.split_whitespace()).command
        else {
            panic!("another command");
        };
        assert_eq!(
            translated(&arguments).output.as_deref(),
            Some(Path::new("o.iso"))
        );
    }
}
