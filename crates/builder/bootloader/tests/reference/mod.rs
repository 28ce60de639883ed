//! The reference tools of the tests.

/// Whether a reference tool is there; where it must be and is not, the test fails.
pub(crate) fn need(tool: &str) -> bool {
    testkit::tools::available(&[tool])
}
