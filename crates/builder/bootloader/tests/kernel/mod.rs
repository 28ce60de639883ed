//! A kernel that says how it was started.

/// A bzImage of 2 KiB: its 32-bit entry writes the command line to the first serial port, then `|` and the initramfs, and ends QEMU
/// through the debug exit port. Its 16-bit entry, which isolinux uses, does the same without the initramfs, which it cannot reach.
///
/// Source of the header: Linux 6.1 `Documentation/x86/boot.rst`, protocol 2.06.
pub(crate) fn kernel() -> Vec<u8> {
    let mut image = vec![0; 2048];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]); // One sector of set-up code.
    put(0x1f4, &64u32.to_le_bytes()); // 16-byte paragraphs of protected-mode code.
    put(0x1fe, &[0x55, 0xaa, 0xeb, 0x66]);
    put(0x202, b"HdrS");
    put(0x206, &0x0206u16.to_le_bytes());
    put(0x211, &[1]); // Loaded high.
    put(0x214, &0x10_0000u32.to_le_bytes());
    put(0x22c, &0x7fff_ffffu32.to_le_bytes());
    put(0x230, &0x1000u32.to_le_bytes());
    put(0x238, &2047u32.to_le_bytes());
    #[rustfmt::skip]
    put(0x268, &[
        0x66, 0xa1, 0x28, 0x02, // mov eax, [0x228]   the command line
        0x66, 0x89, 0xc3,       // mov ebx, eax
        0x66, 0xc1, 0xe8, 0x04, // shr eax, 4
        0x8e, 0xc0,             // mov es, ax
        0x83, 0xe3, 0x0f,       // and bx, 15
        0x26, 0x8a, 0x07,       // next: mov al, es:[bx]
        0x84, 0xc0,             // test al, al
        0x74, 0x06,             // jz end
        0xe8, 0x0c, 0x00,       // call write
        0x43,                   // inc bx
        0xeb, 0xf3,             // jmp next
        0xb0, b'|',             // end: mov al, '|'
        0xe8, 0x04, 0x00,       // call write
        0xe6, 0xf4,             // out 0xf4, al
        0xeb, 0xfe,             // jmp self
        0x88, 0xc4,             // write: mov ah, al
        0xba, 0xfd, 0x03,       // wait: mov dx, 0x3fd
        0xec,                   // in al, dx
        0xa8, 0x20,             // test al, 0x20
        0x74, 0xf8,             // jz wait
        0x88, 0xe0,             // mov al, ah
        0xba, 0xf8, 0x03,       // mov dx, 0x3f8
        0xee,                   // out dx, al
        0xc3,                   // ret
    ]);
    #[rustfmt::skip]
    put(1024, &[
        0xfc,                               // cld
        0xbc, 0x00, 0x00, 0x08, 0x00,       // mov esp, 0x80000
        0x8b, 0x9e, 0x28, 0x02, 0x00, 0x00, // mov ebx, [esi + 0x228]   the command line
        0x8a, 0x03,                         // next: mov al, [ebx]
        0x84, 0xc0,                         // test al, al
        0x74, 0x08,                         // jz end
        0xe8, 0x28, 0x00, 0x00, 0x00,       // call write
        0x43,                               // inc ebx
        0xeb, 0xf2,                         // jmp next
        0x90,                               // end: nop
        0xb0, b'|',                         // mov al, '|'
        0xe8, 0x1d, 0x00, 0x00, 0x00,       // call write
        0x8b, 0x9e, 0x18, 0x02, 0x00, 0x00, // mov ebx, [esi + 0x218]   the initramfs
        0x8b, 0x8e, 0x1c, 0x02, 0x00, 0x00, // mov ecx, [esi + 0x21c]   its length
        0xe3, 0x0b,                         // more: jecxz done
        0x8a, 0x03,                         // mov al, [ebx]
        0xe8, 0x08, 0x00, 0x00, 0x00,       // call write
        0x43,                               // inc ebx
        0x49,                               // dec ecx
        0xeb, 0xf3,                         // jmp more
        0xe6, 0xf4,                         // done: out 0xf4, al
        0xeb, 0xfe,                         // jmp self
        0x88, 0xc4,                         // write: mov ah, al
        0x66, 0xba, 0xfd, 0x03,             // wait: mov dx, 0x3fd
        0xec,                               // in al, dx
        0xa8, 0x20,                         // test al, 0x20
        0x74, 0xf7,                         // jz wait
        0x88, 0xe0,                         // mov al, ah
        0x66, 0xba, 0xf8, 0x03,             // mov dx, 0x3f8
        0xee,                               // out dx, al
        0xc3,                               // ret
    ]);
    image
}
