//! Where Prometheus finds the workers, the rules and Alertmanager.

/// The port of a worker's operations server, by default.
pub const OPS_PORT: u16 = 9464;

/// Returns the configuration of Prometheus, YAML.
#[must_use]
pub fn scrape() -> String {
    format!(
        "\
# Generated from schemas/src/prometheus; a test keeps it so. Addresses of workers on other machines belong
# into targets/*.json, not here.
global:
  scrape_interval: 15s
  evaluation_interval: 15s
  external_labels:
    # Where the alarm articles (docs/operations) are read; alerts link them.
    runbook_base: http://127.0.0.1:8081

rule_files:
  - alerts.yml

alerting:
  alertmanagers:
    - static_configs:
        - targets: ['127.0.0.1:9093']

scrape_configs:
  - job_name: ivs-processor
    static_configs:
      - targets: ['127.0.0.1:{OPS_PORT}']
    file_sd_configs:
      - files: ['targets/*.json']
"
    )
}
