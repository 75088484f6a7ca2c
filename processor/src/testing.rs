//! An embedded AWS for the tests of this crate.

use std::net::{Ipv4Addr, SocketAddr};

use ivs_emulator::{Endpoint, State};

use crate::cloud;
use crate::cloud::Clients;
use crate::commands::local::setup;
use crate::config::Config;

/// An endpoint in memory with everything created, a stream of one shard included.
pub(crate) struct Embedded {
    pub(crate) endpoint: Endpoint,
    pub(crate) config: Config,
    pub(crate) clients: Clients,
}

impl Embedded {
    pub(crate) async fn start() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let local = ivs_emulator::Config {
            listen,
            state: State::Memory,
            ..ivs_emulator::Config::default()
        };
        let endpoint = Endpoint::start(local).await.unwrap();
        let mut config = Config::default();
        config.aws.endpoint_url = endpoint.url().to_owned();
        config.aws.dynamodb_endpoint_url = endpoint.dynamodb_url().to_owned();
        let clients = cloud::clients(&config.aws).await;
        setup::create(&clients, &config, 1).await.unwrap();
        Self { endpoint, config, clients }
    }
}
