//! TLS on a connection: bytes of the wire to bytes of the conversation and back. It knows sockets as something that reads and
//! writes, and decides nothing.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use rvs_checker::Net;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

/// What came of trying to read.
#[derive(Debug)]
pub(crate) enum Heard {
    /// This has happened.
    Net(Net),
    /// Nothing for now.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Secure {
    tls: Box<ClientConnection>,
    /// `h2` must be agreed on.
    h2: bool,
    /// An end without a farewell is a failure.
    compliant: bool,
    shaken: bool,
    /// The peer has ended the connection below.
    ended: bool,
}

impl Secure {
    /// `name`: for the handshake and the certificate; without, it is the address, which is not sent.
    pub(crate) fn new(
        config: Arc<ClientConfig>,
        name: Option<&str>,
        address: IpAddr,
        h2: bool,
        compliant: bool,
    ) -> Result<Self, String> {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` is not a host name"))?,
            None => ServerName::IpAddress(address.into()),
        };
        let mut tls = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
        // What we say is short, and written at once.
        tls.set_buffer_limit(None);
        Ok(Self { tls: Box::new(tls), h2, compliant, shaken: false, ended: false })
    }

    /// Takes what is to be said; [`Secure::flush`] sends it.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        // Without a limit of the buffer this cannot fail.
        let _ = self.tls.writer().write_all(bytes);
    }

    /// Takes leave.
    pub(crate) fn farewell(&mut self) {
        self.tls.send_close_notify();
    }

    /// Sends what is waiting; `Ok(false)`: the socket takes no more for now.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads until something has happened or nothing more is there. `Err`: the socket's error.
    pub(crate) fn hear(&mut self, socket: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<Heard> {
        loop {
            if self.shaken {
                match self.tls.reader().read(buffer) {
                    Ok(0) => return Ok(Heard::Net(Net::Closed)),
                    Ok(count) => return Ok(Heard::Net(Net::Received(buffer[..count].to_vec()))),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // An end without a farewell.
                    Err(_) => return Ok(Heard::Net(self.end())),
                }
            }
            if self.ended {
                return Ok(Heard::Net(self.end()));
            }
            match self.tls.read_tls(socket) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Heard::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if let Err(error) = self.tls.process_new_packets() {
                // The alert that says why; whether it arrives does not matter any more.
                let _ = self.flush(socket);
                return Ok(Heard::Net(Net::Tls(error.to_string())));
            }
            self.flush(socket)?;
            if !self.shaken && !self.tls.is_handshaking() {
                self.shaken = true;
                return Ok(Heard::Net(self.shaken()));
            }
        }
    }

    fn shaken(&self) -> Net {
        if self.h2 && self.tls.alpn_protocol() != Some(b"h2") {
            return Net::Tls("HTTP/2 was not agreed on in the handshake (ALPN)".to_owned());
        }
        Net::Connected
    }

    fn end(&self) -> Net {
        if !self.shaken {
            Net::Tls("connection closed during the handshake".to_owned())
        } else if self.compliant {
            Net::Tls("connection closed without close_notify".to_owned())
        } else {
            Net::Closed
        }
    }
}
