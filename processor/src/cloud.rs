//! The program's way to AWS: clients of the services, object stores, Lambda's runtime API, and for
//! tests the faults of a network.

#[cfg(feature = "chaos")]
pub mod chaos;
mod clients;
pub mod lambda;
mod s3_profile;
mod sign;
pub(crate) mod store_error;
pub mod store_url;

#[cfg(test)]
pub(crate) use clients::build;
use clients::region_variable;
pub use clients::{Clients, clients, clients_with_faults};
pub(crate) use clients::{LOCAL_KEY, NotSetUp, are_set_up, endpoint, is_plain};

pub(crate) use sign::{Signer, is_aws};

/// Makes ring the TLS provider of HTTP clients that are built without one, such as reqwest's. A
/// second time is harmless.
pub(crate) fn use_ring() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
