//! Which addresses the server may connect to: who can make it call a URL must
//! not reach what only this machine or its network can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everybody can reach it.
    Public,
    /// This machine.
    Loopback,
    /// This machine's network (RFC 1918, RFC 4193, RFC 6598, RFC 2544).
    Private,
    /// No server of anybody's, or one that must not be asked for strangers:
    /// link-local, multicast, reserved, for documentation, cloud metadata.
    Never,
}

/// Where clouds tell a machine its credentials, beside the link-local address
/// that most use.
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Reach {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// The registry of RFC 6890, as IANA keeps it.
    fn of_v4(address: Ipv4Addr) -> Self {
        if METADATA_V4.contains(&address) {
            return Self::Never;
        }
        match address.octets() {
            [127, ..] => Self::Loopback,
            [10, ..]
            | [192, 168, ..]
            | [172, 16..=31, ..]
            | [100, 64..=127, ..]
            | [198, 18..=19, ..] => Self::Private,
            [0 | 224..=255, ..]
            | [169, 254, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _] => Self::Never,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address == Ipv6Addr::LOCALHOST {
            return Self::Loopback;
        }
        if address == METADATA_V6 {
            return Self::Never;
        }
        let [first, second, third, ..] = address.segments();
        let bits = address.to_bits();
        let embedded = |shift: u32| {
            let low = (bits >> shift) & u128::from(u32::MAX);
            Self::of_v4(Ipv4Addr::from_bits(u32::try_from(low).unwrap_or_default()))
        };
        match (first, second) {
            // IPv4-mapped: the system connects to the IPv4 address.
            (0, 0) if bits >> 32 == 0xffff => embedded(0),
            // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to IPv4, too: the
            // translator's loopback and network are not for us.
            (0x64, 0xff9b) if bits << 32 >> 64 == 0 => embedded(0).if_public(),
            (0x2002, _) => embedded(80).if_public(),
            // NAT64 for local use (RFC 8215).
            (0x64, 0xff9b) if third == 1 => Self::Private,
            // Unique local, and what was site-local.
            (0xfc00..=0xfdff | 0xfec0..=0xfeff, _) => Self::Private,
            // Teredo, ORCHID and other things that are no servers; documentation.
            (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => Self::Never,
            // All else that is unicast and public.
            (0x2000..=0x3fff, _) => Self::Public,
            _ => Self::Never,
        }
    }

    fn if_public(self) -> Self {
        if self == Self::Public { self } else { Self::Never }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_reach() {
        let all = [
            (
                Reach::Public,
                "1.1.1.1 8.8.8.8 172.15.0.1 172.32.0.1 100.63.255.255 100.128.0.0 \
              192.167.1.1 198.17.0.1 223.255.255.255 2606:4700::1111 2a00::1 ::ffff:8.8.8.8 \
              64:ff9b::808:808 2002:808:808::1 2001:200::1 3fff:1000::1",
            ),
            (Reach::Loopback, "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1"),
            (
                Reach::Private,
                "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 \
              100.127.255.255 198.18.0.1 fc00::1 fd12:3456::1 fec0::1 ::ffff:10.0.0.1 \
              64:ff9b:1::1",
            ),
            (
                Reach::Never,
                "0.0.0.0 0.1.2.3 169.254.169.254 192.0.0.1 192.0.2.1 192.88.99.1 \
              198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 \
              100.100.100.200 168.63.129.16 :: fe80::1 ff02::1 fd00:ec2::254 2001:db8::1 \
              2001::1 2001:10::1 3fff::1 100::1 5f00::1 ::127.0.0.1 ::8.8.8.8 64:ff9b::7f00:1 \
              64:ff9b::a00:1 2002:7f00:1::1 2002:c0a8:101::1 ::ffff:169.254.169.254 \
              ::ffff:0:8.8.8.8 4000::1",
            ),
        ];
        for (reach, addresses) in all {
            for address in addresses.split_whitespace() {
                let parsed = address.parse().unwrap_or_else(|_| panic!("{address}"));
                assert_eq!(Reach::of(parsed), reach, "{address}");
            }
        }
    }
}
