//! Any text as a kernel command line: a request or a refusal, and nothing in a request that could become a mount option or a path of
//! its own.
#![no_main]

use contract::cmdline::Cmdline;
use contract::request::network::Method;
use contract::request::{Policy, Request, Root};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let cmdline = Cmdline::parse(&String::from_utf8_lossy(bytes));
    let _ = Policy::read(&cmdline);
    let Ok(Some(request)) = Request::read(&cmdline) else {
        return;
    };
    assert!(!request.overlay_size.contains([',', '=', ' ']));
    assert!(!request.dir.starts_with('/') && !request.image.starts_with('/'));
    if let Root::Url(url) = &request.root {
        assert!(request.network.needed && url.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    for address in &request.network.addresses {
        if let Method::Fixed(fixed) = address.method {
            assert!(fixed.prefix_len <= 32);
        }
    }
});
