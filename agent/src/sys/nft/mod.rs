//! Our own table in nftables, spoken to over netlink: sets of addresses and networks whose packets are dropped.
//!
//! ```text
//! table inet picket {
//!     set v4 { type ipv4_addr; flags timeout }         set v4net { type ipv4_addr; flags interval,timeout }
//!     set v6 { type ipv6_addr; flags timeout }         set v6net { type ipv6_addr; flags interval,timeout }
//!     chain prerouting { type filter hook prerouting priority raw; ip saddr @v4 counter drop; … }
//! }
//! ```
//! Single addresses have hash sets, where a block costs the same however many there are; only networks need intervals. In
//! `prerouting`, before connections are tracked, local, forwarded and established traffic are all cut.

mod message;

use message::{CHAIN, KEY_TYPES, PREROUTING, RAW, SETS, TABLE, address, elements, header, is_end, rule};
use netlink_bindings::nftables::{self, Nfgenmsg, SetFlags};
use netlink_socket2::{NetlinkSocket, ReplyError};
use picket_common::action::Network;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// How many elements one message holds.
const TOGETHER: usize = 500;
/// How many networks can be exchanged in one transaction, which has to fit into the socket's buffer.
pub const AT_ONCE: usize = 1000;
/// The time of what is put in only to be taken out in the same transaction.
const PASSING: Duration = Duration::from_secs(60);

/// nftables will not do it.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// The kernel has no nftables.
    #[error("this kernel has no nftables")]
    Missing,
    /// The right to change the firewall is missing.
    #[error("changing the firewall is not permitted: the agent needs root, or CAP_NET_ADMIN")]
    Forbidden,
    /// Something else.
    #[error("nftables: {0}")]
    Other(io::Error),
}

impl From<ReplyError> for NftError {
    fn from(error: ReplyError) -> Self {
        match error
            .as_io_error()
            .raw_os_error()
            .map(nix::errno::Errno::from_raw)
        {
            Some(nix::errno::Errno::EPERM | nix::errno::Errno::EACCES) => Self::Forbidden,
            Some(
                nix::errno::Errno::EPROTONOSUPPORT
                | nix::errno::Errno::EOPNOTSUPP
                | nix::errno::Errno::EAFNOSUPPORT,
            ) => Self::Missing,
            _ => Self::Other(io::Error::new(error.as_io_error().kind(), error.to_string())),
        }
    }
}

impl NftError {
    /// Whether it is not there: the element, the set or the whole table.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Other(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the element is there already.
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Other(error) if error.kind() == io::ErrorKind::AlreadyExists)
    }
}

/// A connection to nftables.
pub struct Nft {
    socket: NetlinkSocket,
    /// How many transactions the kernel has taken.
    committed: u32,
}

impl Nft {
    /// Opens the connection and makes the table.
    pub fn open() -> Result<Self, NftError> {
        let mut nft = Self::connect();
        nft.create()?;
        Ok(nft)
    }

    /// A connection alone, with which nothing is made.
    pub fn connect() -> Self {
        Self {
            socket: NetlinkSocket::new(),
            committed: 0,
        }
    }

    /// Makes whatever of the table is missing, and its rules anew. Elements stay.
    pub fn create(&mut self) -> Result<(), NftError> {
        self.commit(table)
    }

    /// The same, and drops these networks and no others, all in one transaction: what is dropped before and after is at no
    /// moment let in. Single addresses are left alone. Up to [`AT_ONCE`] are sure to have room.
    pub fn create_with(&mut self, networks: &[(Network, Option<Duration>)]) -> Result<(), NftError> {
        self.commit(|batch| {
            table(batch);
            for set in SETS.iter().filter(|set| set.networks) {
                batch
                    .request()
                    .op_delsetelem_do(&header())
                    .encode()
                    .push_table(TABLE)
                    .push_set(set.name);
            }
            for networks in networks.chunks(TOGETHER) {
                put(batch, networks, true);
            }
        })
    }

    /// Removes the table with all that is in it.
    pub fn remove() -> Result<(), NftError> {
        Self::connect().commit(|batch| {
            batch
                .request()
                .op_deltable_do(&header())
                .encode()
                .push_name(TABLE);
        })
    }

    /// Drops what comes from each network from now on, for as long as it says (`None`: until removed). One that is dropped
    /// already is an error, as it would keep its time: see [`NftError::is_present`].
    ///
    /// A transaction that fails costs a thousand times one that does not: the kernel waits for all its processors.
    pub fn add(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), NftError> {
        for wanted in wanted.chunks(TOGETHER) {
            self.commit(|batch| put(batch, wanted, true))?;
        }
        Ok(())
    }

