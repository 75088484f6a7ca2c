//! The runbook, as it was when the program was built.

use std::fmt::Write as _;

macro_rules! articles {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../docs/operations/LiveStreaming-", $name, ".md")))),*]
    };
}

/// By the alarm's name without its prefix.
const ARTICLES: [(&str, &str); 15] = articles![
    "ChatActivity",
    "EventDeadLetters",
    "FailedTasks",
    "IngestFrameRate",
    "ProcessorLag",
    "ProcessorOutboxAge",
    "Rebuffering",
    "ReconcileFailures",
    "RejectedRecords",
    "ReportFailed",
    "RetentionGap",
    "StreamThrottled",
    "TableThrottled",
    "ViewerDrop",
    "WorkerHealth",
];

fn article(alarm: &str) -> Option<&'static str> {
    let name = alarm.trim_end_matches(".md").strip_prefix("LiveStreaming-")?;
    ARTICLES.iter().find(|(own, _)| *own == name).map(|(_, text)| *text)
}

/// Returns whether there is an article about an alarm.
pub(super) fn has(alarm: &str) -> bool {
    article(alarm).is_some()
}

/// Returns the article about an alarm as a page; for an empty name, the list of all.
pub(super) fn page(alarm: &str) -> Option<String> {
    if alarm.is_empty() {
        let entry = |(name, _): &(&str, &str)| {
            format!("<li><a href=\"/runbook/LiveStreaming-{name}\">LiveStreaming-{name}</a></li>\n")
        };
        let list: String = ARTICLES.iter().map(entry).collect();
        return Some(framed("Runbook", &format!("<h1>Runbook</h1>\n<ul>\n{list}</ul>\n")));
    }
    article(alarm).map(|text| framed(alarm, &html(text)))
}

fn framed(title: &str, inside: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n</head>\n<body>\n\
         <p class=\"crumb\"><a href=\"/\">Live streams</a> · <a href=\"/runbook/\">Runbook</a></p>\n\
         <main class=\"article\">\n{inside}</main>\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The open element of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Paragraph,
    Bullets,
    Numbers,
    Code,
}

impl Block {
    const fn tags(self) -> [&'static str; 2] {
        match self {
            Self::None => ["", ""],
            Self::Paragraph => ["<p>", "</p>\n"],
            Self::Bullets => ["<ul>\n<li>", "</li>\n</ul>\n"],
            Self::Numbers => ["<ol>\n<li>", "</li>\n</ol>\n"],
            Self::Code => ["<pre>", "</pre>\n"],
        }
    }
}

/// Renders the few forms of Markdown that the articles have: headings, paragraphs, flat lists,
/// code, bold, emphasis and links. A mark may be closed on a later line of its paragraph.
fn html(text: &str) -> String {
    let (mut out, mut block, mut said) = (String::new(), Block::None, String::new());
    let tell = |out: &mut String, said: &mut String| {
        out.push_str(&inline(said));
        said.clear();
    };
    let open = |out: &mut String, said: &mut String, block: &mut Block, next: Block| {
        tell(out, said);
        out.push_str(block.tags()[1]);
        *block = next;
        out.push_str(next.tags()[0]);
    };
    for line in text.lines() {
        let body = line.trim_start();
        if body.starts_with("```") {
            let next = if block == Block::Code { Block::None } else { Block::Code };
            open(&mut out, &mut said, &mut block, next);
            continue;
        }
        if block == Block::Code {
            out.push_str(&escaped(line));
            out.push('\n');
            continue;
        }
        let (kind, rest) = kind_of(body);
        match (kind, body.is_empty()) {
            (_, true) => open(&mut out, &mut said, &mut block, Block::None),
            (Some(Block::None), _) => {
                open(&mut out, &mut said, &mut block, Block::None);
                let level = body.bytes().take_while(|byte| *byte == b'#').count().min(6);
                writeln!(out, "<h{level}>{}</h{level}>", inline(rest)).expect("texts take all");
                continue;
            }
            (Some(list), _) if block == list => {
                tell(&mut out, &mut said);
                out.push_str("</li>\n<li>");
            }
            (Some(list), _) => open(&mut out, &mut said, &mut block, list),
            (None, _) if block == Block::None => {
                open(&mut out, &mut said, &mut block, Block::Paragraph);
            }
            (None, _) => said.push(' '),
        }
        said.push_str(rest);
    }
    open(&mut out, &mut said, &mut block, Block::None);
    out
}

