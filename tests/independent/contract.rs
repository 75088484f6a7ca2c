//! The contract's cases, asked of both emulators.

use ivs_processor::cloud::clients;
use ivs_processor::config::Config;

use crate::emulators::Emulator;
use crate::process::state;
use crate::suite::differences::Emulator as Asked;
use crate::suite::{Service, World, judge};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_independent_emulators_differ_from_aws_only_as_listed() {
    let dir = state();
    let (kinesis, ministack) = (Emulator::kinesis_local(), Emulator::ministack(dir.path()));
    let mut config = Config::default();
    config.aws.endpoint_url = ministack.url.clone();
    config.aws.kinesis_endpoint_url = kinesis.url.clone();
    let world = World::new(clients(&config.aws).await).await;
    let asked = |service| match service {
        Service::Kinesis => Some(Asked::KinesisLocal),
        Service::Other => Some(Asked::Ministack),
        Service::Ivs => None,
    };
    let wrong = judge(&world, asked).await;
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}
