//! The page of `local` as Chromium shows it: the figures are those of the snapshot, they go on by
//! themselves, and a session can be looked at by keyboard; wide and narrow, light and dark.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::devtools::Tab;
use crate::process::{Program, state};
use crate::{WIDTHS, chromium};

/// The layout, measured by the browser.
const MEASURE: &str = r"(() => {
  const text = (id) => document.getElementById(id).textContent;
  const root = document.documentElement;
  const cut = [...document.querySelectorAll('dd, td, h1, h2, h3')]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0);
  return {
    connection: text('connection'), viewers: text('tile-viewers'), streams: text('tile-streams'),
    rows: document.querySelectorAll('#live tbody tr').length,
    sparks: document.querySelectorAll('#live tbody svg[aria-label]').length,
    alarms: document.querySelectorAll('#alarms tbody tr').length,
    shards: document.querySelectorAll('#fleet tbody tr').length,
    charts: document.querySelectorAll('.widgets svg[role=img]').length,
    unnamed: [...document.querySelectorAll('svg[role=img]')].filter((one) => !one.getAttribute('aria-label')).length,
    headings: [...document.querySelectorAll('h1, h2, h3')].filter((one) => one.checkVisibility()).map((one) => one.textContent),
    tooWide: root.scrollWidth > root.clientWidth, cut: cut.map((one) => one.textContent),
    paper: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
  };
})()";

/// Tables and charts of a session that lie over one another, or are wider than their part of the page.
const ASTRAY: &str = r"(() => {
  const shown = [...document.querySelectorAll('#session table, #session figure, #session dl')]
    .filter((one) => one.checkVisibility() && !one.closest('details'));
  const box = (one) => one.getBoundingClientRect();
  const name = (one) => one.textContent.slice(0, 40);
  const over = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const pairs = shown.flatMap((one, at) => shown.slice(at + 1).filter((other) => over(box(one), box(other))).map((other) => [one, other]));
  const wide = shown.filter((one) => box(one).right > box(one.parentElement).right + 1);
  return [...pairs.map(([a, b]) => `${name(a)} over ${name(b)}`), ...wide.map((one) => `${name(one)} is too wide`)];
})()";

/// Long names and figures in the tables by dimension: what busy days bring.
const CROWD: &str = r"
  document.querySelectorAll('#breakdown-tables tbody th').forEach((one) => { one.textContent = 'a-content-delivery-network'; });
  document.querySelectorAll('#breakdown-tables td').forEach((one, at) => { one.textContent = at % 5 < 2 ? '100.0 %' : '123,456'; });
";

fn set_width(tab: &mut Tab, width: u32) {
    tab.ask(
        "Emulation.setDeviceMetricsOverride",
        json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 }),
    );
}

fn show(tab: &mut Tab, url: &str, width: u32, is_dark: bool) {
    set_width(tab, width);
    let scheme = if is_dark { "dark" } else { "light" };
    let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
    tab.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
    tab.ask("Page.navigate", json!({ "url": url }));
    tab.wait_until("document.querySelectorAll('#live tbody tr').length > 0");
    tab.wait_until("document.querySelectorAll('.widgets svg[role=img]').length >= 4");
}

fn overview_is_whole(measured: &Value, width: u32) {
    let number = |name: &str| measured[name].as_u64().unwrap();
    assert_eq!(measured["connection"], "live");
    let streams: u64 = measured["streams"].as_str().unwrap().parse().unwrap();
    assert_eq!(number("rows"), streams, "{measured}");
    assert_eq!(number("sparks"), streams);
    assert!(number("alarms") >= 5 && number("shards") == 2, "{measured}");
    assert_eq!((number("charts"), number("unnamed")), (4, 0));
    assert_eq!(measured["tooWide"], false, "{width}: the page scrolls sideways");
    assert_eq!(measured["cut"], json!([]), "{width}: a figure is cut off");
    assert_ne!(measured["ink"], measured["paper"]);
    let headings = measured["headings"].as_array().unwrap();
    for heading in ["Live streams", "Live now", "Alarms", "Dashboard", "Fleet", "Rejected records"]
    {
        assert!(headings.contains(&heading.into()), "{heading} is missing in {headings:?}");
    }
}

