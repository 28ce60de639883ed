//! What the system finds of the network later.
//!
//! The card stays up with its address and routes; whatever configures the network in the system takes it over, or asks for an address again
//! and gets the same one (the client names itself as the card's loader does). Only where the kernel cannot give a card that is up
//! the name that the system has for it, it is switched off when the medium is in memory. Two files say what is known, for those who look:
//!
//! * [`media::RESOLV_CONF`]: the name servers. The system's own `/etc/resolv.conf` is not touched.
//! * `/run/net-<card>.conf`, in the form of klibc's `ipconfig`, which cloud-init, open-iscsi and live-boot read; only where the card
//!   keeps its name (`net.ifnames=0`).
//!
//! systemd-networkd reads `ip=` from the kernel command line by itself (systemd-network-generator), and so needs nothing of us.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::{Mac, Route};

#[cfg(doc)]
use contract::media;

/// How the machine is on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) card: String,
    /// The kernel's number of it.
    pub(crate) index: u32,
    pub(crate) mac: Mac,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix_len: u8,
    pub(crate) routes: Vec<Route>,
    /// In the order in which they are asked.
    pub(crate) name_servers: Vec<Ipv4Addr>,
    pub(crate) domain: Option<String>,
    pub(crate) host_name: Option<String>,
    /// The DHCP server; `None` where the address is the command line's.
    pub(crate) server: Option<Ipv4Addr>,
}

/// How many name servers count: the C library reads no more.
const MAX_SERVERS: usize = 3;

impl Connection {
    /// `resolv.conf`. The times make a name that nobody knows a matter of seconds.
    pub(crate) fn resolv_conf(&self) -> String {
        let mut text = String::new();
        if let Some(domain) = &self.domain {
            let _ = writeln!(text, "search {domain}");
        }
        for server in self.name_servers.iter().take(MAX_SERVERS) {
            let _ = writeln!(text, "nameserver {server}");
        }
        text.push_str("options timeout:3 attempts:2\n");
        text
    }

    /// klibc's file.
    pub(crate) fn klibc_conf(&self) -> String {
        let gateway = self.routes.iter().find(|route| route.prefix_len == 0);
        let gateway = gateway.and_then(|route| route.gateway);
        let host_bits = u32::MAX
            .checked_shr(self.prefix_len.into())
            .unwrap_or_default();
        let nothing = Ipv4Addr::UNSPECIFIED;
        let server = |number: usize| *self.name_servers.get(number).unwrap_or(&nothing);
        let rows = [
            ("DEVICE", self.card.clone()),
            (
                "PROTO",
                if self.server.is_some() {
                    "dhcp"
                } else {
                    "none"
                }
                .to_owned(),
            ),
            ("IPV4ADDR", self.address.to_string()),
            (
                "IPV4BROADCAST",
                Ipv4Addr::from(u32::from(self.address) | host_bits).to_string(),
            ),
            ("IPV4NETMASK", Ipv4Addr::from(!host_bits).to_string()),
            ("IPV4GATEWAY", gateway.unwrap_or(nothing).to_string()),
            ("IPV4DNS0", server(0).to_string()),
            ("IPV4DNS1", server(1).to_string()),
            ("HOSTNAME", self.host_name.clone().unwrap_or_default()),
            ("DNSDOMAIN", self.domain.clone().unwrap_or_default()),
            ("ROOTSERVER", self.server.unwrap_or(nothing).to_string()),
        ];
        let mut text = String::new();
        for (name, value) in rows {
            let _ = writeln!(text, "{name}='{value}'");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection {
            card: "eth0".into(),
            index: 2,
            mac: [2; 6],
            address: Ipv4Addr::new(192, 0, 2, 7),
            prefix_len: 24,
            routes: vec![Route {
                to: Ipv4Addr::UNSPECIFIED,
                prefix_len: 0,
                gateway: Some(Ipv4Addr::new(192, 0, 2, 1)),
                on_link: false,
            }],
            name_servers: vec![Ipv4Addr::new(192, 0, 2, 3); 5],
            domain: Some("example.org".into()),
            host_name: None,
            server: Some(Ipv4Addr::new(192, 0, 2, 2)),
        }
    }

    #[test]
    fn name_servers_are_at_most_three() {
        assert_eq!(
            connection().resolv_conf(),
            "search example.org\nnameserver 192.0.2.3\nnameserver 192.0.2.3\nnameserver 192.0.2.3\noptions timeout:3 attempts:2\n"
        );
    }

    #[test]
    fn the_file_of_the_card_has_what_ipconfig_writes() {
        let text = connection().klibc_conf();
        for line in [
            "DEVICE='eth0'",
            "PROTO='dhcp'",
            "IPV4ADDR='192.0.2.7'",
            "IPV4BROADCAST='192.0.2.255'",
            "IPV4NETMASK='255.255.255.0'",
            "IPV4GATEWAY='192.0.2.1'",
            "HOSTNAME=''",
            "DNSDOMAIN='example.org'",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
        let mut fixed = connection();
        fixed.server = None;
        fixed.prefix_len = 32;
        fixed.routes.clear();
        let text = fixed.klibc_conf();
        assert!(text.contains("PROTO='none'\n") && text.contains("IPV4NETMASK='255.255.255.255'"));
        assert!(text.contains("IPV4GATEWAY='0.0.0.0'") && text.contains("ROOTSERVER='0.0.0.0'"));
    }
}
