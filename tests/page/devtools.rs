//! A browser that is asked over its debugging protocol: one WebSocket, one question at a time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{Program, Running};

/// Far beyond what a page takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page in a browser; dropping it ends the browser.
pub(crate) struct Tab {
    _browser: Running,
    socket: TcpStream,
    asked: u64,
    /// The complaints of the page's scripts.
    pub(crate) complaints: Vec<String>,
}

impl Tab {
    /// Starts a browser with an empty page.
    pub(crate) fn open(program: String, profile: &Path) -> Self {
        let browser = Program::of(program)
            .args(&["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(&[
                "--disable-background-networking",
                "--no-first-run",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .start();
        let file = profile.join("DevToolsActivePort");
        let started = Instant::now();
        let port: u16 = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(port) = text.lines().next().and_then(|line| line.parse().ok()) {
                break port;
            }
            assert!(started.elapsed() < PATIENCE, "the browser does not listen");
            std::thread::sleep(Duration::from_millis(50));
        };
        let path = page_path(port);
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(read(&mut socket, 1));
        }
        let mut tab = Self { _browser: browser, socket, asked: 0, complaints: Vec::new() };
        for domain in ["Page", "Runtime", "Log"] {
            tab.ask(&format!("{domain}.enable"), json!({}));
        }
        tab
    }

    /// Returns the result of a command.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        self.send(&json!({ "id": self.asked, "method": method, "params": params }));
        loop {
            let mut message = self.receive();
            if message["id"] == self.asked {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.listen(&message);
        }
    }

    fn listen(&mut self, message: &Value) {
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(message["params"]["exceptionDetails"].to_string());
            }
            Some("Log.entryAdded") if message["params"]["entry"]["level"] == "error" => {
                self.complaints.push(message["params"]["entry"]["text"].to_string());
            }
            _ => {}
        }
    }

    /// Returns what an expression comes to in the page.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.ask("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait_until(&mut self, expression: &str) {
        let started = Instant::now();
        while self.eval(&format!("Boolean({expression})")) != true {
            assert!(started.elapsed() < PATIENCE, "it is never true: {expression}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A frame of text; a client's frames are masked.
    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let mut frame = vec![0x81];
        match u16::try_from(text.len()).expect("a small message") {
            length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
            length => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        // A mask of zeros leaves the text as it is.
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.socket.write_all(&frame).unwrap();
    }

    /// Returns a message, which may come in several frames.
    fn receive(&mut self) -> Value {
        let mut text = Vec::new();
        loop {
            let head = read(&mut self.socket, 2);
            let length = match head[1] & 127 {
                126 => u64::from(u16::from_be_bytes(read(&mut self.socket, 2).try_into().unwrap())),
                127 => u64::from_be_bytes(read(&mut self.socket, 8).try_into().unwrap()),
                short => u64::from(short),
            };
            text.extend(read(&mut self.socket, usize::try_from(length).unwrap()));
            if head[0] & 0x80 != 0 {
                return serde_json::from_slice(&text).unwrap();
            }
        }
    }
}

fn read(socket: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    socket.read_exact(&mut buffer).unwrap();
    buffer
}

/// Returns the WebSocket path of the browser's only page.
fn page_path(port: u16) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(socket, "GET /json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")
        .unwrap();
    // The browser keeps the connection open, so the answer ends where it says.
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(read(&mut socket, 1)[0]));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let body = read(&mut socket, length.expect("a length"));
    let targets: Value = serde_json::from_slice(&body).unwrap();
    let page = targets.as_array().unwrap().iter().find(|target| target["type"] == "page").unwrap();
    let url = page["webSocketDebuggerUrl"].as_str().unwrap();
    url[url.find("/devtools").unwrap()..].to_owned()
}
