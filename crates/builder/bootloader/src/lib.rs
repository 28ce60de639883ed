//! Boot loader configuration as data.
