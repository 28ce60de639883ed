//! Dates: seven bytes in directory records and Rock Ridge, seventeen in volume descriptors.

use tree::Timestamp;

use super::format::array;

/// The first and the last second that seven bytes hold: the years 1900 to 2155. What lies outside is written as the nearest one.
const RANGE: (i64, i64) = (-2_208_988_800, 5_869_583_999);
const SECONDS_A_DAY: i64 = 86_400;

/// A moment of the Gregorian calendar in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Civil {
    /// The calendar's view of `seconds` since 1970.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "seconds are clamped to four centuries before they are counted with"
    )]
    fn from_seconds(seconds: i64) -> Self {
        let seconds = seconds.clamp(RANGE.0, RANGE.1);
        let day_second = seconds.rem_euclid(SECONDS_A_DAY);
        // Days are counted from 0000-03-01, so that a leap day is the last day of its year; 400 years have 146 097 days.
        let days = seconds.div_euclid(SECONDS_A_DAY) + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: day_second / 3_600,
            minute: day_second / 60 % 60,
            second: day_second % 60,
        }
    }

    /// The seconds since 1970; `None` where a field is no part of a date.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "years have four digits and the other fields are checked first"
    )]
    fn seconds(self) -> Option<i64> {
        let valid = (0..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second);
        if !valid {
            return None;
        }
        let early = i64::from(self.month <= 2);
        let year = self.year - early;
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * (self.month - 3 + early * 12) + 2) / 5 + self.day - 1;
        let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        Some(days * SECONDS_A_DAY + self.hour * 3_600 + self.minute * 60 + self.second)
    }
}

/// The date of a directory record, in UTC. ECMA-119 9.1.5.
pub(super) fn short(time: Timestamp) -> [u8; 7] {
    let civil = Civil::from_seconds(time.seconds);
    let year = civil.year.saturating_sub(1900);
    let fields = [
        year,
        civil.month,
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
        0,
    ];
    fields.map(|field| u8::try_from(field).unwrap_or(0))
}

/// Reads the date of a directory record; a date that is none is the beginning of 1970.
pub(super) fn read_short(bytes: [u8; 7]) -> Timestamp {
    let [year, month, day, hour, minute, second, zone] = bytes;
    let civil = Civil {
        year: i64::from(year).saturating_add(1900),
        month: month.into(),
        day: day.into(),
        hour: hour.into(),
        minute: minute.into(),
        second: second.into(),
    };
    let seconds = civil.seconds().unwrap_or(0);
    Timestamp::from_seconds(seconds.saturating_sub(zone_seconds(zone)))
}

/// The offset from UTC in seconds: quarters of an hour from -48 to 52, anything else is none (as in Linux, `iso_date`).
fn zone_seconds(zone: u8) -> i64 {
    let quarters = i64::from(i8::from_le_bytes([zone]));
    if (-52..=52).contains(&quarters) {
        quarters.saturating_mul(900)
    } else {
        0
    }
}

/// The date of a volume descriptor, in UTC with hundredths of a second. ECMA-119 8.4.26.1.
pub(super) fn long(time: Timestamp) -> [u8; 17] {
    let civil = Civil::from_seconds(time.seconds);
    let hundredths = time.nanoseconds / 10_000_000;
    let text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}{hundredths:02}\0",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    );
    array(text.as_bytes(), 0).unwrap_or(NO_DATE)
}

/// The date that says that there is none. ECMA-119 8.4.26.1.
pub(super) const NO_DATE: [u8; 17] = *b"0000000000000000\0";

/// Reads a "YYYYMMDDhhmmsscc" date with its zone, as seven bytes of RRIP's long form need it too.
pub(super) fn read_long(bytes: [u8; 17]) -> Option<Timestamp> {
    let number = |at: usize, len: usize| -> Option<i64> {
        let digits = bytes.get(at..at.checked_add(len)?)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let civil = Civil {
        year: number(0, 4)?,
        month: number(4, 2)?,
        day: number(6, 2)?,
        hour: number(8, 2)?,
        minute: number(10, 2)?,
        second: number(12, 2)?,
    };
    let zone = bytes.last().copied().unwrap_or(0);
    let seconds = civil.seconds()?.saturating_sub(zone_seconds(zone));
    let nanoseconds = u32::try_from(number(14, 2)?)
        .ok()?
        .checked_mul(10_000_000)?;
    Some(Timestamp {
        seconds,
        nanoseconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_both_ways() {
        // 2000-02-29 12:34:56, 1999-12-31 23:59:59, 1970, 1900-01-01, 2155-12-31 23:59:59, 2026-11-20.
        for seconds in [951_827_696, 946_684_799, 0, RANGE.0, RANGE.1, 1_795_132_800] {
            let time = Timestamp::from_seconds(seconds);
            assert_eq!(read_short(short(time)), time, "{seconds}");
            assert_eq!(read_long(long(time)), Some(time), "{seconds}");
        }
        assert_eq!(
            &long(Timestamp::from_seconds(951_827_696)),
            b"2000022912345600\0"
        );
    }

    #[test]
    fn a_date_outside_of_what_seven_bytes_hold_is_the_nearest_one() {
        assert_eq!(
            short(Timestamp::from_seconds(i64::MIN)),
            [0, 1, 1, 0, 0, 0, 0]
        );
        assert_eq!(
            short(Timestamp::from_seconds(i64::MAX)),
            [255, 12, 31, 23, 59, 59, 0]
        );
    }

    #[test]
    fn what_is_no_date_is_1970_and_a_zone_counts() {
        assert_eq!(read_short([100, 13, 1, 0, 0, 0, 0]).seconds, 0);
        assert_eq!(read_short([70, 1, 1, 1, 0, 0, 4]).seconds, 0);
        assert_eq!(read_long(NO_DATE), None);
        assert_eq!(read_long([0xff; 17]), None);
    }
}
