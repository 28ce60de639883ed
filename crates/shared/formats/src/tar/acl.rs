//! POSIX ACLs as text, which archives hold, and as the xattr that Linux has.
//!
//! The text is entries with commas or line ends between them: `user:NAME:rwx:NUMBER`, where the number may be missing and the name be a
//! number. `user::`, `group::`, `mask::` and `other::` have no name.
//!
//! Source: star and GNU tar 1.34 (`SCHILY.acl.access`, `SCHILY.acl.default`); Linux, `include/uapi/linux/posix_acl_xattr.h`.

use tree::Tree;

use block::Content;

/// Which ACL of a file it is: the key of an extended header, and the xattr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) key: &'static str,
    pub(super) xattr: &'static [u8],
}

/// Who may do what with a file.
const ACCESS: Kind = Kind {
    key: "SCHILY.acl.access",
    xattr: b"system.posix_acl_access",
};
/// What new files of a folder get.
const DEFAULT: Kind = Kind {
    key: "SCHILY.acl.default",
    xattr: b"system.posix_acl_default",
};
/// Both ACLs that a file may have.
pub(super) const KINDS: [Kind; 2] = [ACCESS, DEFAULT];

/// The version of the xattr.
const VERSION: u32 = 2;
/// What the xattr has for the number of an entry that has none.
const NO_ID: u32 = u32::MAX;

/// The tags of entries in the xattr.
mod tag {
    pub(super) const USER_OBJ: u16 = 0x01;
    pub(super) const USER: u16 = 0x02;
    pub(super) const GROUP_OBJ: u16 = 0x04;
    pub(super) const GROUP: u16 = 0x08;
    pub(super) const MASK: u16 = 0x10;
    pub(super) const OTHER: u16 = 0x20;
}

/// Why a text gives no ACL.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The entry is none.
    Entry(String),
    /// A user or group by a name without a number, which is not known.
    Name { table: &'static str, name: String },
}

/// The numbers of users and groups by their names, of the system in the archive.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    passwd: &'a [u8],
    group: &'a [u8],
}

/// How long those tables may be, in bytes; beyond it no name is found.
const MAX_TABLE: usize = 8 << 20;

/// The bytes of `/etc/passwd` and `/etc/group`, as far as they are there.
pub(super) fn tables(tree: &Tree<Content>) -> [Vec<u8>; 2] {
    ["/etc/passwd", "/etc/group"].map(|path| {
        let content = tree.file(path);
        content
            .and_then(|content| content.read_all(MAX_TABLE).ok())
            .unwrap_or_default()
    })
}

impl<'a> Names<'a> {
    pub(super) fn new([passwd, group]: &'a [Vec<u8>; 2]) -> Self {
        Self { passwd, group }
    }

    /// The number of the user or group: in both tables the third field.
    fn find(&self, is_user: bool, name: &[u8]) -> Option<u32> {
        let table = if is_user { self.passwd } else { self.group };
        table.split(|byte| *byte == b'\n').find_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let is_it = fields.next() == Some(name);
            is_it.then(|| fields.nth(1).and_then(number))?
        })
    }
}

/// The xattr's value for the ACL `text`; `None` for an access ACL that says no more than the permissions do.
///
/// # Errors
///
/// Where an entry is none, or names somebody without a number whom `names` do not know.
pub(super) fn to_xattr(
    kind: Kind,
    text: &[u8],
    names: &Names<'_>,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut entries = Vec::new();
    let lines = text.split(|byte| matches!(byte, b',' | b'\n'));
    for line in lines.map(<[u8]>::trim_ascii) {
        if !line.is_empty() && !line.starts_with(b"#") {
            entries.push(entry(line, names)?);
        }
    }
    if entries.is_empty() || (kind == ACCESS && entries.len() <= 3) {
        return Ok(None);
    }
    // The kernel takes no other order: by tag, then by number.
    entries.sort_unstable();
    let mut value = VERSION.to_le_bytes().to_vec();
    for (tag, id, permissions) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    Ok(Some(value))
}

