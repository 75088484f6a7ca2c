//! Starting, watching and killing the program.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Far beyond what any run takes: a program that hangs fails its test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(400);

/// Returns a folder for one test.
pub(crate) fn state() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A command line of the program.
pub(crate) struct Program(Command);

impl Program {
    pub(crate) fn new(args: &[&str]) -> Self {
        Self::of(env!("CARGO_BIN_EXE_ivs-processor-under-test")).args(args)
    }

    /// Another program.
    pub(crate) fn of(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["AWS_ENDPOINT_URL", "AWS_PROFILE", "IVS_CONFIG", "RUST_LOG", "IVS_LOG"] {
            command.env_remove(name);
        }
        // Many workers run on one machine at once here.
        command.env("IVS_OPS__LISTEN", "127.0.0.1:0");
        Self(command)
    }

    /// Runs it in a folder.
    pub(crate) fn in_folder(mut self, dir: &Path) -> Self {
        self.0.current_dir(dir);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: &[impl AsRef<OsStr>]) -> Self {
        self.0.args(args);
        self
    }

    /// Gives it a file as standard input.
    pub(crate) fn stdin(mut self, path: &Path) -> Self {
        self.0.stdin(File::open(path).expect("the input"));
        self
    }

    /// Logs what tests count, as JSON lines, to a file.
    pub(crate) fn log_to(mut self, path: &Path) -> Self {
        let file = File::create(path).expect("a log file");
        self.0
            .arg("--log-json")
            .env("IVS_LOG", "info,ivs_processor::worker::shard_task=debug")
            .stderr(file);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Leaves a variable out of its environment.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let child = self.0.spawn().expect("the program starts");
        Running(child)
    }

    /// Runs it to its end, which must be a success; returns what it printed.
    pub(crate) fn run_to_end(self) -> String {
        self.start().end_well()
    }

    /// Runs it to its end; returns exit code, standard output and standard error.
    pub(crate) fn end(self) -> (i32, String, String) {
        self.start().finish()
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

    /// Sends it a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.expect("kill starts").success(), "the program could not be sent {name}");
    }

    /// Asks it to stop in order, and waits until it has.
    pub(crate) fn stop_in_order(self) {
        self.signal("TERM");
        self.ends_well();
    }

    /// Waits for its end, which must be a success.
    pub(crate) fn ends_well(self) {
        let (code, out, error) = self.finish();
        assert_eq!(code, 0, "stdout:\n{out}\nstderr:\n{error}");
    }

    /// Waits for its end, which must be a success; returns the most memory that it had.
    pub(crate) fn peak_bytes_until_it_ends_well(mut self) -> u64 {
        let status = format!("/proc/{}/status", self.0.id());
        let mut peak_kb = 0;
        while self.0.try_wait().expect("it was started").is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let number = line.and_then(|line| line.split_whitespace().next());
            peak_kb = number.and_then(|number| number.parse().ok()).unwrap_or(0).max(peak_kb);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        self.ends_well();
        peak_kb * 1_024
    }

    /// Reads what it prints until a line satisfies; then it may be killed in the middle of its work.
    pub(crate) fn wait_for(&mut self, satisfies: impl Fn(&str) -> bool) {
        let reader = BufReader::new(self.0.stdout.as_mut().expect("stdout is piped"));
        let found = reader.lines().map_while(Result::ok).any(|line| satisfies(&line));
        assert!(found, "the program ended before it printed what was waited for");
    }

    /// Returns the endpoint's URL, once everything is created, and the endpoint: it lives as long
    /// as that.
    pub(crate) fn wait_for_ready(mut self) -> (String, Self) {
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
        std::thread::spawn(move || drop(reader.read_to_string(&mut String::new())));
        (url, self)
    }

    /// Waits for its end, which must be a success; returns what it printed.
    pub(crate) fn end_well(self) -> String {
        let (code, out, error) = self.finish();
        assert_eq!(code, 0, "stdout:\n{out}\nstderr:\n{error}");
        out
    }

    /// Returns where a worker's operations server listens, as its log says.
    pub(crate) fn ops_address(&mut self) -> String {
        let mut reader = BufReader::new(self.0.stderr.take().expect("stderr is piped"));
        let address = |line: String| {
            let started = line.contains("operations server started");
            started.then(|| line.rsplit_once("address=").expect("an address").1.to_owned())
        };
        let found = reader.by_ref().lines().map_while(Result::ok).find_map(address);
        std::thread::spawn(move || drop(reader.read_to_string(&mut String::new())));
        found.expect("the worker ended before its operations server started")
    }

    /// Returns its standard output; dropping it closes the pipe.
    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().expect("stdout is piped")
    }

    /// Waits for its end, when nobody reads its standard output; returns exit code and standard
    /// error.
    pub(crate) fn ends(mut self) -> (i32, String) {
        let error = read(self.0.stderr.as_mut().expect("stderr is piped"));
        (self.0.wait().expect("its exit status").code().unwrap_or(-1), error)
    }

    fn finish(mut self) -> (i32, String, String) {
        let (sender, receiver) = mpsc::channel();
        let mut stdout = self.0.stdout.take().expect("stdout is piped");
        let stderr = self.0.stderr.take();
        // A program that logs to a file has none.
        let errors =
            std::thread::spawn(move || stderr.map_or(String::new(), |mut pipe| read(&mut pipe)));
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
