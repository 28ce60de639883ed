//! Payloads and boot files to media.
