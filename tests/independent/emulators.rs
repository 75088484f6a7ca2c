//! Starting and stopping the two emulators.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// They start within seconds; a busy machine may take many.
const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(200);

/// One emulator on loopback; dropping it stops it.
pub(crate) struct Emulator {
    child: Child,
    pub(crate) url: String,
}

impl Emulator {
    /// Kinesis by `kinesis-local`: its reshards are right, its deliveries slow.
    pub(crate) fn kinesis_local() -> Self {
        let (plain, tls) = (free_port(), free_port());
        let package = folder().join("node_modules/kinesis-local");
        let mut command = Command::new("node");
        // It reads its certificate from the working directory.
        command.arg("main.js").current_dir(&package);
        command
            .env("KINESIS_MOCK_PLAIN_PORT", plain.to_string())
            .env("KINESIS_MOCK_TLS_PORT", tls.to_string())
            // The contract makes more streams than its 50 shards.
            .env("SHARD_LIMIT", "200")
            .env("LOG_LEVEL", "ERROR");
        Self::start(command, plain, &package)
    }

    /// Everything else by `ministack`, which passed every check of conditional writes.
    pub(crate) fn ministack(home: &Path) -> Self {
        let port = free_port();
        let program = folder().join("venv/bin/ministack");
        let mut command = Command::new(&program);
        command.current_dir(home).env("HOME", home).env("TMPDIR", home);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("LOG_LEVEL", "ERROR");
        Self::start(command, port, &program)
    }

    fn start(mut command: Command, port: u16, installed: &Path) -> Self {
        assert!(
            installed.exists(),
            "{} is missing: `make independent` installs it",
            installed.display()
        );
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the emulator starts");
        let emulator = Self { child, url: format!("http://127.0.0.1:{port}") };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        for _ in 0..ATTEMPTS {
            if TcpStream::connect(address).is_ok() {
                return emulator;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("{} does not answer at {}", installed.display(), emulator.url)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns where `make independent` installs them.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/emulators")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