    /// Drops what is wanted in the place of what is not, in one transaction: what lies in both is at no moment let in. What is
    /// not wanted need not be there; of it, as of what is wanted, [`AT_ONCE`] are sure to have room.
    pub fn exchange(
        &mut self,
        unwanted: &[Network],
        wanted: &[(Network, Option<Duration>)],
    ) -> Result<(), NftError> {
        // Should the time of one be over meanwhile, its removal would fail and all else with it: so it is put in first.
        let unwanted: Vec<_> = unwanted.iter().map(|network| (*network, Some(PASSING))).collect();
        self.commit(|batch| {
            for unwanted in unwanted.chunks(TOGETHER) {
                put(batch, unwanted, false);
                take(batch, unwanted);
            }
            for wanted in wanted.chunks(TOGETHER) {
                put(batch, wanted, true);
            }
        })
    }

    /// All single addresses that are dropped now.
    pub fn addresses(&mut self) -> Result<Vec<IpAddr>, NftError> {
        let edges = self.elements(false)?;
        Ok(edges.into_iter().map(|(address, _)| address).collect())
    }

    /// All networks that are dropped now. A range of somebody else's that is no network is none.
    pub fn networks(&mut self) -> Result<Vec<Network>, NftError> {
        let edges = self.elements(true)?;
        Ok(message::networks(edges))
    }

    /// What the sets of addresses or of networks hold: each address, and whether it is the first one past a network.
    fn elements(&mut self, networks: bool) -> Result<Vec<(IpAddr, bool)>, NftError> {
        let mut found = Vec::new();
        for set in SETS.iter().filter(|set| set.networks == networks) {
            let mut request = nftables::Request::new().op_getsetelem_dump(&header());
            request.encode().push_table(TABLE).push_set(set.name);
            let mut replies = self
                .socket
                .request(&request)
                .map_err(|error| NftError::from(ReplyError::from(error)))?;
            while let Some(reply) = replies.recv() {
                let (_, attributes) = reply?;
                let Ok(elements) = attributes.get_elements() else {
                    continue;
                };
                for element in elements.flatten() {
                    let nftables::SetelemListElemAttrs::Elem(element) = element;
                    if let Ok(key) = element.get_key()
                        && let Ok(bytes) = key.get_value()
                    {
                        let ends = element.get_flags().is_ok_and(is_end);
                        found.extend(address(bytes).map(|address| (address, ends)));
                    }
                }
            }
        }
        Ok(found)
    }

    /// How many transactions of this connection the kernel has taken: each is a generation, as none is empty.
    pub fn committed(&self) -> u32 {
        self.committed
    }

    /// All tables of everybody, each as `nft list tables` names it: `inet picket`.
    pub fn tables(&mut self) -> Result<Vec<String>, NftError> {
        // No family in particular.
        let request = nftables::Request::new().op_gettable_dump(&Nfgenmsg::new());
        let mut replies = self
            .socket
            .request(&request)
            .map_err(|error| NftError::from(ReplyError::from(error)))?;
        let mut found = Vec::new();
        while let Some(reply) = replies.recv() {
            let (header, attributes) = reply?;
            if let Ok(name) = attributes.get_name() {
                let family = match header.nfgen_family {
                    1 => "inet",
                    2 => "ip",
                    3 => "arp",
                    5 => "netdev",
                    7 => "bridge",
                    10 => "ip6",
                    _ => "?",
                };
                found.push(format!("{family} {}", name.to_string_lossy()));
            }
        }
        Ok(found)
    }

    /// A number that changes with every change to the firewall, by whomever.
    pub fn generation(&mut self) -> Result<u32, NftError> {
        let request = nftables::Request::new().op_getgen_do(&Nfgenmsg::new());
        let mut reply = self
            .socket
            .request(&request)
            .map_err(|error| NftError::from(ReplyError::from(error)))?;
        let (_, attributes) = reply.recv_one()?;
        attributes
            .get_id()
            .map_err(|error| ReplyError::from(error).into())
    }

