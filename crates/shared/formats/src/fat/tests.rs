//! Facts about the structures that no image shows by itself.

use super::format::{date_and_time, timestamp};
use super::name::{decode_short, exact_short, long_fault, numbered_short};
use tree::Timestamp;

#[test]
fn times_go_to_fat_and_back() {
    let last = Timestamp::from_seconds(4_354_819_198);
    for (seconds, date, time) in [
        (315_532_800, 0x0021, 0),
        (
            951_782_400 + 86_399,
            20 << 9 | 2 << 5 | 29,
            23 << 11 | 59 << 5 | 29,
        ),
        (4_107_542_400, 120 << 9 | 3 << 5 | 1, 0),
        (
            last.seconds,
            127 << 9 | 12 << 5 | 31,
            23 << 11 | 59 << 5 | 29,
        ),
    ] {
        assert_eq!(
            date_and_time(Timestamp::from_seconds(seconds)),
            (date, time)
        );
        assert_eq!(timestamp(date, time), Timestamp::from_seconds(seconds & !1));
    }
    assert_eq!(date_and_time(Timestamp::from_seconds(-5)), (0x21, 0));
    assert_eq!(
        date_and_time(Timestamp::from_seconds(i64::MAX)),
        date_and_time(last)
    );
    assert_eq!(
        timestamp(0, 0),
        timestamp(0x21, 0),
        "no date is the first one"
    );
    for day in 0..46_751 {
        let at = Timestamp::from_seconds(315_532_800 + day * 86_400);
        let (date, time) = date_and_time(at);
        assert_eq!(timestamp(date, time), at);
    }
}

#[test]
fn any_date_and_time_is_some_point_in_time() {
    for number in 0..=u16::MAX {
        let at = timestamp(number, number);
        assert!(at.seconds >= 315_532_800, "{number}");
    }
}

#[test]
fn short_names_are_made_of_long_ones() {
    let text = |name: [u8; 11]| String::from_utf8(name.to_vec()).unwrap();
    for (name, number, short) in [
        ("grub.configuration", 1, "GRUB~1  CON"),
        ("a long name.txt", 1, "ALONGN~1TXT"),
        ("a long name.txt", 123, "ALON~123TXT"),
        (".hidden", 1, "HIDDEN~1   "),
        ("a+b.c.d", 2, "A_BC~2  D  "),
        ("\u{1f4bf}.iso", 1, "_~1     ISO"),
        ("...x", 9, "X~9        "),
    ] {
        assert_eq!(text(numbered_short(name, number)), short, "{name}");
    }
    assert_eq!(exact_short("BOOTX64.EFI"), Some(*b"BOOTX64 EFI"));
    for name in [
        "bootx64.efi",
        "BOOTX6464.EFI",
        "A.B.C",
        ".A",
        "A.",
        "A B",
        "A.EFIX",
        "",
    ] {
        assert_eq!(exact_short(name), None, "{name}");
    }
}

#[test]
fn short_names_are_read_with_their_case_and_code_page() {
    assert_eq!(decode_short(*b"README  TXT", 0), "README.TXT");
    assert_eq!(decode_short(*b"README  TXT", 0x08), "readme.TXT");
    assert_eq!(decode_short(*b"README  TXT", 0x18), "readme.txt");
    assert_eq!(decode_short(*b"A B        ", 0), "A B");
    assert_eq!(decode_short(*b"\x05\x84\xff     X  ", 0), "σä\u{a0}.X");
}

#[test]
fn names_that_fat_cannot_hold_have_a_reason() {
    for name in ["a", "a b", ".a", "é", "a+b=[c];d,e"] {
        assert_eq!(long_fault(name.as_bytes()), None, "{name}");
    }
    let long = "x".repeat(256);
    for name in ["a:b", "a\\b", "a.", "a ", "a\nb", "a?", long.as_str()] {
        assert!(long_fault(name.as_bytes()).is_some(), "{name}");
    }
    assert!(long_fault(b"\xff").is_some());
}
