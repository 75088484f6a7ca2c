//! Where a worker tells of itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The operations server: `/metrics`, `/healthz`, `/readyz`, `/status`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ops {
    /// Address and port; port 0 takes any free one, empty turns the server off.
    pub listen: String,
    /// Whether `listen` may be an address that other machines reach. Nothing there is secret and
    /// nothing can be changed, but nobody is asked who they are either.
    pub allow_remote: bool,
    /// Names by which it may be asked, besides addresses and localhost: a request for any other
    /// name is refused, so that no web page can read it by a name that was made to lead here.
    pub hosts: Vec<String>,
    /// Whether the page is served under `/`: what is live, alarms, the fleet, rejected records. It
    /// asks AWS for figures while somebody looks.
    pub page: bool,
    /// Channels in `/metrics`, those with the most viewers; each is about 20 series. 0 tells of
    /// none.
    pub channels: usize,
}

impl Default for Ops {
    fn default() -> Self {
        let listen = "127.0.0.1:9464".to_owned();
        Self { listen, allow_remote: false, hosts: Vec::new(), page: false, channels: 100 }
    }
}

impl Ops {
    /// Returns where to listen; `None` is nowhere.
    ///
    /// # Errors
    /// When it is not an address, or one that is not allowed.
    pub fn address(&self) -> Result<Option<SocketAddr>, String> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let address: SocketAddr = self
            .listen
            .parse()
            .map_err(|_| format!("ops.listen is `{}`, not an address and a port", self.listen))?;
        if !self.allow_remote && !address.ip().is_loopback() {
            return Err(format!(
                "ops.listen is {address}, which other machines reach; set ops.allow_remote = true \
                 if they should"
            ));
        }
        Ok(Some(address))
    }
}
