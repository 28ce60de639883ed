//! `scripts`: programs of the user that change the image.
//!
//! They see the folder of their configuration file at `/_imageconfigs`, start in `/`, and have the network of the host, as Image
//! Customizer gives it to them; their environment is what the configuration says, beside `PATH`, `HOME`, `LANG` and `TERM`.

use block::{Error, Result};
use config::settings::{Script, ScriptSource, Scripts};
use sandbox::{Network, Program};

use super::{Image, path};

/// Where scripts see the folder of their configuration file.
const FOLDER: &str = "/_imageconfigs";
/// Where a script is that stands in the configuration itself.
const INLINE: &str = "/_script";

/// When scripts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `postCustomization`: after all other steps, before the SELinux labels.
    PostCustomization,
    /// `finalizeCustomization`: last of all.
    FinalizeCustomization,
}

impl Phase {
    fn of(self, scripts: &Scripts) -> &[Script] {
        match self {
            Self::PostCustomization => &scripts.post_customization,
            Self::FinalizeCustomization => &scripts.finalize_customization,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::PostCustomization => "postCustomization",
            Self::FinalizeCustomization => "finalizeCustomization",
        }
    }
}

/// Runs the scripts of `phase`, those of the base configuration first.
///
/// # Errors
///
/// Where a script cannot be started or ends with another code than 0: with its name, how it ended, and the last that it wrote.
pub fn run(image: &mut Image<'_>, scripts: &[Scripts], phase: Phase) -> Result<()> {
    let all: Vec<(&Scripts, usize, &Script)> = scripts
        .iter()
        .flat_map(|scripts| {
            let numbered = phase.of(scripts).iter().enumerate();
            numbered.map(move |(number, script)| (scripts, number, script))
        })
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    image.enter()?;
    for (scripts, number, script) in all {
        let doing = format!("running the script {}", name(script, phase, number));
        let program = program(scripts, script)?;
        image.run(&program, &doing)?;
    }
    image.leave().map(drop)
}

/// The script for people: its name, its path, or its place in the configuration.
fn name(script: &Script, phase: Phase, number: usize) -> String {
    match (&script.name, &script.source) {
        (Some(name), _) => format!("\"{name}\""),
        (None, ScriptSource::Path(path)) => path.display().to_string(),
        (None, ScriptSource::Content(_)) => format!("scripts.{}[{number}]", phase.key()),
    }
}

fn program(scripts: &Scripts, script: &Script) -> Result<Program> {
    let place = match &script.source {
        ScriptSource::Path(path) => {
            let host = scripts.folder.join(path);
            if !host.is_file() {
                let message = "it is not there";
                return Err(Error::not_found("reading a script", message).in_file(host));
            }
            format!("{FOLDER}/{}", path.display())
        }
        ScriptSource::Content(_) => INLINE.to_owned(),
    };
    let mut words = vec![script.interpreter.clone(), place];
    words.extend(script.arguments.iter().cloned());
    let mut program = Program::new(words)
        .network(Network::Host)
        .sees(&scripts.folder, path(FOLDER)?);
    for (name, value) in &script.environment {
        program = program.variable(name, value);
    }
    if let ScriptSource::Content(text) = &script.source {
        program = program.finds(path(INLINE)?, text.as_bytes());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(source: ScriptSource) -> Script {
        Script {
            source,
            interpreter: "/bin/bash".into(),
            arguments: vec!["a b".into()],
            environment: [("X".to_owned(), "y".to_owned())].into(),
            name: None,
        }
    }

    #[test]
    fn a_script_of_the_configuration_is_lent_and_one_of_the_folder_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("s")).unwrap();
        std::fs::write(folder.path().join("s/x.sh"), "").unwrap();
        let scripts = Scripts {
            folder: folder.path().into(),
            ..Scripts::default()
        };
        let inline = program(&scripts, &script(ScriptSource::Content("exit".into()))).unwrap();
        assert_eq!(inline.arguments, ["/bin/bash", "/_script", "a b"]);
        assert_eq!(inline.files[0].bytes, b"exit");
        let named = program(&scripts, &script(ScriptSource::Path("s/x.sh".into()))).unwrap();
        assert_eq!(
            named.arguments,
            ["/bin/bash", "/_imageconfigs/s/x.sh", "a b"]
        );
        assert_eq!(named.binds[0].host, folder.path());
        assert!(named.binds[0].read_only && named.files.is_empty());
        assert_eq!(named.environment.len(), 1);
        let missing = program(&scripts, &script(ScriptSource::Path("none".into()))).unwrap_err();
        assert_eq!(missing.kind(), block::Kind::NotFound);
    }

    #[test]
    fn messages_name_a_script_as_its_author_would() {
        let mut one = script(ScriptSource::Content(String::new()));
        assert_eq!(
            name(&one, Phase::PostCustomization, 2),
            "scripts.postCustomization[2]"
        );
        one.source = ScriptSource::Path("a/b.sh".into());
        assert_eq!(name(&one, Phase::FinalizeCustomization, 0), "a/b.sh");
        one.name = Some("clean up".into());
        assert_eq!(name(&one, Phase::FinalizeCustomization, 0), "\"clean up\"");
    }
}
