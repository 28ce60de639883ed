//! `snapshotTime`: a date, or a date with a time, as seconds since 1970.

use block::{Error, Result};

/// The seconds since 1970-01-01 UTC of `YYYY-MM-DD` (its midnight, UTC) or of a time as RFC 3339, section 5.6, writes it.
pub(super) fn seconds(text: &str) -> Result<i64> {
    parse(text).ok_or_else(|| {
        let message = format!(
            "\"{}\" is neither a date (2025-06-30) nor a time (2025-06-30T12:00:00Z)",
            text.escape_debug()
        );
        Error::unsupported("reading packages.snapshotTime", message)
    })
}

fn parse(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = days(date)?;
    let midnight = days.checked_mul(86_400)?;
    if rest.is_empty() {
        return Some(midnight);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let time = match clock.as_bytes() {
        [_, _, b':', _, _, b':', _, _] => {
            let hour = number(clock.get(..2)?, 0, 23)?;
            let minute = number(clock.get(3..5)?, 0, 59)?;
            // 60 is a leap second.
            let second = number(clock.get(6..)?, 0, 60)?;
            hour.checked_mul(3600)?
                .checked_add(minute.checked_mul(60)?)?
                .checked_add(second)?
        }
        _ => return None,
    };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.find(|c: char| !c.is_ascii_digit())?;
            fraction.get(digits..).filter(|_| digits > 0)?
        }
        None => rest,
    };
    midnight.checked_add(time)?.checked_sub(offset(zone)?)
}

/// `Z`, or `+hh:mm`: in seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hour, minute) = rest.split_once(':')?;
    let seconds = number(hour, 0, 23)?
        .checked_mul(3600)?
        .checked_add(number(minute, 0, 59)?.checked_mul(60)?)?;
    match sign {
        "+" => Some(seconds),
        "-" => seconds.checked_neg(),
        _ => None,
    }
}

/// Two digits, or four, between two bounds.
fn number(digits: &str, least: i64, most: i64) -> Option<i64> {
    let is_number =
        matches!(digits.len(), 2 | 4) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.parse().ok().filter(|_| is_number)?;
    (least..=most).contains(&value).then_some(value)
}

/// The days from 1970-01-01 to `YYYY-MM-DD`.
fn days(date: &str) -> Option<i64> {
    let &[_, _, _, _, b'-', _, _, b'-', _, _] = date.as_bytes() else {
        return None;
    };
    let year = number(date.get(..4)?, 1970, 9999)?;
    let month = number(date.get(5..7)?, 1, 12)?;
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |month: i64| match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = number(date.get(8..)?, 1, length(month))?;
    let years: i64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    let months: i64 = (1..month).map(length).sum();
    years.checked_add(months)?.checked_add(day.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_the_seconds_that_date_prints() {
        // date -u -d … +%s
        for (text, expected) in [
            ("1970-01-01", 0),
            ("2024-02-29", 1_709_164_800),
            ("2025-06-30", 1_751_241_600),
            ("2025-06-30T12:34:56Z", 1_751_286_896),
            ("2025-06-30T12:34:56.789Z", 1_751_286_896),
            ("2025-06-30t14:34:56+02:00", 1_751_286_896),
            ("2025-06-30 09:04:56-03:30", 1_751_286_896),
            ("9999-12-31", 253_402_214_400),
        ] {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_its_text() {
        for text in [
            "",
            "yesterday",
            "2025-6-30",
            "2025-06-31",
            "2023-02-29",
            "2025-13-01",
            "1969-12-31",
            "2025-06-30T",
            "2025-06-30T12:34Z",
            "2025-06-30T12:34:56",
            "2025-06-30T24:00:00Z",
            "2025-06-30T12:34:56.Z",
            "2025-06-30T12:34:56+2",
            "2025-06-30Tä2:34:56Z",
            "20250-06-30",
            "2025-06-3ä",
        ] {
            let error = seconds(text).unwrap_err().to_string();
            assert!(
                error.contains(&text.escape_debug().to_string()),
                "{text}: {error}"
            );
        }
    }
}
