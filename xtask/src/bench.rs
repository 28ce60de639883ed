//! Measurements, side by side with what is usual. Each prints a Markdown table.

pub(crate) mod boot;
pub(crate) mod build;
pub(crate) mod edit;
pub(crate) mod full_os;
mod measure;
