//! Prints every record of a stream, on as many machines as run it:
//! `cargo run -p kinesis-fleet --example consume -- STREAM` (`AWS_ENDPOINT_URL` for a local one).

use std::{convert::Infallible, env, error::Error, time::Duration};

use aws_smithy_http_client::{Builder, tls};
use kinesis_fleet::{FleetConfig, ReaderSettings, consume};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let stream = env::args().nth(1).ok_or("usage: consume STREAM")?;
    let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let http = Builder::new().tls_provider(ring).build_https();
    let aws = aws_config::from_env().http_client(http).load().await;
    let clients = (aws_sdk_kinesis::Client::new(&aws), aws_sdk_dynamodb::Client::new(&aws));
    let config = FleetConfig { table: "consume".into(), stream, ..FleetConfig::default() };
    let stop = async {
        // Without a signal handler there is no way to stop but to be killed, which is safe too.
        drop(tokio::signal::ctrl_c().await);
    };
    let print = |shard, records: Vec<kinesis_fleet::Record>| async move {
        for record in records {
            println!("{shard} {}: {} bytes", record.sequence, record.data.len());
        }
        Ok::<(), Infallible>(())
    };
    let settings = ReaderSettings::default();
    consume(config, settings, clients, stop, Duration::from_secs(10), print).await?;
    Ok(())
}
