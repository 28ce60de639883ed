//! What the kernel says when a device comes, changes or goes.
//!
//! A message is `ACTION@DEVPATH` and then `KEY=VALUE` items, each ended by a zero byte
//! (`kobject_uevent_env` in Linux' `lib/kobject_uevent.c`).

/// What the runtime uses of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uevent {
    /// `add`, `change`, `remove` and others.
    pub(crate) action: String,
    /// The device's last path component: its kernel name.
    pub(crate) name: String,
    /// `block`, `pci`, `usb` and others; empty where it is not said.
    pub(crate) subsystem: String,
    /// What asks for a driver; empty where there is none.
    pub(crate) modalias: String,
}

/// Reads a message; `None` where it is not one of the kernel's.
pub(crate) fn parse(message: &[u8]) -> Option<Uevent> {
    let mut items = message.split(|b| *b == 0);
    let head = str::from_utf8(items.next()?).ok()?;
    let (action, path) = head.split_once('@')?;
    let (_, name) = path.rsplit_once('/')?;
    let mut event = Uevent {
        action: action.to_owned(),
        name: name.to_owned(),
        ..Uevent::default()
    };
    for item in items {
        let Some((key, value)) = str::from_utf8(item).ok().and_then(|i| i.split_once('=')) else {
            continue;
        };
        match key {
            "SUBSYSTEM" => value.clone_into(&mut event.subsystem),
            "MODALIAS" => value.clone_into(&mut event.modalias),
            _ => {}
        }
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart() {
        let message = b"add@/devices/pci0000:00/0000:00:01.1/ata2/host1/target1:0:0/1:0:0:0/block/sr0\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=sr0\0";
        let event = parse(message).unwrap();
        assert_eq!(
            (
                event.action.as_str(),
                event.name.as_str(),
                event.subsystem.as_str()
            ),
            ("add", "sr0", "block")
        );
        assert_eq!(event.modalias, "");
        let event = parse(b"add@/devices/x\0MODALIAS=pci:v=1\0\xff=\0\0junk").unwrap();
        assert_eq!(event.modalias, "pci:v=1");
    }

    #[test]
    fn anything_else_is_no_message() {
        for message in [
            &b""[..],
            b"libudev\0\xfe\xed\xca\xfe",
            b"add",
            b"add@x",
            b"\xff@/x\0",
            b"\0\0",
        ] {
            assert_eq!(parse(message), None);
        }
    }
}
