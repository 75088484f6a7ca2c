//! Who may use the paths below `/_local/`, which change what this endpoint does: programs, not pages of
//! the web that a browser on this machine happens to show.

use std::net::{IpAddr, SocketAddr};

use axum::response::Response;
use http::{HeaderMap, Uri, header};

use crate::service::AwsError;

/// The names by which the endpoint may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// It listens on loopback: its address, or `localhost`. Any other name was made to lead here.
    Loopback,
    /// It listens to other machines, which may name it as they like.
    Any,
}

impl Hosts {
    pub(crate) fn of(listen: SocketAddr) -> Self {
        if listen.ip().is_loopback() { Self::Loopback } else { Self::Any }
    }

    /// Returns the refusal of a request that a foreign page makes, if it is one.
    pub(crate) fn refusal(self, headers: &HeaderMap, uri: &Uri) -> Option<Response> {
        let refused = |message: &str| {
            let (status, code) = (403, "AccessDenied");
            Some(AwsError { status, code, message: message.to_owned() }.json_response())
        };
        // Browsers tell it of every request that changes something.
        if headers.contains_key(header::ORIGIN) {
            return refused("/_local is for programs: a request with an Origin comes from a page");
        }
        let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        // HTTP/2 has it in the address.
        let host = named.or(uri.authority().map(http::uri::Authority::as_str));
        match self {
            Self::Loopback if !host.is_some_and(is_loopback) => {
                refused("/_local answers to the address it listens on, or to localhost")
            }
            _ => None,
        }
    }
}

/// Returns whether a `Host` names this machine, with whatever port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback = |address: IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn is_refused(hosts: Hosts, pairs: &[(header::HeaderName, &'static str)], uri: &str) -> bool {
        let pairs =
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        hosts.refusal(&pairs.collect(), &uri.parse().expect("an address")).is_some()
    }

    #[test]
    fn a_page_whose_name_was_made_to_lead_here_may_not_administer() {
        let at = |host| is_refused(Hosts::Loopback, &[(header::HOST, host)], "/_local/faults");
        for own in ["127.0.0.1:4566", "localhost", "LocalHost:1", "[::1]:4566", "127.9.9.9"] {
            assert!(!at(own), "{own}");
        }
        for foreign in
            ["evil.test:4566", "localhost.evil.test", "10.0.0.1", "[::2]:1", "", "[", ":1"]
        {
            assert!(at(foreign), "{foreign:?}");
        }
        assert!(is_refused(Hosts::Loopback, &[], "/_local/faults"));
        assert!(!is_refused(Hosts::Loopback, &[], "http://127.0.0.1:4566/_local/faults"));
        assert!(!is_refused(Hosts::Any, &[(header::HOST, "aws:4566")], "/_local/faults"));
    }

    #[test]
    fn a_page_that_names_this_machine_may_not_administer_either() {
        for origin in ["http://evil.test", "http://localhost:3000", "null"] {
            let pairs = [(header::HOST, "127.0.0.1:4566"), (header::ORIGIN, origin)];
            for hosts in [Hosts::Loopback, Hosts::Any] {
                assert!(is_refused(hosts, &pairs, "/_local/tick"), "{origin}");
            }
        }
    }

    #[test]
    fn only_an_endpoint_for_other_machines_has_names_of_their_choice() {
        let of = |address: &str| Hosts::of(address.parse().expect("an address"));
        assert_eq!((of("127.0.0.1:1"), of("[::1]:1")), (Hosts::Loopback, Hosts::Loopback));
        assert_eq!(of("0.0.0.0:1"), Hosts::Any);
    }
}
