//! Tests of the whole initramfs on a made-up tree.