    /// All or nothing.
    fn commit(&mut self, fill: impl FnOnce(&mut nftables::Chained<'static>)) -> Result<(), NftError> {
        let mut batch = nftables::Chained::new(self.socket.reserve_seq(64));
        let mut edge = Nfgenmsg::new();
        edge.set_res_id(10);
        batch.request().op_batch_begin_do(&edge);
        fill(&mut batch);
        batch.request().op_batch_end_do(&edge);
        let batch = batch.finalize();
        self.socket
            .request_chained(&batch)
            .map_err(|error| NftError::from(ReplyError::from(error)))?
            .recv_all()?;
        self.committed = self.committed.wrapping_add(1);
        Ok(())
    }
}

fn table(batch: &mut nftables::Chained<'static>) {
    batch
        .request()
        .set_create()
        .op_newtable_do(&header())
        .encode()
        .push_name(TABLE);
    batch
        .request()
        .set_create()
        .op_newchain_do(&header())
        .encode()
        .push_table(TABLE)
        .push_name(CHAIN)
        .nested_hook()
        .push_num(PREROUTING)
        .push_priority(RAW)
        .end_nested()
        .push_type(c"filter");
    // Making a rule is not idempotent, so all are made anew; packets see the table before or after, never between.
    batch
        .request()
        .op_delrule_do(&header())
        .encode()
        .push_table(TABLE)
        .push_chain(CHAIN);
    for (id, set) in (1..).zip(&SETS) {
        let flags = SetFlags::Timeout as u32
            | if set.networks {
                SetFlags::Interval as u32
            } else {
                0
            };
        batch
            .request()
            .set_create()
            .op_newset_do(&header())
            .encode()
            .push_table(TABLE)
            .push_name(set.name)
            .push_flags(flags)
            .push_key_type(if set.length == 4 {
                KEY_TYPES[0]
            } else {
                KEY_TYPES[1]
            })
            .push_key_len(set.length)
            .push_id(id);
        rule(batch, set);
    }
}

/// With `fresh`, one that is there already is an error.
fn put(batch: &mut nftables::Chained<'static>, wanted: &[(Network, Option<Duration>)], fresh: bool) {
    for set in &SETS {
        let mut of_set = wanted.iter().filter(|(network, _)| set.holds(network)).peekable();
        if of_set.peek().is_some() {
            let request = batch.request().set_create();
            let request = if fresh { request.set_excl() } else { request };
            let request = request.op_newsetelem_do(&header());
            elements(request, set, of_set.copied());
        }
    }
}

fn take(batch: &mut nftables::Chained<'static>, unwanted: &[(Network, Option<Duration>)]) {
    for set in &SETS {
        let mut of_set = unwanted
            .iter()
            .filter(|(network, _)| set.holds(network))
            .peekable();
        if of_set.peek().is_some() {
            let request = batch.request().op_delsetelem_do(&header());
            elements(request, set, of_set.map(|(network, _)| (*network, None)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::process::Command;

    /// What `nft` prints, in the test's own network namespace.
    fn nft(arguments: &[&str]) -> String {
        let output = Command::new("nft").args(arguments).output().expect("nft starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn blocks_are_what_nft_says_they_are() {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            println!("skipped: no network namespace of its own: {error}");
            return;
        }
        nft(&["add", "table", "inet", "foreign"]);
        let mut firewall = Nft::open().unwrap();
        let network = |text: &str| text.parse::<Network>().unwrap();
        let hour = Some(Duration::from_secs(3600));
        let all = [
            (network("198.51.100.9"), hour),
            (network("203.0.113.0/25"), hour),
            (network("2001:db8::9"), None),
            (network("2001:db8:1:2::/64"), hour),
        ];
        firewall.add(&all).unwrap();
        let listed = nft(&["list", "table", "inet", "picket"]);
        for text in [
            "198.51.100.9 timeout 1h",
            "203.0.113.0/25 timeout 1h",
            "2001:db8::9",
            "2001:db8:1:2::/64 timeout 1h",
            "priority raw",
            "ip saddr @v4 counter",
            "ip6 saddr @v6net counter",
        ] {
            assert!(listed.contains(text), "'{text}' is not in {listed}");
        }
        assert_eq!(firewall.addresses().unwrap().len(), 2);

        // Making it again changes nothing.
        firewall.create().unwrap();
        assert_eq!(
            nft(&["list", "table", "inet", "picket"]).matches("drop").count(),
            4
        );

        let longer = all.map(|(network, _)| (network, Some(Duration::from_secs(7200))));
        for wanted in &longer {
            assert!(firewall.add(&[*wanted]).unwrap_err().is_present());
        }
        let known = all.map(|(network, _)| network);
        firewall.exchange(&known, &longer).unwrap();
        let listed = nft(&["list", "table", "inet", "picket"]);
        assert_eq!(listed.matches("timeout 2h").count(), 4, "{listed}");
        firewall.exchange(&known, &all).unwrap();

        let before = firewall.generation().unwrap();
        firewall.exchange(&known, &[]).unwrap();
        assert_ne!(firewall.generation().unwrap(), before);
        assert!(!nft(&["list", "table", "inet", "picket"]).contains("timeout 1h"));
        // What is not there need not be, also among what is.
        firewall.add(&all[..2]).unwrap();
        firewall.exchange(&known, &[]).unwrap();
        assert!(!nft(&["list", "table", "inet", "picket"]).contains("timeout 1"));
        firewall.add(&all).unwrap();
        firewall.create_with(&[]).unwrap();
        assert_eq!(firewall.networks().unwrap(), []);
        assert_eq!(firewall.addresses().unwrap().len(), 2);

        let many: Vec<_> = (0..2500_u32)
            .map(|at| (Network::single(IpAddr::V4((0x0a00_0000 + at).into())), hour))
            .collect();
        firewall.add(&many).unwrap();
        assert_eq!(firewall.addresses().unwrap().len(), 2502);

        nft(&["flush", "ruleset"]);
        assert!(firewall.add(&all).unwrap_err().is_absent());
        firewall.create().unwrap();
        firewall.add(&all).unwrap();
        nft(&["add", "table", "inet", "foreign"]);
        nft(&["add", "table", "ip6", "other"]);
        assert_eq!(
            firewall.tables().unwrap(),
            ["inet picket", "inet foreign", "ip6 other"]
        );
        nft(&["delete", "table", "ip6", "other"]);
        Nft::remove().unwrap();
        assert_eq!(nft(&["list", "ruleset"]), "table inet foreign {\n}\n");
    }
}
