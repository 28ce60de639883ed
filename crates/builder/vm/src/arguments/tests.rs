//! The argument lists, by what each choice must and must not put in.

use super::*;
use crate::machine::DirectKernel;

fn files() -> FirmwareFiles {
    FirmwareFiles {
        code: "/fw/code.fd".into(),
        variables: "/tmp/vars.fd".into(),
    }
}

fn line(machine: &Machine, accelerator: Accelerator) -> String {
    let list = arguments(machine, Some(&files()), accelerator).unwrap();
    let words: Vec<_> = list.iter().map(|word| word.to_str().unwrap()).collect();
    words.join(" ")
}

#[test]
fn each_choice_is_in_the_arguments() {
    type Change = fn(&mut Machine);
    let table: [(Change, &[&str], &[&str]); 9] = [
        (
            |_| (),
            &[
                "-machine q35 ",
                "unit=0,readonly=on,file=/fw/code.fd",
                "unit=1,file=/tmp/vars.fd",
                "ide-cd,drive=media,bootindex=0",
                "-m 2048",
                "-smp 1",
            ],
            &["smm=on", "-kernel"],
        ),
        (
            |m| m.firmware = Firmware::Bios,
            &["-machine pc "],
            &["pflash", "q35"],
        ),
        (
            |m| m.firmware = Firmware::Secure,
            &[
                "-machine q35,smm=on",
                "driver=cfi.pflash01,property=secure,value=on",
            ],
            &[],
        ),
        (
            |m| m.media.as_mut().unwrap().attach = Attach::Usb,
            &["qemu-xhci", "usb-storage,bus=xhci.0,drive=media"],
            &["ide-cd"],
        ),
        (
            |m| m.media.as_mut().unwrap().attach = Attach::Disk,
            &["virtio-blk-pci,drive=media,bootindex=0"],
            &["ide-cd"],
        ),
        (|m| m.media = None, &[], &["-blockdev", "media"]),
        (
            |m| m.network = Network::None,
            &["-nic none"],
            &["-netdev", "virtio-net"],
        ),
        (
            |m| m.console = Console::Pipe,
            &["-monitor none"],
            &["mux=on"],
        ),
        (
            |m| m.extra = vec!["-no-reboot".into()],
            &["-no-reboot"],
            &[],
        ),
    ];
    for (change, present, absent) in table {
        let mut machine = Machine::booting("live.iso");
        change(&mut machine);
        let line = line(&machine, Accelerator::Tcg);
        for word in present {
            assert!(line.contains(word), "{word:?} is missing in: {line}");
        }
        for word in absent {
            assert!(!line.contains(word), "{word:?} is in: {line}");
        }
    }
}

#[test]
fn one_emulated_processor_runs_in_one_thread() {
    let mut machine = Machine::booting("live.iso");
    assert!(line(&machine, Accelerator::Tcg).contains("-accel tcg,thread=single -cpu max"));
    assert!(line(&machine, Accelerator::Kvm).contains("-accel kvm -cpu host"));
    machine.cpus = 2;
    machine.cpu_model = Some("qemu64".into());
    assert!(line(&machine, Accelerator::Tcg).contains("-accel tcg -cpu qemu64 -smp 2"));
}

#[test]
fn a_comma_in_a_path_is_doubled_and_a_colon_stays() {
    let machine = Machine::booting("/a,b/nbd:c.iso");
    assert!(line(&machine, Accelerator::Tcg).contains("filename=/a,,b/nbd:c.iso"));
}

#[test]
fn a_kernel_is_handed_over_with_its_whole_command_line() {
    let mut machine = Machine::booting("live.iso");
    machine.kernel = Some(DirectKernel {
        kernel: "/k".into(),
        initramfs: "/i".into(),
        command_line: "console=ttyS0 quiet".into(),
    });
    let list = arguments(&machine, Some(&files()), Accelerator::Tcg).unwrap();
    let at = list.iter().position(|word| word == "-append").unwrap();
    assert_eq!(list[at + 1], "console=ttyS0 quiet");
    let line = line(&machine, Accelerator::Tcg);
    assert!(
        line.contains("ide-cd,drive=media") && !line.contains("bootindex"),
        "{line}"
    );
}

#[test]
fn impossible_machines_are_refused() {
    let mut machine = Machine::booting("live.iso");
    assert!(matches!(
        arguments(&machine, None, Accelerator::Tcg),
        Err(Error::Machine(_))
    ));
    machine.cpus = 0;
    assert!(matches!(
        arguments(&machine, Some(&files()), Accelerator::Tcg),
        Err(Error::Machine(_))
    ));
}
