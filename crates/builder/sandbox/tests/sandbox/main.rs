//! The sandbox from outside: what programs see, what comes back, and what is left when everything is killed.
//!
//! The tests run as whoever runs them; as root, [`as_user`] runs all of them once more as an ordinary user with ranges of its own.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails; one that is skipped says so"
)]

mod as_user;
mod changes;
mod isolation;
mod killed;
mod system;
