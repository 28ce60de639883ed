//! A change that is stopped at any moment leaves media that boot, and the next change goes on from there.

use media::edit::Wish;
use media::edit::iso::edit;

use super::sample::{CONFIG, check_table, config, iso, read};
use super::target::Recorder;
use super::{add, append, into_initramfs, reset};

/// Whether every file that the configuration names is there.
fn boots(iso: &[u8]) {
    let text = config(iso);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("initrd") => words.for_each(|path| drop(read(iso, path))),
            Some("linux") => drop(read(iso, words.next().unwrap())),
            _ => {}
        }
    }
}

/// Makes `wish` of `before`, and for each moment at which that can be stopped holds that the media boot, that the change can be made
/// again, and that the original comes back.
fn holds(original: &[u8], before: &[u8], wish: &Wish, after: &dyn Fn(&[u8])) {
    holds_exactly(original, before, wish, (after, Exact::Whole));
}

/// Holds what is true of media after the change.
type After<'a> = &'a dyn Fn(&[u8]);

/// How much of the original comes back.
#[derive(Clone, Copy)]
enum Exact {
    Whole,
    Start,
}

fn holds_exactly(original: &[u8], before: &[u8], wish: &Wish, (after, exact): (After<'_>, Exact)) {
    let target = Recorder::of(before);
    edit(&target, wish).unwrap();
    after(&target.bytes());
    let (old, new) = (config(before), config(&target.bytes()));
    let moments = target.after_power_cuts();
    assert!(moments.len() > 3);
    for (number, left) in moments.iter().enumerate() {
        let now = config(left);
        assert!(now == old || now == new, "moment {number}: {now}");
        boots(left);
        let again = Recorder::of(left);
        edit(&again, wish).unwrap();
        after(&again.bytes());
        assert_eq!(config(&again.bytes()), new, "moment {number}");
        let back = Recorder::of(left);
        edit(&back, &reset()).unwrap();
        assert_eq!(config(&back.bytes()), CONFIG);
        let bytes = back.bytes();
        // Before anything leads to it, what is behind the end is nobody's, and may stay.
        let same = match exact {
            Exact::Whole => bytes == original,
            Exact::Start => bytes.starts_with(original),
        };
        assert!(same, "moment {number}: the original did not come back");
    }
}

#[test]
fn a_first_change() {
    let original = iso(1 << 20);
    holds(&original, &original, &append("debug"), &check_table);
}

#[test]
fn a_further_change() {
    let original = iso(1 << 20);
    let target = Recorder::of(&original);
    edit(&target, &append("debug")).unwrap();
    holds(&original, &target.bytes(), &append("more"), &check_table);
}

#[test]
fn files_that_come_with_entries_that_name_them() {
    let original = iso(1 << 20);
    holds(
        &original,
        &original,
        &into_initramfs("/a", b"b"),
        &check_table,
    );
    holds(&original, &original, &add("/boot/more", b"b"), &check_table);
}

#[test]
fn taking_all_back() {
    let original = iso(1 << 20);
    let target = Recorder::of(&original);
    edit(&target, &into_initramfs("/a", b"b")).unwrap();
    edit(&target, &append("debug")).unwrap();
    holds(&original, &target.bytes(), &reset(), &check_table);
}

#[test]
fn media_that_get_longer() {
    let original = iso(0);
    let fits = |_: &[u8]| {};
    let exact = (&fits as After<'_>, Exact::Start);
    holds_exactly(&original, &original, &into_initramfs("/a", b"b"), exact);
    let target = Recorder::of(&original);
    edit(&target, &into_initramfs("/a", b"b")).unwrap();
    let before = target.bytes();
    holds_exactly(&original, &before, &append("debug"), exact);
    holds_exactly(&original, &before, &reset(), exact);
}
