//! The additions of the embedded endpoint to AWS: faults, what IVS is to say, and a look at its deliveries
//! and calls.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// The endpoint's own interface.
pub(crate) struct Admin<'a> {
    host: &'a str,
}

impl<'a> Admin<'a> {
    pub(crate) fn new(url: &'a str) -> Self {
        Self { host: url.strip_prefix("http://").unwrap().trim_end_matches('/') }
    }

    /// Has calls go wrong from now on.
    pub(crate) fn fault(&self, rule: &Value) {
        self.ask("POST /_local/faults", &rule.to_string());
    }

    /// Has no more calls go wrong.
    pub(crate) fn clear_faults(&self) {
        self.ask("DELETE /_local/faults", "");
    }

    /// Returns whether every event that was put has reached its targets.
    pub(crate) fn has_delivered(&self) -> bool {
        let deliveries = self.ask("GET /_local/events", "");
        assert_eq!(deliveries["givenUp"], 0, "deliveries were given up");
        deliveries["waiting"] == 0
    }

    /// Says which stream sessions IVS has from now on.
    pub(crate) fn streams(&self, sessions: &[Value]) {
        let told = serde_json::json!({ "sessions": sessions });
        self.ask("PUT /_local/ivs", &told.to_string());
    }

    /// Returns the actions that were called with an access key, as IAM names them.
    pub(crate) fn calls(&self, access_key: &str) -> BTreeSet<String> {
        let told = self.ask(&format!("GET /_local/calls?key={access_key}"), "");
        assert_eq!(told["leftOut"], 0, "calls that nobody noted");
        told["calls"].as_object().unwrap().keys().cloned().collect()
    }

    fn ask(&self, request: &str, body: &str) -> Value {
        let (host, length) = (self.host, body.len());
        let mut socket = TcpStream::connect(host).unwrap();
        write!(
            socket,
            "{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{request}: {answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}