/// The entry as tag, number and permissions.
fn entry(line: &[u8], names: &Names<'_>) -> Result<(u16, u32, u16), Fault> {
    let bad = || Fault::Entry(line.escape_ascii().to_string());
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    // `mask:rwx` and `other:rwx` stand in texts of Solaris.
    let (kind, name, permissions, id) = match *fields.as_slice() {
        [kind @ (b"mask" | b"m" | b"other" | b"o"), permissions] => {
            (kind, &b""[..], permissions, None)
        }
        [kind, name, permissions] => (kind, name, permissions, None),
        [kind, name, permissions, id] => (kind, name, permissions, Some(id)),
        _ => return Err(bad()),
    };
    let permissions = bits(permissions).ok_or_else(bad)?;
    let (tag, table) = match (kind, name.is_empty()) {
        (b"user" | b"u", true) => (tag::USER_OBJ, None),
        (b"user" | b"u", false) => (tag::USER, Some("/etc/passwd")),
        (b"group" | b"g", true) => (tag::GROUP_OBJ, None),
        (b"group" | b"g", false) => (tag::GROUP, Some("/etc/group")),
        (b"mask" | b"m", true) => (tag::MASK, None),
        (b"other" | b"o", true) => (tag::OTHER, None),
        _ => return Err(bad()),
    };
    let Some(table) = table else {
        return Ok((tag, NO_ID, permissions));
    };
    let found = match id {
        Some(id) => Some(number(id).ok_or_else(bad)?),
        None => number(name).or_else(|| names.find(tag == tag::USER, name)),
    };
    let id = found.ok_or_else(|| Fault::Name {
        table,
        name: name.escape_ascii().to_string(),
    })?;
    Ok((tag, id, permissions))
}

/// `rwx`, with `-` for what is not given.
fn bits(text: &[u8]) -> Option<u16> {
    let mut bits = 0;
    for byte in text {
        bits |= match byte {
            b'r' => 4,
            b'w' => 2,
            b'x' => 1,
            b'-' => 0,
            _ => return None,
        };
    }
    (1..=3).contains(&text.len()).then_some(bits)
}

fn number(text: &[u8]) -> Option<u32> {
    super::pax::number(text).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_put_in_the_kernels_order() {
        let tables = [
            b"root:x:0:0::/root:/bin/sh\nlp:x:7:7::/:/bin/sh\n".to_vec(),
            b"adm:x:4:\n".to_vec(),
        ];
        let text = b"user::rw-,other::---,group:adm:r-x\nuser:1000:r--,group::r-x,mask::rwx, user:lp:rw- ,g:x:--x:9";
        let value = to_xattr(ACCESS, text, &Names::new(&tables))
            .unwrap()
            .unwrap();
        let entries: Vec<_> = value[4..]
            .chunks(8)
            .map(|entry| {
                let id = u32::from_le_bytes(entry[4..].try_into().unwrap());
                (entry[0], entry[2], id)
            })
            .collect();
        let none = u32::MAX;
        let expected = [
            (1, 6, none),
            (2, 6, 7),
            (2, 4, 1000),
            (4, 5, none),
            (8, 5, 4),
            (8, 1, 9),
            (16, 7, none),
            (32, 0, none),
        ];
        assert_eq!((value[0], entries.as_slice()), (2, expected.as_slice()));
    }

    #[test]
    fn an_acl_that_says_what_the_permissions_say_is_none() {
        let text = b"user::rw-,group::r--,other::r--";
        assert_eq!(to_xattr(ACCESS, text, &Names::default()), Ok(None));
        let default = to_xattr(DEFAULT, text, &Names::default()).unwrap();
        assert_eq!(default.unwrap().len(), 4 + 3 * 8);
    }

    #[test]
    fn what_is_no_entry_and_who_is_not_known_is_named() {
        for text in [
            "user",
            "user::rwz",
            "who::rwx",
            "user:1:",
            "mask:a:rwx",
            "user:a:r:b",
            "user:a:r:1:2",
        ] {
            let fault = to_xattr(ACCESS, text.as_bytes(), &Names::default()).unwrap_err();
            assert_eq!(fault, Fault::Entry(text.to_owned()));
        }
        let fault = to_xattr(ACCESS, b"user:lp:rwx", &Names::default()).unwrap_err();
        let name = "lp".to_owned();
        let table = "/etc/passwd";
        assert_eq!(fault, Fault::Name { table, name });
    }
}
