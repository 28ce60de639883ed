//! Volume descriptors: the primary one, Joliet's, and the end of the set.

use block::{Error, Result};

use super::super::date;
use super::super::format::{
    EL_TORITO_ID, JOLIET_ESCAPES, SECTOR, STANDARD_ID, both16, both32, descriptor_type, put,
};
use super::names::View;
use super::options::Options;

/// What a descriptor says besides the options.
#[derive(Debug)]
pub(super) struct Facts {
    /// The length of the volume in sectors.
    pub(super) volume_sectors: u32,
    /// The length of a path table in bytes.
    pub(super) path_table_len: u32,
    /// The first sectors of the path tables, little-endian and big-endian.
    pub(super) path_tables: [u32; 2],
    /// The root's directory record.
    pub(super) root: Vec<u8>,
}

/// A text field of the options with its length. ECMA-119 8.4.
struct Text<'a> {
    what: &'a str,
    text: &'a str,
    max: usize,
}

/// Holds that the text fields fit and are printable ASCII.
pub(super) fn check(options: &Options) -> Result<()> {
    let fields = [
        Text {
            what: "the system identifier",
            text: &options.system_id,
            max: 32,
        },
        Text {
            what: "the publisher",
            text: &options.publisher,
            max: 128,
        },
        Text {
            what: "the data preparer",
            text: &options.preparer,
            max: 128,
        },
        Text {
            what: "the application identifier",
            text: &options.application_id,
            max: 128,
        },
    ];
    for Text { what, text, max } in fields {
        if let Some(bad) = text.chars().find(|c| !(' '..='~').contains(c)) {
            let message = format!("{bad:?} is not printable ASCII");
            return Err(Error::unsupported(what, message));
        }
        if text.len() > max {
            let message = format!("{} characters, and ISO 9660 holds {max}", text.len());
            return Err(Error::limit(what, message));
        }
    }
    Ok(())
}

/// A descriptor with its type, version 1 and the identifier that all have.
fn descriptor(kind: u8) -> Vec<u8> {
    let mut sector = vec![0; SECTOR];
    put(&mut sector, 0, &[kind]);
    put(&mut sector, 1, STANDARD_ID);
    put(&mut sector, 6, &[1]);
    sector
}

/// The end of the set. ECMA-119 8.3.
pub(super) fn terminator() -> Vec<u8> {
    descriptor(descriptor_type::TERMINATOR)
}

/// The boot record that leads to the El Torito catalog in sector `catalog`. El Torito, figure 7.
pub(super) fn boot_record(catalog: u32) -> Vec<u8> {
    let mut sector = descriptor(descriptor_type::BOOT);
    put(&mut sector, 7, EL_TORITO_ID);
    put(&mut sector, 71, &catalog.to_le_bytes());
    sector
}

/// The descriptor of one view. ECMA-119 8.4 and 8.5; offsets are those of its table less one:
///
/// ```text
///   8  32  system identifier         318  128  publisher
///  40  32  volume identifier         446  128  data preparer
///  80   8  volume space, sectors     574  128  application
///  88  32  escapes (Joliet)          702  111  three file identifiers (none)
/// 120  12  set size, number, 2048    813   17  created, then modified, expires, effective
/// 132   8  path table length         881    1  structure version (1)
/// 140  16  path tables L, -, M, -    883  512  for the application (blanks, as media check tools expect)
/// 156  34  the root's record
/// 190 128  volume set identifier
/// ```
pub(super) fn volume(view: View, options: &Options, facts: &Facts) -> Vec<u8> {
    let mut sector = match view {
        View::Primary => descriptor(descriptor_type::PRIMARY),
        View::Joliet => descriptor(descriptor_type::SUPPLEMENTARY),
    };
    let texts = [
        (8, 32, options.system_id.as_str()),
        (40, 32, options.volume_id.as_str()),
        (190, 128, options.volume_id.as_str()),
        (318, 128, &options.publisher),
        (446, 128, &options.preparer),
        (574, 128, &options.application_id),
        (702, 37, ""),
        (739, 37, ""),
        (776, 37, ""),
    ];
    for (at, len, text) in texts {
        put(&mut sector, at, &padded(view, text, len));
    }
    put(&mut sector, 80, &both32(facts.volume_sectors));
    if view == View::Joliet {
        let [_, _, level3] = JOLIET_ESCAPES;
        put(&mut sector, 88, level3);
    }
    put(&mut sector, 120, &both16(1));
    put(&mut sector, 124, &both16(1));
    put(
        &mut sector,
        128,
        &both16(u16::try_from(SECTOR).unwrap_or(0)),
    );
    put(&mut sector, 132, &both32(facts.path_table_len));
    let [little, big] = facts.path_tables;
    put(&mut sector, 140, &little.to_le_bytes());
    put(&mut sector, 148, &big.to_be_bytes());
    put(&mut sector, 156, &facts.root);
    let time = date::long(options.time);
    put(&mut sector, 813, &time);
    put(&mut sector, 830, &time);
    put(&mut sector, 847, &date::NO_DATE);
    put(&mut sector, 864, &date::NO_DATE);
    put(&mut sector, 881, &[1]);
    put(&mut sector, 883, &[b' '; 512]);
    sector
}

/// `text` filled up with blanks to `len` bytes; in Joliet with UTF-16 units, so that half as many characters fit, and an odd
/// last byte is zero. `blkid` takes the longer of two volume identifiers that begin alike.
fn padded(view: View, text: &str, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = match view {
        View::Primary => text
            .bytes()
            .chain(std::iter::repeat(b' '))
            .take(len)
            .collect(),
        View::Joliet => {
            let units = text
                .encode_utf16()
                .chain(std::iter::repeat(u16::from(b' ')));
            units.take(len / 2).flat_map(u16::to_be_bytes).collect()
        }
    };
    bytes.resize(len, 0);
    bytes
}
