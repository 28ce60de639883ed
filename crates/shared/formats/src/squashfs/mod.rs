//! squashfs 4.0, read and written.
