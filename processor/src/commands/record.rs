//! `record`.

use crate::aws;
use crate::config::Config;
use crate::record::Handler;

/// Serves Lambda.
///
/// # Errors
/// Outside Lambda.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let clients = aws::clients(&config.aws).await;
    Handler::new(&clients.kinesis, &config.stream.name).serve().await
}
