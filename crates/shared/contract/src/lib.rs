//! What the builder writes and the runtime reads.