/// The session that is open: what became of its views, and who watched.
fn views_are_told(tab: &mut Tab) {
    let tiles = "document.getElementById('session-tiles').textContent";
    for label in ["Experience score", "Views started", "Views failed"] {
        tab.wait_until(&format!("{tiles}.includes('{label}')"));
    }
    tab.wait_until("document.querySelectorAll('#breakdown-tables tbody tr').length > 0");
    assert_eq!(tab.eval("document.getElementById('breakdowns').hidden"), false);
    let heads = "[...document.querySelectorAll('#breakdown-tables thead th:first-child')]";
    let by = tab.eval(&format!("{heads}.map((one) => one.textContent)"));
    assert_eq!(by, json!(["Device", "System", "Country", "Delivered by", "Rendition"]));
}

#[test]
fn what_is_live_is_on_the_page_and_goes_on_by_itself() {
    let dir = state();
    let mut local = Program::new(&["local", "--state", ":memory:", "--port", "0", "--shards", "2"])
        .args(&["--page-port", "0", "--channels", "6", "--viewers", "60"])
        .start();
    let url = RefCell::new(String::new());
    local.wait_for(|line| {
        let address = line.strip_prefix("page").map(str::trim);
        address.map(|address| address.clone_into(&mut url.borrow_mut())).is_some()
    });
    let url = url.into_inner();
    let mut tab = Tab::open(chromium(), &dir.path().join("profile"));
    let mut papers = Vec::new();
    for (width, is_dark) in WIDTHS.into_iter().flat_map(|w| [(w, false), (w, true)]) {
        show(&mut tab, &url, width, is_dark);
        let measured = tab.eval(MEASURE);
        overview_is_whole(&measured, width);
        papers.push(measured["paper"].clone());
    }
    assert!(papers[0] == papers[2] && papers[1] == papers[3] && papers[0] != papers[1]);

    tab.eval("window.seen = document.getElementById('where').textContent");
    tab.wait_until("document.getElementById('where').textContent !== window.seen");

    tab.eval("document.querySelector('#w-day summary').click()");
    tab.wait_until("document.querySelectorAll('#w-day details td').length > 0");

    tab.eval("document.querySelector('#live a').focus(); document.activeElement.click()");
    tab.wait_until("document.querySelectorAll('#timeline li').length > 0");
    tab.wait_until("document.querySelectorAll('#session svg[role=img]').length > 0");
    assert_eq!(tab.eval("document.activeElement.id"), "session-title", "the heading has the focus");
    views_are_told(&mut tab);
    tab.wait_until("document.querySelectorAll('#breakdown-tables table').length > 3");
    tab.wait_until(
        "document.querySelector('#timeline').textContent.includes('by the application')",
    );
    for width in WIDTHS {
        set_width(&mut tab, width);
        assert_eq!(tab.eval(ASTRAY), json!([]), "{width}");
        let crowded = tab.eval(&format!("{{{CROWD}}} {ASTRAY}"));
        assert_eq!(crowded, json!([]), "{width}, crowded");
    }
    tab.eval(
        "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))",
    );
    tab.wait_until("!document.getElementById('overview').hidden");
    assert_eq!(tab.complaints, Vec::<String>::new());

    let report = "fetch('/report?channel=' + document.getElementById('channel').value)";
    let report = tab.eval(&format!("{report}.then((answer) => answer.text())"));
    assert!(report.as_str().unwrap().contains("<h1>"), "{report}");
    let article = tab.eval("fetch('/runbook/LiveStreaming-ViewerDrop').then((one) => one.text())");
    assert!(article.as_str().unwrap().contains("What it means"));
}
