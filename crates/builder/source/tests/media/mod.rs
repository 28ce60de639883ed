//! A medium that is put together from folders by the reference programs.

use super::{Command, Path, PathBuf, put, run};

/// The version of the medium's kernel.
pub(crate) const VERSION: &str = "6.1.0-test";

/// A boot configuration as Image Customizer leaves it.
pub(crate) const GRUB_CONFIG: &[u8] =
    b"search --label CDROM --set root\nmenuentry 'Test' {\n linux /boot/vmlinuz-6.1.0-test root=live:LABEL=CDROM\n}\n";

/// The start of a kernel image for x86 with `version` written in it.
pub(crate) fn kernel_image(version: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[60..64].copy_from_slice(&0x80_u32.to_le_bytes());
    bytes[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    let text = format!("{version} (builder@host) #1 SMP\0");
    bytes[0x300..0x300 + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// The start of an EFI program.
pub(crate) fn program() -> Vec<u8> {
    let mut bytes = kernel_image("");
    bytes[0x202..0x206].fill(0);
    bytes
}

/// The content of a file of several blocks, which hardly gets shorter by compression.
pub(crate) fn large() -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0] & 0x3f
    };
    (0..3_000_000).map(next).collect()
}

/// How an ISO is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Maker {
    /// As Image Customizer does.
    Genisoimage,
    /// Without a boot image.
    Xorriso,
    /// With `esp.img` as boot image for UEFI and as partition.
    Hybrid,
}

/// The folders `system` and `iso`, and what is made of them.
pub(crate) struct Medium(tempfile::TempDir);

impl Medium {
    /// A medium of nothing, and a system.
    pub(crate) fn new() -> Self {
        let medium = Self(tempfile::tempdir().unwrap());
        medium.put(
            "system/etc/os-release",
            b"ID=test\nPRETTY_NAME=\"Test 1\"\n",
        );
        medium.put("system/usr/share/large", &large());
        medium.put("system/usr/bin/program", b"#!/bin/sh\n");
        medium.put(
            &format!("system/usr/lib/modules/{VERSION}/modules.dep"),
            b"",
        );
        std::fs::create_dir(medium.path("system/boot")).unwrap();
        std::fs::create_dir(medium.path("iso")).unwrap();
        medium.shell("chmod 4755 system/usr/bin/program; setfattr -n user.label -v kept system/usr/bin/program || true");
        medium
    }

    /// What Image Customizer puts on every medium.
    pub(crate) fn image_customizer() -> Self {
        let medium = Self::new();
        medium.put(
            &format!("iso/boot/vmlinuz-{VERSION}"),
            &kernel_image(VERSION),
        );
        medium.put(&format!("iso/boot/config-{VERSION}"), b"CONFIG_X=y\n");
        medium.put(&format!("iso/boot/initramfs-{VERSION}.img"), b"initramfs");
        medium.put("iso/boot/grub2/grub.cfg", GRUB_CONFIG);
        medium.put(
            "iso/azl-image-customizer/saved-configs.yaml",
            b"liveos: {}\n",
        );
        medium.put("iso/efi/boot/bootx64.efi", &program());
        medium.put("iso/efi/boot/grubx64.efi", &program());
        medium.put("iso/boot/efi/EFI/BOOT/bootx64.efi", &program());
        medium.esp("iso/boot/grub2/efiboot.img", "EFI/BOOT");
        medium
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        put(&self.path(path), bytes);
    }

    /// Runs a line of shell in the folder of the medium.
    pub(crate) fn shell(&self, line: &str) {
        let output = Command::new("sh")
            .args(["-e", "-c", line])
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {text}");
    }

    /// Makes a squashfs image of the system at `path` of the medium.
    pub(crate) fn squashfs(&self, path: &str, options: &[&str]) {
        let target = self.path("iso").join(path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let system = self.path("system");
        let mut arguments = vec![system.to_str().unwrap(), target.to_str().unwrap()];
        arguments.extend(["-noappend", "-quiet", "-no-progress", "-xattrs"]);
        arguments.extend(options);
        run("mksquashfs", &arguments);
    }

    /// Makes an ext4 image of the system at `path`.
    pub(crate) fn ext4(&self, path: &str) {
        self.put(path, b"");
        self.shell(&format!(
            "truncate -s 32M {path} && mkfs.ext4 -q -F -d system {path}"
        ));
    }

    /// Makes an ext4 image of the system, and a squashfs image with it alone.
    pub(crate) fn nested_ext4(&self, outer: &str, inner: &str) {
        self.ext4(&format!("inner/{inner}"));
        let target = Path::new("iso").join(outer);
        let folder = target.parent().unwrap().display();
        let target = target.display();
        self.shell(&format!(
            "mkdir -p {folder} && mksquashfs inner {target} -quiet -no-progress"
        ));
    }

    /// Makes a FAT image at `path` with an EFI program in `folder`.
    pub(crate) fn esp(&self, path: &str, folder: &str) {
        self.put(&format!("esp/{folder}/BOOTX64.EFI"), &program());
        self.put(path, b"");
        self.shell(&format!(
            "truncate -s 3M {path} && mkfs.vfat {path} >/dev/null && mcopy -s -i {path} esp/EFI ::/"
        ));
    }

    /// Makes an ISO of the folder `iso`.
    pub(crate) fn write(&self, maker: Maker) -> PathBuf {
        let iso = self.path("medium.iso");
        if iso.exists() {
            std::fs::remove_file(&iso).unwrap();
        }
        self.shell(match maker {
            Maker::Genisoimage => {
                "genisoimage -quiet -R -l -D -J -joliet-long -o medium.iso -V CDROM -eltorito-alt-boot -e boot/grub2/efiboot.img -no-emul-boot iso"
            }
            Maker::Xorriso => "xorriso -as mkisofs -quiet -R -J -V TEST -o medium.iso iso",
            Maker::Hybrid => {
                "xorriso -as mkisofs -quiet -R -J -V TEST -append_partition 2 0xef esp.img -e --interval:appended_partition_2:all:: -no-emul-boot -o medium.iso iso"
            }
        });
        iso
    }
}
