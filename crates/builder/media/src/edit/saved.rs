//! What a build left on the media for the next one: kernel parameters that a change takes away do not come back with it.

use std::path::Path;

use block::{Content, ReadAt as _, Result};
use bootloader::edit::Parameters;
use config::saved::SavedConfigs;
use contract::media::{MAX_SAVED_CONFIGS, SAVED_CONFIGS};

/// Whether the file at `path`, absolute on the media, holds the saved settings.
pub(super) fn is_at(path: &str) -> bool {
    path.strip_prefix('/') == Some(SAVED_CONFIGS)
}

/// The absolute path of the saved settings on the media.
pub(super) fn path() -> String {
    format!("/{SAVED_CONFIGS}")
}

/// What the saved settings become; `None` where they stay, as those that cannot be read do.
///
/// # Errors
///
/// What reading them answers.
pub(super) fn changed(saved: &Content, parameters: &Parameters) -> Result<Option<Content>> {
    if usize::try_from(saved.len()).is_ok_and(|len| len > MAX_SAVED_CONFIGS) {
        return Ok(None);
    }
    let bytes = saved.read_all(MAX_SAVED_CONFIGS)?;
    let Ok((mut saved, _)) = SavedConfigs::parse(Path::new(SAVED_CONFIGS), &bytes) else {
        return Ok(None);
    };
    let kept = parameters.kept(&saved.extra_command_line);
    if kept == saved.extra_command_line {
        return Ok(None);
    }
    saved.extra_command_line = kept;
    Ok(Some(Content::from_bytes(saved.print().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(arguments: &[&str]) -> Content {
        let saved = SavedConfigs {
            extra_command_line: arguments.iter().map(|text| (*text).to_owned()).collect(),
            ..SavedConfigs::default()
        };
        Content::from_bytes(saved.print().into_bytes())
    }

    #[test]
    fn what_goes_or_gets_another_value_does_so_here_and_nothing_comes() {
        let mut parameters = Parameters::default();
        parameters.delete("quiet");
        parameters.replace("console", "ttyS1");
        parameters.append("debug");
        let before = saved(&["quiet", "x=1", "console=tty0"]);
        let after = changed(&before, &parameters).unwrap().unwrap();
        let expected = saved(&["x=1", "console=ttyS1"]);
        assert_eq!(
            after.read_all(10_000).unwrap(),
            expected.read_all(10_000).unwrap()
        );
        assert!(changed(&after, &parameters).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_stays() {
        let mut parameters = Parameters::default();
        parameters.delete("quiet");
        for bytes in [&b"{"[..], b"", b"\xff\xfe", b"os: ["] {
            let content = Content::from_bytes(bytes);
            assert!(changed(&content, &parameters).unwrap().is_none());
        }
    }
}
