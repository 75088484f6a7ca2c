//! Why an embedded AWS does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why an endpoint did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Only loopback is served unless [`Config::allow_remote`](crate::Config::allow_remote) is set.
    #[error("`{0}` is not a loopback address and remote addresses are not allowed")]
    NotLoopback(SocketAddr),
    /// The port is taken or the address is not this machine's.
    #[error("cannot listen on `{address}`: {}; choose another port, 0 takes any free one", .reason.kind())]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's answer.
        reason: io::Error,
    },
    /// Another endpoint has the folder open.
    #[error("the state folder `{0}` is in use by another process")]
    InUse(PathBuf),
    /// It was to be emptied, and nothing says that it may be.
    #[error(
        "`{dir}` is left alone: it holds something, and no file `{mark}` that says that this program made \
         it; delete it yourself or choose another folder"
    )]
    NotOurs {
        /// The folder.
        dir: PathBuf,
        /// The file that would say so.
        mark: &'static str,
    },
    /// The folder or a file in it cannot be made, read or written.
    #[error("cannot use the state folder `{path}`: {reason}")]
    State {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        reason: io::Error,
    },
    /// The embedded DynamoDB refused its file.
    #[error("the embedded dynamodb did not start: {0}")]
    DynamoDb(String),
    /// A fault rule makes no sense.
    #[error("bad fault rule: {0}")]
    Fault(String),
}
