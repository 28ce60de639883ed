//! `/etc/image-customizer-release`: what made the image.

use block::{Content, Result};
use sha2::{Digest as _, Sha256};
use tree::{Timestamp, Tree};

use super::place;

/// Where Image Customizer writes it, and what reads its images looks at.
const PATH: &str = "/etc/image-customizer-release";

/// What made the image, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Our name and version: `TOOL_VERSION`.
    pub tool_version: String,
    /// The media's time: `BUILD_DATE`, never the clock's.
    pub time: Timestamp,
    /// `IMAGE_UUID`: see [`image_uuid`].
    pub image_uuid: String,
}

/// An identifier of an image: a UUID of version 8 (RFC 9562, section 5.8), the first bits of a SHA-256 digest of the tool's version,
/// the media's time and `identity`, which is whatever tells this image from another: the configuration, the input.
///
/// Image Customizer takes one by chance; the same input has to give the same bytes here.
#[must_use]
pub fn image_uuid(tool_version: &str, time: Timestamp, identity: &[u8]) -> String {
    let digest = Sha256::new()
        .chain_update(tool_version.as_bytes())
        .chain_update(b"\0")
        .chain_update(time.seconds.to_le_bytes())
        .chain_update(identity)
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = contract::hex::print(&bytes);
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    [0..8, 8..12, 12..16, 16..20, 20..32].map(part).join("-")
}

/// The media's time as Image Customizer writes it: `2026-11-20T21:00:00Z`.
#[must_use]
pub fn date(time: Timestamp) -> String {
    // Days to a date, by the 400 years after which the calendar repeats, from the first of March of the year 0.
    let days = time.seconds.div_euclid(86_400).saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let seconds = time.seconds.rem_euclid(86_400);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Writes the file, with the keys that Image Customizer gives it.
///
/// # Errors
///
/// What the tree answers.
pub fn apply(tree: &mut Tree<Content>, release: &Release) -> Result<()> {
    let text = format!(
        "TOOL_VERSION=\"{}\"\nBUILD_DATE=\"{}\"\nIMAGE_UUID=\"{}\"\n",
        release.tool_version,
        date(release.time),
        release.image_uuid
    );
    let new = place::metadata(0o644, release.time);
    place::write(tree, PATH, text.into_bytes(), &new)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::{TIME, text_of, tree_of};

    #[test]
    fn the_file_says_what_made_the_image_the_same_each_time() {
        let write = |identity: &[u8]| {
            let mut tree = tree_of(&[]);
            let release = Release {
                tool_version: "liveos 1".into(),
                time: TIME,
                image_uuid: image_uuid("liveos 1", TIME, identity),
            };
            apply(&mut tree, &release).unwrap();
            text_of(&tree, PATH)
        };
        let text = write(b"a");
        assert!(text.starts_with(
            "TOOL_VERSION=\"liveos 1\"\nBUILD_DATE=\"2023-11-14T22:13:20Z\"\nIMAGE_UUID=\""
        ));
        assert_eq!(text, write(b"a"));
        assert_ne!(text, write(b"b"));
        let uuid = text.rsplit('"').nth(1).unwrap();
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'8'), "{uuid}");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_790_000_000, "2026-09-21T14:13:20Z"),
        ] {
            assert_eq!(date(Timestamp::from_seconds(seconds)), text);
        }
    }
}
