//! A guest without an operating system: SeaBIOS and a boot sector of a few bytes.

use super::*;
use vm::{Attach, Firmware, Media};

/// Writes `code` as a boot sector and answers with a machine that starts it.
fn sector(folder: &Path, code: &[u8]) -> Machine {
    let mut sector = code.to_vec();
    sector.resize(510, 0);
    sector.extend_from_slice(&[0x55, 0xaa]);
    // SeaBIOS sees no geometry in a disk of one sector.
    sector.resize(1 << 20, 0);
    let path = folder.join("sector");
    std::fs::write(&path, sector).unwrap();
    let mut machine = machine(&path);
    machine.firmware = Firmware::Bios;
    machine.memory_mib = 32;
    machine.media = Some(Media {
        path,
        attach: Attach::Disk,
    });
    machine.extra.extend([
        "-device".into(),
        "isa-debug-exit,iobase=0xf4,iosize=4".into(),
    ]);
    machine
}

/// `cli; hlt; jmp -3`: nothing, for ever.
const IDLE: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfd];
/// `mov al, 0x31; out 0xf4, al`: an end with status 99.
const END: [u8; 4] = [0xb0, 0x31, 0xe6, 0xf4];

#[test]
fn ref_markers_are_found_in_their_order() {
    if !tools::available(&["qemu-system-x86_64"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::start(&sector(folder.path(), &IDLE)).unwrap();
    let (which, text) = guest
        .expect_any(&["no such text", "SeaBIOS"], COMMAND)
        .unwrap();
    assert_eq!(which, 1);
    assert!(text.ends_with("SeaBIOS"));
    guest.expect("Booting from Hard Disk", COMMAND).unwrap();
    let error = guest
        .expect("SeaBIOS", Duration::ZERO)
        .unwrap_err()
        .to_string();
    assert!(error.contains("0 s passed without \"SeaBIOS\""), "{error}");
    assert!(error.contains("Booting from Hard Disk"), "{error}");
    let picture = folder.path().join("screen.ppm");
    guest.screendump(&picture).unwrap();
    assert!(std::fs::read(picture).unwrap().starts_with(b"P6"));
}

#[test]
fn ref_a_machine_that_ends_is_noticed_and_its_status_known() {
    if !tools::available(&["qemu-system-x86_64"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::start(&sector(folder.path(), &END)).unwrap();
    let error = guest
        .expect("no such text", COMMAND)
        .unwrap_err()
        .to_string();
    assert!(error.contains("the machine ended"), "{error}");
    assert_eq!(guest.wait_for_end(COMMAND).unwrap().code(), Some(99));
}

#[test]
fn ref_qemu_takes_every_machine_that_can_be_described() {
    if !tools::available(&["qemu-system-x86_64"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for firmware in [Firmware::Bios, Firmware::Uefi, Firmware::Secure] {
        for attach in [Attach::Cd, Attach::Usb, Attach::Disk] {
            for network in [Network::None, Network::User] {
                let mut machine = sector(folder.path(), &IDLE);
                machine.firmware = firmware;
                machine.network = network;
                machine.memory_mib = 256;
                machine.media.as_mut().unwrap().attach = attach;
                let guest = Guest::start(&machine).unwrap();
                let answer = guest.screendump(&folder.path().join("screen"));
                assert!(answer.is_ok(), "{machine:?}: {}", guest.transcript());
            }
        }
    }
}

#[test]
fn ref_a_machine_ends_with_its_value() {
    if !tools::available(&["qemu-system-x86_64"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest::start(&sector(folder.path(), &IDLE)).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", guest.process()));
    assert!(process.exists());
    drop(guest);
    assert!(!process.exists());
}

#[test]
fn media_that_is_not_there_is_an_error_and_no_machine() {
    let error = Guest::start(&machine("/no/such.iso")).unwrap_err();
    assert!(format!("{error:#}").contains("/no/such.iso"));
}

#[test]
fn control_sequences_are_left_out() {
    assert_eq!(
        plain(b"\x1b[2J\x1b[1;1Hlog\x1b[?2004hin: \x1b(B!"),
        "login: B!"
    );
    assert_eq!(plain(b"end\x1b["), "end");
}
