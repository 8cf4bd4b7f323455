//! A real web server on a real server: nginx with a configuration and a directory of its own, in the foreground.

use crate::netns::Netns;
use crate::process::Running;
use crate::wait::eventually;
use anyhow::{Context as _, Result};
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// The port that it serves.
pub const PORT: u16 = 80;
/// Another one, for port mapping.
pub const OTHER_PORT: u16 = 8080;

/// A web server that runs until it is dropped. `/` answers its name; `/files/` serves the laboratory's directory `files`,
/// `/slow/` the same at 4 MB/s.
#[derive(Debug)]
pub struct Http {
    ns: Netns,
    process: Running,
}

impl Http {
    /// Starts it; `dir` is the laboratory's directory.
    pub fn start(ns: &Netns, name: &str, dir: &Path) -> Result<Self> {
        Self::with_page(ns, name, dir, name)
    }

    /// The same with this page instead of its name at `/`; the header `X-Server` has the name.
    pub fn with_page(ns: &Netns, name: &str, dir: &Path, page: &str) -> Result<Self> {
        let own = dir.join(name);
        let files = dir.join("files");
        for dir in [&own, &files] {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let config = own.join("nginx.conf");
        fs::write(&config, configuration(name, page, &own, &files))?;
        let command = ns.command("nginx").args("-e stderr -p").arg(&own).arg("-c").arg(&config);
        let process = command.serve(&own.join("log")).context("the laboratory needs nginx (package nginx-light)")?;
        Ok(Self { ns: ns.clone(), process })
    }

    /// Waits until it accepts connections.
    pub fn ready(&self) -> Result<()> {
        eventually(Duration::from_secs(10), || {
            self.ns.enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)))??;
            Ok(())
        })
        .with_context(|| format!("nginx does not listen in {}", self.ns.name()))
    }

    /// Lets it run on for ever.
    pub(crate) fn detach(self) {
        self.process.detach();
    }
}

fn configuration(name: &str, page: &str, own: &Path, files: &Path) -> String {
    let (own, files) = (own.display(), files.display());
    format!(
        "daemon off; master_process off; pid {own}/pid; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; error_log stderr warn; sendfile on; default_type application/octet-stream;
  client_body_temp_path {own}/body; proxy_temp_path {own}/proxy; fastcgi_temp_path {own}/fastcgi;
  uwsgi_temp_path {own}/uwsgi; scgi_temp_path {own}/scgi;
  server {{
    listen {PORT} backlog=4096; listen {OTHER_PORT} backlog=4096;
    listen [::]:{PORT} backlog=4096; listen [::]:{OTHER_PORT} backlog=4096;
    location / {{ default_type text/plain; add_header X-Server {name}; return 200 \"{page}\\n\"; }}
    location /files/ {{ alias {files}/; }}
    location /slow/ {{ alias {files}/; limit_rate 4m; }}
  }}
}}
"
    )
}
