//! The one call that the standard library lacks: the name of an address, by `getnameinfo`.
#![allow(unsafe_code)] // reason: libc's reverse resolver has no safe wrapper.

use std::ffi::CStr;
use std::mem::size_of;
use std::net::IpAddr;

/// Long enough for every name of the DNS (`NI_MAXHOST`).
const MAX_HOST: usize = 1025;

/// The name of the host with this address, if one is known.
pub(super) fn host_name(addr: IpAddr) -> Option<String> {
    match addr {
        IpAddr::V4(v4) => {
            let socket = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: 0,
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.octets()) },
                sin_zero: [0; 8],
            };
            look_up(&socket)
        }
        IpAddr::V6(v6) => {
            let socket = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: v6.octets() },
                sin6_scope_id: 0,
            };
            look_up(&socket)
        }
    }
}

/// A socket address as the system's functions take it.
trait SocketAddress {}

impl SocketAddress for libc::sockaddr_in {}
impl SocketAddress for libc::sockaddr_in6 {}

fn look_up<S: SocketAddress>(socket: &S) -> Option<String> {
    let mut name = [0u8; MAX_HOST];
    // SAFETY: `socket` is a whole socket address of the size given (the trait is implemented for such only), `name` is
    // writable for the length given, and no service name is asked for (null, 0).
    let status = unsafe {
        libc::getnameinfo(
            std::ptr::from_ref(socket).cast(),
            size_of::<S>() as libc::socklen_t,
            name.as_mut_ptr().cast(),
            name.len() as libc::socklen_t,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    if status != 0 {
        return None;
    }
    CStr::from_bytes_until_nul(&name).ok()?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_documentation_has_no_name() {
        assert_eq!(host_name("0.0.0.1".parse().unwrap()), None);
    }

    #[test]
    fn loopback_has_the_name_of_the_hosts_file() {
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        let line = hosts.lines().find(|line| line.split_whitespace().next() == Some("127.0.0.1"));
        let expected = line.and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned);
        assert_eq!(host_name("127.0.0.1".parse().unwrap()), expected);
    }
}
