//! The environment block: a file of 1024 bytes with variables, which GRUB loads and saves.

use std::collections::BTreeMap;

use block::{Error, Result};

/// The first line.
const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";
/// The length of the file that `grub-editenv` makes.
const BLOCK_LEN: usize = 1024;
/// The longest file that is read. A longer one is refused.
const BLOCK_LIMIT: usize = 1 << 20;

/// Variables of an environment block, as `grub-editenv FILE list` shows them.
///
/// Source: GRUB 2.06 `grub-core/lib/envblk.c`: lines `name=value`, in which a backslash takes away the meaning of a backslash or line
/// end, then `#` up to the end of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentBlock {
    /// By name. The order of the file is not kept.
    pub variables: BTreeMap<String, String>,
}

impl EnvironmentBlock {
    /// Reads the file's bytes.
    ///
    /// # Errors
    ///
    /// [`block::Kind::Corrupt`] where it does not begin as such a file does, [`block::Kind::Limit`] for over 1 MiB.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > BLOCK_LIMIT {
            let message = format!("{} bytes, and at most {BLOCK_LIMIT} are read", bytes.len());
            return Err(Error::limit("GRUB environment block", message));
        }
        let rest = bytes.strip_prefix(SIGNATURE).ok_or_else(|| {
            Error::corrupt(
                "GRUB environment block",
                "it does not begin with its signature",
            )
            .at(0)
        })?;
        let mut variables = BTreeMap::new();
        for line in lines(rest)
            .into_iter()
            .filter(|line| !line.starts_with('#'))
        {
            if let Some((name, value)) = line.split_once('=') {
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(Self { variables })
    }

    /// The file's bytes: 1024, or the next multiple that holds all.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        for (name, value) in &self.variables {
            let value = value.replace('\\', "\\\\").replace('\n', "\\\n");
            bytes.extend_from_slice(format!("{name}={value}\n").as_bytes());
        }
        let len = bytes.len().next_multiple_of(BLOCK_LEN);
        bytes.resize(len, b'#');
        bytes
    }
}

/// The lines with their escapes undone.
fn lines(bytes: &[u8]) -> Vec<String> {
    let mut lines = vec![Vec::new()];
    let mut escaped = false;
    for byte in bytes {
        match byte {
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            b'\n' if !escaped => lines.push(Vec::new()),
            _ => {
                if let Some(line) = lines.last_mut() {
                    line.push(*byte);
                }
            }
        }
        escaped = false;
    }
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_back_as_they_were_written() {
        let mut block = EnvironmentBlock::default();
        for (name, value) in [
            ("saved_entry", "0"),
            ("kernelopts", "root=UUID=1 ro a\\b"),
            ("empty", ""),
        ] {
            block.variables.insert(name.to_owned(), value.to_owned());
        }
        let bytes = block.print();
        assert_eq!(bytes.len(), 1024);
        assert_eq!(EnvironmentBlock::parse(&bytes).unwrap(), block);
    }

    #[test]
    fn another_file_is_refused() {
        assert!(EnvironmentBlock::parse(b"# GRUB\n").is_err());
    }
}
