//! The links of documents: relative ones lead to files that are there, anchors to headings.

use std::collections::BTreeMap;

/// Returns the links of `documents` (path and text) that lead nowhere. `exists` tells whether a path
/// of the repository is there.
pub(crate) fn broken(documents: &[(String, String)], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let anchors: BTreeMap<_, _> =
        documents.iter().map(|(path, text)| (path.as_str(), anchors(text))).collect();
    let mut found = vec![];
    for (path, text) in documents {
        for (line, target) in links(text) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let there = if file.is_empty() { path.clone() } else { beside(path, file) };
            let is_right = exists(&there)
                && (anchor.is_empty()
                    || anchors
                        .get(there.as_str())
                        .is_none_or(|known| known.contains(&anchor.to_owned())));
            if !is_right {
                found.push(format!("{path}:{line}: {target}"));
            }
        }
    }
    found
}

/// Returns the relative links of a text, each with its line, counted from 1.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    for (line, text) in prose(text) {
        for marker in ["](", "src=\"", "href=\""] {
            for rest in text.split(marker).skip(1) {
                let end = rest.find([')', '"', ' ']).unwrap_or(rest.len());
                let target = &rest[..end];
                let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
                if !is_elsewhere && !target.is_empty() {
                    found.push((line, target.to_owned()));
                }
            }
        }
    }
    found
}

/// Returns the lines of a text outside code, numbered from 1, without inline code.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        let without_code: String = line.split('`').step_by(2).collect();
        (!is_code && !is_fence).then_some((at + 1, without_code))
    })
}

/// Returns the anchors that GitHub makes of a text's headings.
fn anchors(text: &str) -> Vec<String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut is_code = false;
    let headings = text.lines().filter(move |line| {
        is_code ^= line.trim_start().starts_with("```");
        !is_code && line.starts_with('#')
    });
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let earlier = counts.entry(slug.clone()).or_default();
        *earlier += 1;
        if *earlier == 1 { slug } else { format!("{slug}-{}", *earlier - 1) }
    };
    headings.map(anchor).collect()
}

/// Returns the path of `target` as `document` means it.
fn beside(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_files_and_headings() {
        let document = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let index = "[a](docs/a.md#one-two) [b](docs/b.md) `[c](c.md)` [d](https://d) [e](#here)";
        let documents = [
            document("README.md", index),
            document("docs/a.md", "# One, two\n```\n# no heading\n```\n[up](../README.md)"),
        ];
        let exists = |path: &str| ["README.md", "docs/a.md"].contains(&path);
        let expected = ["README.md:1: docs/b.md", "README.md:1: #here"];
        assert_eq!(broken(&documents, exists), expected);
    }
}
