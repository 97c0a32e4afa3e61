//! The parts of nftables' messages that are long to write.

use netlink_bindings::nftables::{
    self, CmpOps, MetaKeys, Nfgenmsg, PayloadBase, PushSetelemListElemAttrs, Registers, SetElemFlags,
    VerdictCode,
};
use netlink_bindings::traits::Pusher;
use picket_common::action::Network;
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

pub(super) const TABLE: &CStr = c"picket";
pub(super) const CHAIN: &CStr = c"prerouting";
pub(super) const RAW: i32 = -300;
pub(super) const PREROUTING: u32 = 0;
pub(super) const INET: u8 = 1;
/// The types that `nft` shows as `ipv4_addr` and `ipv6_addr`.
pub(super) const KEY_TYPES: [u32; 2] = [7, 8];
/// A set's name, the family as nftables counts it, where the source address is in the packet's header, how long it is.
pub(super) struct Set {
    pub(super) name: &'static CStr,
    family: u8,
    offset: u32,
    pub(super) length: u32,
    pub(super) networks: bool,
}

pub(super) const SETS: [Set; 4] = [
    set(c"v4", false, false),
    set(c"v4net", false, true),
    set(c"v6", true, false),
    set(c"v6net", true, true),
];

const fn set(name: &'static CStr, v6: bool, networks: bool) -> Set {
    let (family, offset, length) = if v6 { (10, 8, 16) } else { (2, 12, 4) };
    Set {
        name,
        family,
        offset,
        length,
        networks,
    }
}

impl Set {
    pub(super) fn holds(&self, network: &Network) -> bool {
        (network.address().is_ipv4() == (self.length == 4)) && network.is_single() != self.networks
    }
}

pub(super) fn header() -> Nfgenmsg {
    Nfgenmsg {
        nfgen_family: INET,
        ..Default::default()
    }
}

/// `meta nfproto …; … saddr @set counter drop`
pub(super) fn rule(batch: &mut nftables::Chained<'static>, set: &Set) {
    batch
        .request()
        .set_create()
        .set_append()
        .op_newrule_do(&header())
        .encode()
        .push_table(TABLE)
        .push_chain(CHAIN)
        .nested_expressions()
        .nested_elem()
        .nested_data_meta()
        .push_dreg(Registers::Reg1 as u32)
        .push_key(MetaKeys::Nfproto as u32)
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_cmp()
        .push_sreg(Registers::Reg1 as u32)
        .push_op(CmpOps::Eq as u32)
        .nested_data()
        .push_value(&[set.family])
        .end_nested()
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_payload()
        .push_dreg(Registers::Reg1 as u32)
        .push_base(PayloadBase::NetworkHeader as u32)
        .push_offset(set.offset)
        .push_len(set.length)
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_lookup()
        .push_set(set.name)
        // This binding numbers the attributes of a lookup in another order than the kernel: where the kernel reads the source
        // register (2), it has the set's id.
        .push_set_id(Registers::Reg1 as u32)
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_counter()
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_immediate()
        .push_dreg(Registers::RegVerdict as u32)
        .nested_data()
        .nested_verdict()
        .push_code(VerdictCode::Drop as u32)
        .end_nested()
        .end_nested()
        .end_nested()
        .end_nested()
        .end_nested();
}

/// A request that changes elements of a set.
pub(super) trait ElementsRequest {
    fn push(self, set: &Set, wanted: impl Iterator<Item = (Network, Option<Duration>)>);
}

macro_rules! elements_request {
    ($($type:ident),*) => {$(
        impl ElementsRequest for nftables::$type<'_> {
            fn push(mut self, set: &Set, wanted: impl Iterator<Item = (Network, Option<Duration>)>) {
                let list = self.encode().push_table(TABLE).push_set(set.name).nested_elements();
                push_all(list, set, wanted);
            }
        }
    )*};
}

elements_request!(OpNewsetelemDo, OpDelsetelemDo);

pub(super) fn elements(
    request: impl ElementsRequest,
    set: &Set,
    wanted: impl Iterator<Item = (Network, Option<Duration>)>,
) {
    request.push(set, wanted);
}

fn push_all<P: Pusher>(
    mut list: PushSetelemListElemAttrs<P>,
    set: &Set,
    wanted: impl Iterator<Item = (Network, Option<Duration>)>,
) {
    for (network, ttl) in wanted {
        let mut element = list
            .nested_elem()
            .nested_key()
            .push_value(&bytes(network.address()))
            .end_nested();
        if let Some(ttl) = ttl {
            let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
            // The kernel wants it big-endian, which this binding does not know.
            element = element.push_timeout(millis.to_be());
        }
        list = element.end_nested();
        if set.networks
            && let Some(end) = after(&network)
        {
            let flags = (SetElemFlags::IntervalEnd as u32).to_be_bytes();
            list = list
                .nested_elem()
                .nested_key()
                .push_value(&bytes(end))
                .end_nested()
                .push_flags(&flags)
                .end_nested();
        }
    }
}

/// The first address past a network; `None` when it reaches to the end of the space.
fn after(network: &Network) -> Option<IpAddr> {
    match network.address() {
        IpAddr::V4(first) => {
            let size = 1_u32.checked_shl(32 - u32::from(network.prefix()))?;
            first
                .to_bits()
                .checked_add(size)
                .map(|bits| IpAddr::V4(bits.into()))
        }
        IpAddr::V6(first) => {
            let size = 1_u128.checked_shl(128 - u32::from(network.prefix()))?;
            first
                .to_bits()
                .checked_add(size)
                .map(|bits| IpAddr::V6(bits.into()))
        }
    }
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// Whether an element's flags say that it is the first one past a network.
pub(super) fn is_end(flags: &[u8]) -> bool {
    <[u8; 4]>::try_from(flags)
        .is_ok_and(|flags| u32::from_be_bytes(flags) & SetElemFlags::IntervalEnd as u32 != 0)
}

/// The networks between first addresses and those past the last ones.
pub(super) fn networks(edges: Vec<(IpAddr, bool)>) -> Vec<Network> {
    let (ends, firsts): (Vec<_>, Vec<_>) = edges.into_iter().partition(|(_, ends)| *ends);
    let ends: BTreeSet<IpAddr> = ends.into_iter().map(|(end, _)| end).collect();
    let network = |(first, _): (IpAddr, bool)| {
        let end = ends.range((Bound::Excluded(first), Bound::Unbounded)).next();
        let end = end.filter(|end| end.is_ipv4() == first.is_ipv4()).copied();
        let bits = if first.is_ipv4() { 32 } else { 128 };
        (0..=bits).find_map(|prefix| {
            Network::new(first, prefix).filter(|network| network.address() == first && after(network) == end)
        })
    };
    firsts.into_iter().filter_map(network).collect()
}
