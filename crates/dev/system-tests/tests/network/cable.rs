//! A network of its own for a machine: a namespace with a tap device, and dnsmasq for addresses and names. No way leads out of it.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use testkit::tools;

/// This machine's address in the namespace.
pub(crate) const HOST: &str = "192.0.2.1";
/// The name that dnsmasq has for it.
pub(crate) const NAME: &str = "server.test";
/// QEMU's arguments for a card at the tap device.
pub(crate) const CARD: [&str; 4] = [
    "-netdev",
    "tap,id=net,ifname=tap0,script=no,downscript=no",
    "-device",
    "virtio-net-pci,netdev=net,romfile=",
];

/// The programs that this needs, besides root.
pub(crate) const PROGRAMS: [&str; 2] = ["ip", "dnsmasq"];

/// The network; gone with this value.
#[derive(Debug)]
pub(crate) struct Cable {
    name: String,
    dnsmasq: Option<Child>,
}

impl Cable {
    /// Lays it.
    pub(crate) fn new() -> Result<Self> {
        let name = format!("liveos-{}", std::process::id());
        let cable = Self {
            name: name.clone(),
            dnsmasq: None,
        };
        tools::run("ip", ["netns", "add", &name])?;
        let inside = |words: &str| {
            let words: Vec<&str> = ["-n", &name].into_iter().chain(words.split(' ')).collect();
            tools::run("ip", words)
        };
        inside("link set lo up")?;
        inside("tuntap add dev tap0 mode tap")?;
        inside(&format!("addr add {HOST}/24 dev tap0"))?;
        inside("link set tap0 up")?;
        Ok(cable)
    }

    /// Starts dnsmasq.
    pub(crate) fn serve(&mut self) -> Result<()> {
        let server = tools::command("ip")
            .args(["netns", "exec", &self.name, "dnsmasq", "--no-daemon"])
            .args(["--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
            .args(["--pid-file=", "--leasefile-ro", "--user=root"])
            .args(["--interface=tap0", "--dhcp-range=192.0.2.50,192.0.2.60,1h"])
            .arg(format!("--address=/{NAME}/{HOST}"))
            .stderr(Stdio::null())
            .spawn()
            .context("starting dnsmasq")?;
        self.dnsmasq = Some(server);
        Ok(())
    }

    /// Does something with the namespace as its network, also what it starts.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = File::open(format!("/run/netns/{}", self.name))?;
        // A namespace is a thread's: that of this one, and of those who come from it.
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            inside
                .join()
                .map_err(|_| anyhow!("the work inside the namespace panicked"))?
        })
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        if let Some(dnsmasq) = &mut self.dnsmasq {
            // Where it has ended already there is nothing to do.
            let _ = dnsmasq.kill();
            let _ = dnsmasq.wait();
        }
        let _ = tools::run("ip", ["netns", "del", &self.name]);
    }
}
