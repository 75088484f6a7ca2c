//! `local` where others have its ports already.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::TcpListener;

use crate::ops::get;
use crate::process::Program;

#[test]
fn local_serves_on_free_ports_where_its_own_are_taken_and_says_so() {
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [ops, page] = taken.each_ref().map(|listener| listener.local_addr().unwrap());
    let mut local = Program::new(&["local", "--for", "10m", "--state", ":memory:", "--port", "0"])
        .args(&["--page-port".to_owned(), page.port().to_string()])
        .args(&["--set".to_owned(), format!("ops.listen={ops}")])
        .start();
    let said = RefCell::new(BTreeMap::new());
    local.wait_for(|line| {
        let name = line.split_whitespace().next().unwrap_or_default().to_owned();
        let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        if let Some((address, _)) = url.and_then(|url| url.split_once('/')) {
            said.borrow_mut().insert(name, address.to_owned());
        }
        line.starts_with("page")
    });
    let said = said.into_inner();
    let (ops_found, page_found) = (&said["operations"], &said["page"]);
    assert_ne!(*ops_found, ops.to_string());
    assert_ne!(*page_found, page.to_string());
    assert_eq!(get(ops_found, "/healthz").code, 200);
    let answer = get(page_found, "/");
    assert!(answer.code == 200 && answer.body.contains("<html"), "{}", answer.body);
    // A line of progress: from now on it listens to signals.
    local.wait_for(|line| line.contains(" epochs"));
    local.signal("TERM");
    let (code, error) = local.ends();
    assert_eq!(code, 0, "{error}");
    let told = format!("ops.listen {ops} is in use; serving on {ops_found} instead");
    assert!(error.contains(&told), "{error}");
}
