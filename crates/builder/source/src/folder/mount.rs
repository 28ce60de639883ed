//! File systems that hold no files of an operating system: what the kernel shows of itself, and what is in memory.

use rustix::fd::BorrowedFd;

/// Their magic numbers (Linux, `include/uapi/linux/magic.h`, and the file systems' own sources) and names.
const WITHOUT_FILES: [(u64, &str); 18] = [
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    // devtmpfs has the same number.
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x1cd1, "devpts"),
    (0x1980_0202, "mqueue file system"),
    (0x9584_58f6, "hugetlbfs"),
    (0x0027_e0eb, "cgroup file system"),
    (0x6367_7270, "cgroup2 file system"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0x6265_6570, "configfs"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x6165_676c, "pstore"),
    (0xde5e_81e4, "efivarfs"),
    (0xcafe_4a11, "bpf file system"),
    (0x0187, "autofs"),
];

/// The name of the file system that `folder` lies on, where it is one that holds no files of an operating system.
///
/// # Errors
///
/// What the kernel answers.
pub(super) fn without_files(folder: BorrowedFd<'_>) -> rustix::io::Result<Option<&'static str>> {
    let magic = rustix::fs::fstatfs(folder)?.f_type;
    let magic = u64::try_from(magic).unwrap_or(0);
    let found = WITHOUT_FILES.iter().find(|(known, _)| *known == magic);
    Ok(found.map(|(_, name)| *name))
}
