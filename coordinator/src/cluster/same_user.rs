//! Whether the other end of a connection within this machine belongs to the user that this process runs as:
//! only then is the cluster's key handed out where no secret is configured.
//!
//! Linux lists the owner of every TCP socket (`proc_pid_net(5)`). Other systems do not tell a program without
//! rights.

use std::net::{IpAddr, SocketAddr};

/// Whose the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This process's user.
    Same,
    /// Somebody else, or nobody that is known.
    Other,
    /// This system does not tell.
    Unknown,
}

/// A connection that is open, as the lists have it.
const ESTABLISHED: &str = "01";

/// Whose the socket at `remote` is that is connected to ours at `local`, both on this machine. Reads files of the
/// system, which do not block but may be long.
pub(super) fn owner_of(remote: SocketAddr, local: SocketAddr) -> Owner {
    if !cfg!(target_os = "linux") {
        return Owner::Unknown;
    }
    let read = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
    let Some(own) = effective_user(&read("/proc/self/status")) else {
        return Owner::Other;
    };
    let listed = ["/proc/net/tcp", "/proc/net/tcp6"];
    let owner = listed
        .iter()
        .find_map(|list| user_of(&read(list), remote, local));
    match owner == Some(own) {
        true => Owner::Same,
        false => Owner::Other,
    }
}

/// The user that a process runs as, from its status.
fn effective_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The owner of the socket with these ends, from a list of sockets.
fn user_of(list: &str, own_end: SocketAddr, other_end: SocketAddr) -> Option<u32> {
    let (own_end, other_end) = (spellings(own_end), spellings(other_end));
    list.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = own_end
            .iter()
            .any(|end| *end == fields.clone().next().unwrap_or_default())
            && other_end
                .iter()
                .any(|end| *end == fields.clone().nth(1).unwrap_or_default())
            && fields.clone().nth(2) == Some(ESTABLISHED);
        // After both ends and the state: two queues, a timer and a counter.
        is_it.then(|| fields.nth(6)?.parse().ok()).flatten()
    })
}

/// How the lists write an end: in words of four bytes in the machine's own order. An IPv4 address may be one of
/// IPv6's.
fn spellings(end: SocketAddr) -> Vec<String> {
    let words = |bytes: &[u8]| -> String {
        let words = bytes.as_chunks::<4>().0.iter();
        words
            .map(|word| format!("{:08X}", u32::from_ne_bytes(*word)))
            .collect()
    };
    let with_port = |address: String| format!("{address}:{:04X}", end.port());
    match end.ip().to_canonical() {
        IpAddr::V4(address) => vec![
            with_port(words(&address.octets())),
            with_port(words(&address.to_ipv6_mapped().octets())),
        ],
        IpAddr::V6(address) => vec![with_port(words(&address.octets()))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const LIST: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F9A 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:C350 0100007F:1F9A 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
   2: 0100007F:C350 0100007F:1F9A 01 00000000:00000000 00:00000000 00000000  1001        0 2 1 0 20 4 30 10 -1
   3: 0100007F:1F9A 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 3 1 0 20 4 30 10 -1
";

    #[cfg(target_endian = "little")]
    #[test]
    fn the_owner_of_the_other_end_is_found() {
        let client: SocketAddr = "127.0.0.1:50000".parse().unwrap();
        let server: SocketAddr = "127.0.0.1:8090".parse().unwrap();
        assert_eq!(user_of(LIST, client, server), Some(1001));
        assert_eq!(user_of(LIST, server, client), Some(1000));
        let other: SocketAddr = "127.0.0.1:50001".parse().unwrap();
        assert_eq!(user_of(LIST, other, server), None);
        assert_eq!(user_of("", client, server), None);
        let mapped: SocketAddr = "[::ffff:127.0.0.1]:50000".parse().unwrap();
        assert_eq!(user_of(LIST, mapped, server), Some(1001));
        assert_eq!(
            spellings("[::1]:1".parse().unwrap()),
            ["00000000000000000000000001000000:0001"]
        );
    }

    #[test]
    fn the_effective_user_counts() {
        let status = "Name:\tskep\nUid:\t1000\t0\t1000\t1000\nGid:\t7\t7\t7\t7\n";
        assert_eq!(effective_user(status), Some(0));
        assert_eq!(effective_user("Name:\tskep\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn ones_own_connection_is_ones_own() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // Not every machine has IPv6.
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, remote) = listener.accept().unwrap();
            let local = server.local_addr().unwrap();
            assert_eq!(owner_of(remote, local), Owner::Same);
            drop(client);
            let nobody = SocketAddr::new(remote.ip(), 1);
            assert_eq!(owner_of(nobody, local), Owner::Other);
        }
    }
}
