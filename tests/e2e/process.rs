//! Starting, watching and killing the program.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Far beyond what any run takes: a program that hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(400);

/// A folder for one test.
pub(crate) fn state() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A command line of the program.
pub(crate) struct Program(Command);

impl Program {
    pub(crate) fn new(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ivs-processor-under-test"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["AWS_ENDPOINT_URL", "AWS_PROFILE", "IVS_CONFIG", "RUST_LOG", "IVS_LOG"] {
            command.env_remove(name);
        }
        Self(command)
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: &[impl AsRef<OsStr>]) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let child = self.0.spawn().expect("the program starts");
        Running(child)
    }

    /// Runs it to its end, which must be a success; returns what it printed.
    pub(crate) fn run_to_end(self) -> String {
        let (code, out, error) = self.start().finish();
        assert_eq!(code, 0, "stdout:\n{out}\nstderr:\n{error}");
        out
    }

    /// Runs it to its end, which must be a failure; returns exit code and standard error.
    pub(crate) fn fails(self) -> (i32, String) {
        let (code, _, error) = self.start().finish();
        assert_ne!(code, 0, "{error}");
        (code, error)
    }
}

/// A running program; dropping it kills it.
pub(crate) struct Running(Child);

impl Running {
    /// As a power cut does it: no handler runs.
    pub(crate) fn kill_9(&mut self) {
        // A program that has ended already cannot be killed, and need not be.
        drop(self.0.kill());
        drop(self.0.wait());
    }

    /// Asks it to stop in order, and waits until it has.
    pub(crate) fn stop(self) {
        let pid = self.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(asked.success(), "the program had ended before it was asked to");
        let (code, out, error) = self.finish();
        assert_eq!(code, 0, "stdout:\n{out}\nstderr:\n{error}");
    }

    /// Reads what it prints until a line satisfies; then it may be killed in the middle of its work.
    pub(crate) fn wait_for(&mut self, satisfies: impl Fn(&str) -> bool) {
        let reader = BufReader::new(self.0.stdout.as_mut().expect("stdout is piped"));
        let found = reader.lines().map_while(Result::ok).any(|line| satisfies(&line));
        assert!(found, "the program ended before it printed what was waited for");
    }

    /// The endpoint's URL, once everything is created. It lives as long as the test process.
    pub(crate) fn wait_for_ready(mut self) -> String {
        let mut reader = BufReader::new(self.0.stdout.take().expect("stdout is piped"));
        let mut url = String::new();
        for line in reader.by_ref().lines().map_while(Result::ok) {
            if let Some(found) = line.split_whitespace().find(|word| word.starts_with("http://")) {
                url = found.to_owned();
            }
            if line.starts_with("rejects") {
                break;
            }
        }
        assert!(!url.is_empty(), "the endpoint ended before it was ready");
        std::thread::spawn(move || {
            drop(reader.read_to_string(&mut String::new()));
            drop(self);
        });
        url
    }

    fn finish(mut self) -> (i32, String, String) {
        let (sender, receiver) = mpsc::channel();
        let mut stdout = self.0.stdout.take().expect("stdout is piped");
        let mut stderr = self.0.stderr.take().expect("stderr is piped");
        let errors = std::thread::spawn(move || read(&mut stderr));
        std::thread::spawn(move || drop(sender.send(read(&mut stdout))));
        let started = Instant::now();
        let out = receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            self.kill_9();
            panic!("the program hung for {:?}", started.elapsed())
        });
        let status = self.0.wait().expect("its exit status");
        (status.code().unwrap_or(-1), out, errors.join().expect("stderr was read"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_9();
    }
}

fn read(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}
