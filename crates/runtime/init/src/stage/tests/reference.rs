//! The real network code against a real kernel and a real DHCP server, in network namespaces of their own.
#![expect(clippy::disallowed_methods, reason = "reference programs are started")]

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use contract::cmdline::Cmdline;
use contract::failure::Failure;
use contract::request::Request;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::super::{Boot, network};
use crate::modules::Modules;
use crate::net::handover::Connection;
use crate::sys::Machine;

/// Two namespaces with a cable between; gone with this value.
struct Cable {
    name: String,
    servers: Vec<Child>,
}

fn run(line: &str) -> String {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

impl Cable {
    /// `None` where a program or the right to make namespaces is missing.
    fn new(number: u32) -> Option<Self> {
        let has = |tool: &str| {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).any(|folder| folder.join(tool).is_file())
        };
        let name = format!("lo{}-{number}", std::process::id());
        let made = has("ip") && has("dnsmasq") && {
            let mut add = Command::new("ip");
            add.args(["netns", "add", &format!("{name}-c")]);
            add.stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        if !made {
            assert!(
                std::env::var_os("CI").is_none(),
                "needs ip, dnsmasq and root"
            );
            eprintln!("SKIPPED: needs ip, dnsmasq and root");
            return None;
        }
        let cable = Self {
            name: name.clone(),
            servers: Vec::new(),
        };
        run(&format!("ip netns add {name}-s"));
        run(&format!(
            "ip link add eth0 netns {name}-c type veth peer name s0 netns {name}-s"
        ));
        run(&format!("ip -n {name}-s addr add 192.0.2.1/24 dev s0"));
        run(&format!("ip -n {name}-s link set s0 up"));
        Some(cable)
    }

    /// Starts dnsmasq as a DHCP server with further options.
    fn serve(&mut self, options: &[&str]) {
        let server = Command::new("ip")
            .args(["netns", "exec", &format!("{}-s", self.name), "dnsmasq"])
            .args([
                "--no-daemon",
                "--port=0",
                "--conf-file=/dev/null",
                "--user=root",
            ])
            .args([
                "--pid-file=",
                "--leasefile-ro",
                "--no-ping",
                "--interface=s0",
            ])
            .arg("--dhcp-range=192.0.2.50,192.0.2.60,1h")
            .args(options)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.servers.push(server);
    }

    /// Brings the network up in the client's namespace.
    fn connect(&self, cmdline: &str) -> Result<Connection, Failure> {
        let namespace = File::open(format!("/run/netns/{}-c", self.name)).unwrap();
        let cmdline = format!("root=http://x/y {cmdline}");
        // A thread of its own: a namespace is a thread's, and this one ends with it.
        let connect = move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).unwrap();
            let request = Request::read(&Cmdline::parse(&cmdline)).unwrap().unwrap();
            let mut machine = Machine::default();
            let modules = Modules::default();
            let mut boot = Boot {
                system: &mut machine,
                modules,
            };
            network::connect(&mut boot, &request)
        };
        std::thread::spawn(connect).join().unwrap()
    }

    /// What `ip` says in the client's namespace.
    fn ip(&self, words: &str) -> String {
        run(&format!("ip -n {}-c {words}", self.name))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        for end in ["c", "s"] {
            let name = format!("{}-{end}", self.name);
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}

#[test]
fn ref_dnsmasq_grants_an_address_and_the_kernel_has_it() {
    let Some(mut cable) = Cable::new(1) else {
        return;
    };
    cable.serve(&[
        "--dhcp-option=option:router,192.0.2.1",
        "--dhcp-option=option:dns-server,192.0.2.9,192.0.2.10",
        "--dhcp-option=option:domain-name,example.org",
        "--dhcp-option-force=option:mtu,1400",
    ]);
    let connection = cable.connect("ip=dhcp").unwrap();
    assert_eq!(connection.card, "eth0");
    assert_eq!(connection.address.octets()[..3], [192, 0, 2]);
    assert_eq!(connection.name_servers.len(), 2);
    assert_eq!(connection.domain.as_deref(), Some("example.org"));
    assert_eq!(connection.server.unwrap().to_string(), "192.0.2.1");
    let address = cable.ip("-4 addr show dev eth0");
    let expected = format!("inet {}/24 brd 192.0.2.255", connection.address);
    assert!(
        address.contains(&expected) && address.contains("mtu 1400"),
        "{address}"
    );
    let routes = cable.ip("route");
    assert!(
        routes.contains("default via 192.0.2.1 dev eth0"),
        "{routes}"
    );
    // The kernel takes all of it a second time, as an interrupted start leaves it.
    assert_eq!(
        cable.connect("ip=eth0:dhcp").unwrap().address,
        connection.address
    );
}

#[test]
fn ref_classless_routes_are_set_also_through_a_gateway_outside_the_network() {
    let Some(mut cable) = Cable::new(2) else {
        return;
    };
    cable.serve(&[
        "--dhcp-option=option:netmask,255.255.255.255",
        "--dhcp-option=121,198.51.100.0/25,192.0.2.7,203.0.113.0/24,0.0.0.0,0.0.0.0/0,192.0.2.1",
    ]);
    cable.connect("").unwrap();
    let routes = cable.ip("route");
    for route in [
        "default via 192.0.2.1 dev eth0 onlink",
        "198.51.100.0/25 via 192.0.2.7 dev eth0 onlink",
        "203.0.113.0/24 dev eth0 scope link",
    ] {
        assert!(routes.contains(route), "{route} in {routes}");
    }
}

#[test]
fn ref_a_fixed_address_is_set_without_a_server() {
    let Some(cable) = Cable::new(3) else {
        return;
    };
    let connection = cable
        .connect("ip=192.0.2.7::192.0.2.1:25::eth0:none:1300")
        .unwrap();
    assert_eq!(connection.server, None);
    let address = cable.ip("-4 addr show dev eth0");
    assert!(
        address.contains("inet 192.0.2.7/25") && address.contains("mtu 1300"),
        "{address}"
    );
    assert!(cable.ip("route").contains("default via 192.0.2.1"));
}

#[test]
fn ref_where_no_server_is_there_is_no_address_and_a_cable_without_an_end_is_no_link() {
    let Some(cable) = Cable::new(4) else {
        return;
    };
    let failure = cable.connect("rd.net.timeout.dhcp=1").unwrap_err();
    assert_eq!(failure.code.code, "L0212", "{failure}");
    run(&format!("ip -n {}-s link set s0 down", cable.name));
    let failure = cable.connect("rd.net.timeout.carrier=1").unwrap_err();
    assert_eq!(failure.code.code, "L0211", "{failure}");
    assert!(failure.cause.contains("eth0 (") && failure.cause.contains("without a link"));
}
