//! The tables as a page for people.

use std::fmt::Write as _;

use super::{Dialect, Kind, Parameter, Standing, all};

impl Kind {
    /// What a value is, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Seconds => "seconds",
            Self::Mebibytes => "MiB",
            Self::Size => "size",
            Self::List => "list",
            Self::BooleanOrText => "boolean or text",
        }
    }
}

impl Dialect {
    /// All, in the order of the page.
    pub const ALL: [Self; 7] = [
        Self::Kernel,
        Self::Dracut,
        Self::DmsquashLive,
        Self::Kiwi,
        Self::Liveos,
        Self::Archiso,
        Self::LiveBoot,
    ];

    /// Its name, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Kernel => "The kernel's own, and every init's",
            Self::Dracut => "dracut",
            Self::DmsquashLive => "dracut's dmsquash-live, overlayfs and their relatives",
            Self::Kiwi => "KIWI",
            Self::Archiso => "archiso",
            Self::LiveBoot => "live-boot",
            Self::Liveos => "liveos",
        }
    }
}

impl Standing {
    /// What is done, in a word.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Ignored => "named, not done",
            Self::Refused => "stops the boot",
            Self::Moot => "nothing to do",
        }
    }
}

/// The tables as Markdown, a section for each dialect.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for dialect in Dialect::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "## {}\n", dialect.describe());
        let _ = writeln!(
            text,
            "| Parameter | Value | Default | Here | Meaning |\n|---|---|---|---|---|"
        );
        for parameter in all().filter(|parameter| parameter.dialect == dialect) {
            text.push_str(&row(parameter));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn row(it: &Parameter) -> String {
    let code = |text: &str| match text {
        "" => String::new(),
        text => format!("`{text}`"),
    };
    let plain = |text: &str| text.replace('|', "\\|").replace('<', "\\<");
    format!(
        "| {} | {} | {} | {} | {} |\n",
        code(it.name),
        it.kind.describe(),
        code(it.default),
        it.standing.describe(),
        plain(it.help)
    )
}