/// Returns what a line begins, if anything, and the rest of it; a heading begins no block.
fn kind_of(line: &str) -> (Option<Block>, &str) {
    if let Some(rest) = line.strip_prefix("- ") {
        return (Some(Block::Bullets), rest);
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0
        && let Some(rest) = line[digits..].strip_prefix(". ")
    {
        return (Some(Block::Numbers), rest);
    }
    if line.starts_with('#') {
        return (Some(Block::None), line.trim_start_matches('#').trim());
    }
    (None, line)
}

/// Code, bold, emphasis and links of a text; what is not closed stays as it is.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        out.push_str(&escaped(&rest[..at]));
        rest = &rest[at..];
        let (piece, used) = piece(rest);
        out.push_str(&piece);
        rest = &rest[used..];
    }
    out + &escaped(rest)
}

/// Returns what a text that begins with a mark begins with, and how many bytes of it that is.
fn piece(text: &str) -> (String, usize) {
    for (mark, tag) in [("`", "code"), ("**", "strong"), ("*", "em")] {
        if let Some(inside) = text.strip_prefix(mark)
            && let Some(end) = inside.find(mark)
            && end > 0
            && !inside.starts_with(' ')
        {
            let shown =
                if tag == "code" { escaped(&inside[..end]) } else { inline(&inside[..end]) };
            return (format!("<{tag}>{shown}</{tag}>"), end + 2 * mark.len());
        }
    }
    if let Some(link) = text.strip_prefix('[')
        && let Some((label, after)) = link.split_once("](")
        && let Some((target, _)) = after.split_once(')')
    {
        let used = label.len() + target.len() + 4;
        let alarm = target.rsplit('/').next().unwrap_or_default();
        return match has(alarm.split('#').next().unwrap_or_default()) {
            true => {
                (format!("<a href=\"/runbook/{}\">{}</a>", escaped(alarm), inline(label)), used)
            }
            false => (inline(label), used),
        };
    }
    (escaped(&text[..1]), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alarm_of_the_catalogue_has_an_article() {
        for alarm in ivs_schemas::catalogue::ALARMS {
            let page = page(alarm.name).expect(alarm.name);
            assert!(page.contains("<h1>"), "{}", alarm.name);
        }
        assert!(page("").unwrap().contains("/runbook/LiveStreaming-ViewerDrop"));
        assert!(page("LiveStreaming-../../Cargo").is_none());
    }

    #[test]
    fn a_mark_may_be_closed_on_a_later_line() {
        assert_eq!(
            html("Ask `aws x\n--y` for\n- *Chat\n  Spike* [a](b.md) 2 * 3 * 4\n"),
            "<p>Ask <code>aws x --y</code> for</p>\n<ul>\n<li><em>Chat Spike</em> a 2 * 3 * 4</li>\n</ul>\n"
        );
    }

    #[test]
    fn articles_become_headings_lists_code_and_links() {
        let text = "# A <b>\n\nOne `x < y` and **two**,\nthree.\n\n1. first\n   more\n2. second\n\n```\n$ a & b\n```\n- [it](LiveStreaming-ViewerDrop.md), [out](other.md), a * b\n";
        assert_eq!(
            html(text),
            "<h1>A &lt;b&gt;</h1>\n<p>One <code>x &lt; y</code> and <strong>two</strong>, three.</p>\n\
             <ol>\n<li>first more</li>\n<li>second</li>\n</ol>\n<pre>$ a &amp; b\n</pre>\n<ul>\n<li>\
             <a href=\"/runbook/LiveStreaming-ViewerDrop.md\">it</a>, out, a * b</li>\n</ul>\n"
        );
    }
}
