//! Lambda's runtime API as far as a function needs it: the next request, its response, its error.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Program, Running};

/// Far beyond what a function takes to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// The outcome of an invocation.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether the function succeeded.
    pub(crate) is_success: bool,
    /// Its response, or the error's description.
    pub(crate) body: Value,
}

/// Runs a function, gives it requests one after the other, and returns what became of them.
pub(crate) fn invoke(function: Program, requests: Vec<Value>) -> Vec<Outcome> {
    let count = requests.len();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, outcomes) = mpsc::channel();
    std::thread::spawn(move || serve(&listener, requests.into(), &sender));
    let running = start(function, address);
    let outcome = |_| outcomes.recv_timeout(PATIENCE).expect("the function answers");
    let outcomes = (0..count).map(outcome).collect();
    drop(running);
    outcomes
}

fn start(function: Program, api: SocketAddr) -> Running {
    function
        .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "under-test")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .start()
}

fn serve(listener: &TcpListener, mut requests: VecDeque<Value>, outcomes: &mpsc::Sender<Outcome>) {
    // A function that asks for more than there is waits, as it does between real invocations.
    let mut waiting = Vec::new();
    let mut number = 0;
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let (path, body) = read(&connection);
        if path.ends_with("/invocation/next") {
            let Some(request) = requests.pop_front() else {
                waiting.push(connection);
                continue;
            };
            number += 1;
            let headers = format!(
                "Lambda-Runtime-Aws-Request-Id: request-{number}\r\n\
                 Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: \
                 arn:aws:lambda:us-east-1:111122223333:function:under-test\r\n"
            );
            answer(&mut connection, &headers, &request.to_string());
        } else {
            let is_success = path.ends_with(&format!("/invocation/request-{number}/response"));
            let body = serde_json::from_str(&body).unwrap();
            answer(&mut connection, "", "{}");
            if outcomes.send(Outcome { is_success, body }).is_err() {
                return;
            }
        }
    }
}

/// Path and body of a request.
fn read(connection: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(connection);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |line: &String| {
        Some(line.to_lowercase().strip_prefix("content-length:")?.trim().parse().unwrap())
    };
    let length: usize = lines.iter().find_map(header).unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = lines[0].split(' ').nth(1).unwrap().to_owned();
    (path, String::from_utf8(body).unwrap())
}

fn answer(connection: &mut TcpStream, headers: &str, body: &str) {
    let length = body.len();
    let reply = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    connection.write_all(reply.as_bytes()).unwrap();
}
