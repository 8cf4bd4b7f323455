//! The format of `/etc/services`: `name port/protocol alias… # comment`. Of several entries that fit, the first counts.

/// Names of well-known ports.
#[derive(Debug, Default, Clone)]
pub struct Services {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// The official name, then the aliases.
    names: Vec<String>,
    port: u16,
    proto: u8,
}

impl Services {
    /// Reads the file's text; lines that are not entries of TCP, UDP or SCTP are skipped.
    pub fn parse(text: &str) -> Self {
        Self { entries: text.lines().filter_map(Entry::parse).collect() }
    }

    /// The port of the service with this name or alias.
    pub fn port(&self, name: &str, proto: u8) -> Option<u16> {
        let known = |entry: &&Entry| entry.proto == proto && entry.names.iter().any(|known| known == name);
        self.entries.iter().find(known).map(|entry| entry.port)
    }

    /// The official name of a port.
    pub fn name(&self, port: u16, proto: u8) -> Option<&str> {
        let known = self.entries.iter().find(|entry| entry.proto == proto && entry.port == port)?;
        known.names.first().map(String::as_str)
    }
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split('#').next()?.split_whitespace();
        let (name, port) = (words.next()?, words.next()?);
        let (port, proto) = port.split_once('/')?;
        let proto = match proto {
            "tcp" => 6,
            "udp" => 17,
            "sctp" => 132,
            _ => return None,
        };
        let names = std::iter::once(name).chain(words).map(str::to_owned).collect();
        Some(Self { names, port: port.parse().ok()?, proto })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_aliases_and_protocols() {
        let services = Services::parse("# c\nhttp\t80/tcp\twww # web\nhttp 8080/tcp\nbroken\ndomain 53/udp\nx 1/ddp\n");
        assert_eq!(services.port("www", 6), Some(80));
        assert_eq!(services.port("http", 6), Some(80));
        assert_eq!(services.port("http", 17), None);
        assert_eq!(services.name(53, 17), Some("domain"));
        assert_eq!(services.name(53, 6), None);
    }
}
