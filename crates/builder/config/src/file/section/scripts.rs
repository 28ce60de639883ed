//! `scripts`.

use crate::file::fields::{Fields, Section};
use crate::file::form::key;
use crate::file::local::ScriptPath;
use crate::file::rule;
use crate::file::shape::{Map, Text};
use crate::settings::{Script, ScriptSource, Scripts};

pub(super) const SCRIPTS: Section<Scripts> = Section("Scripts", scripts);

/// What runs a script where nothing else is said.
const DEFAULT_INTERPRETER: &str = "/bin/sh";

fn scripts(fields: &mut Fields<'_>) -> Scripts {
    let script = Section("Script", script);
    let post = key(
        "postCustomization",
        "Run after all other steps, before the SELinux labels.",
    );
    let last = key("finalizeCustomization", "Run last of all.");
    Scripts {
        folder: fields
            .context()
            .map(|context| context.source.folder_or_here())
            .unwrap_or_default(),
        post_customization: fields.list(post, script),
        finalize_customization: fields.list(last, script),
    }
}

fn script(fields: &mut Fields<'_>) -> Script {
    let path = key(
        "path",
        "The script, below the folder of this file. Either this or `content`.",
    );
    let content = key("content", "The script's text. Either this or `path`.");
    let interpreter =
        key("interpreter", "The program of the image that runs it.").default("`/bin/sh`");
    let arguments = key("arguments", "What the script is given.");
    let environment = key(
        "environmentVariables",
        "The environment. Nothing of this machine's environment gets in beside it.",
    );
    let name = key("name", "What messages call it.");
    let given = (fields.has("path"), fields.has("content"));
    let path = fields.get(path, &ScriptPath).map(ScriptSource::Path);
    let content = fields
        .get(content, &Text::any("text"))
        .map(ScriptSource::Content);
    fields.need_one_of(("path", given.0), ("content", given.1));
    let interpreter = fields.get(interpreter, &Text::of("a program", rule::line));
    Script {
        source: path
            .or(content)
            .unwrap_or(ScriptSource::Content(String::new())),
        interpreter: interpreter.unwrap_or_else(|| DEFAULT_INTERPRETER.to_owned()),
        arguments: fields.list(arguments, Text::any("text").or_empty()),
        environment: fields.get(environment, &VARIABLES).unwrap_or_default(),
        name: fields.get(name, &Text::of("a name", rule::line)),
    }
}

const VARIABLES: Map = Map {
    says: "environment variables",
    name: rule::variable,
    value: rule::anything,
};
