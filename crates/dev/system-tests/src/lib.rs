//! Tests of the whole: build, boot, damage.
