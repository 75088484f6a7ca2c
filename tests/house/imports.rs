//! Which file of a crate imports which: read from the sources, without the compiler.
//!
//! Re-exports are followed: who imports `super::Name` where the parent only says `pub use
//! child::Name` depends on the child, and the parent's re-export is not an import.

use std::collections::{BTreeMap, BTreeSet};

/// A module by its path; the crate's root is empty.
pub(crate) type Module = Vec<String>;

/// For each file the files that it imports.
pub(crate) type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// Returns the imports among files, given as module and text.
pub(crate) fn graph(files: &BTreeMap<Module, String>) -> Graph {
    let read: BTreeMap<_, _> =
        files.iter().map(|(module, text)| (module.clone(), Paths::of(&tokens(text)))).collect();
    let crates = Sources { files: &read };
    let imports = |(module, paths): (&Module, &Paths)| {
        let used = paths.imported.iter().chain(&paths.inline);
        let found = used.filter_map(|path| crates.file_of(module, path));
        (module.clone(), found.filter(|file| file != module).collect())
    };
    read.iter().map(imports).collect()
}

/// Returns the groups of files that import each other, directly or by way of others.
pub(crate) fn circles(graph: &Graph) -> Vec<Vec<Module>> {
    let reached: BTreeMap<_, _> = graph.keys().map(|from| (from, reached(graph, from))).collect();
    let mut groups = BTreeSet::new();
    for (from, all) in &reached {
        let back = all.iter().filter(|to| reached.get(to).is_some_and(|all| all.contains(*from)));
        let group: Vec<_> = back.cloned().collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

fn reached(graph: &Graph, from: &Module) -> BTreeSet<Module> {
    let (mut all, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(next) = left.pop() {
        for to in graph.get(next).into_iter().flatten() {
            if all.insert(to.clone()) {
                left.push(to);
            }
        }
    }
    all
}

/// The paths in a file, in its own words.
#[derive(Debug, Default)]
struct Paths {
    imported: Vec<Vec<String>>,
    /// Imports that only pass a name on.
    exported: Vec<Vec<String>>,
    inline: Vec<Vec<String>>,
}

impl Paths {
    fn of(tokens: &[&str]) -> Self {
        let (mut paths, mut at) = (Self::default(), 0);
        while at < tokens.len() {
            if tokens[at..].starts_with(&["#", "[", "cfg", "(", "test", ")", "]", "mod"])
                && tokens.get(at + 9) == Some(&"{")
            {
                at += 9 + balanced(&tokens[at + 9..]);
            } else if tokens[at] == "use" {
                let end = tokens[at..].iter().position(|token| *token == ";");
                let end = at + end.unwrap_or(tokens.len() - at - 1);
                let is_public = at > 0 && matches!(tokens[at - 1], "pub" | ")");
                let into = if is_public { &mut paths.exported } else { &mut paths.imported };
                tree(&tokens[at + 1..end], &[], into);
                at = end;
            } else if tokens.get(at + 1) == Some(&"::") && is_name(tokens[at]) {
                let path = tokens[at..].chunks(2).take_while(|pair| is_name(pair[0]));
                let mut names = vec![];
                for pair in path {
                    names.push(pair[0].to_owned());
                    if pair.get(1) != Some(&"::") {
                        break;
                    }
                }
                let is_visibility = at > 0 && tokens[at - 1] == "in";
                at += 2 * names.len() - 1;
                if !is_visibility {
                    paths.inline.push(names);
                }
            } else {
                at += 1;
            }
        }
        paths
    }
}

/// Collects the paths of a `use` with braces, as `a::{b, c::{d, e as f}}`.
fn tree(tokens: &[&str], before: &[String], paths: &mut Vec<Vec<String>>) {
    let mut path = before.to_vec();
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" => {
                let inner = &tokens[at + 1..at + balanced(&tokens[at..]) - 1];
                let (mut depth, mut start) = (0_u32, 0);
                for (at, token) in inner.iter().chain(&[","]).enumerate() {
                    match *token {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        "," if depth == 0 => {
                            tree(&inner[start..at], &path, paths);
                            start = at + 1;
                        }
                        _ => {}
                    }
                }
                return;
            }
            "as" => break,
            "::" => {}
            name => path.push(name.to_owned()),
        }
    }
    if path.len() > before.len() {
        paths.push(path);
    }
}

/// Returns how many tokens there are from an opening brace to its closing one.
fn balanced(tokens: &[&str]) -> usize {
    let mut depth = 0_u32;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

struct Sources<'a> {
    files: &'a BTreeMap<Module, Paths>,
}

impl Sources<'_> {
    /// Returns the file of this crate that a path leads to, `None` for other crates.
    fn file_of(&self, module: &Module, path: &[String]) -> Option<Module> {
        self.follow(&self.absolute(module, path)?, 5)
    }

    fn follow(&self, path: &[String], hops: u32) -> Option<Module> {
        let depth =
            (0..=path.len()).rev().find(|depth| self.files.contains_key(&path[..*depth]))?;
        let module = path[..depth].to_vec();
        let paths = &self.files[&module];
        let passed_on = path.get(depth).filter(|_| hops > 0).and_then(|name| {
            let all = paths.exported.iter().chain(&paths.imported);
            all.filter(|passed| passed.last() == Some(name)).find_map(|passed| {
                let mut there = self.absolute(&module, passed)?;
                there.extend_from_slice(&path[depth + 1..]);
                Some(there)
            })
        });
        match passed_on {
            Some(there) => self.follow(&there, hops - 1),
            None => Some(module),
        }
    }

    /// Returns a path from the crate's root.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let ups = path.iter().take_while(|name| *name == "super").count();
        let (base, rest) = match path.first().map(String::as_str)? {
            "crate" => (&[][..], &path[1..]),
            "self" => (&module[..], &path[1..]),
            "super" => (&module[..module.len().checked_sub(ups)?], &path[ups..]),
            _ => (&module[..], path),
        };
        let there = [base, rest].concat();
        let is_here = path[0] == "crate" || path[0] == "self" || ups > 0;
        let is_child = self.files.contains_key(&there[..=module.len().min(there.len() - 1)]);
        (is_here || is_child && there.len() > module.len()).then_some(there)
    }
}

/// Cuts a text into names, `::` and single signs; comments, texts and lifetimes are left out.
fn tokens(text: &str) -> Vec<&str> {
    let (mut found, mut rest) = (vec![], text);
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(length) = literal(rest) {
            length
        } else if is_name(rest) {
            let end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
            rest.find(end).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(length);
        let is_quiet = first.is_whitespace() || token.starts_with("//") || is_literal(token);
        if !is_quiet {
            found.push(token);
        }
        rest = behind;
    }
    found
}

fn is_literal(token: &str) -> bool {
    token.len() > 1 && (token.ends_with(['"', '\'']) || token.ends_with("\"#"))
}

/// Returns the length of the text or character that begins here, if one does.
fn literal(rest: &str) -> Option<usize> {
    for (open, close) in [("r#\"", "\"#"), ("br#\"", "\"#"), ("r\"", "\"")] {
        if let Some(inner) = rest.strip_prefix(open) {
            return Some(open.len() + inner.find(close)? + close.len());
        }
    }
    let start = usize::from(rest.starts_with("b\"") || rest.starts_with("b'"));
    let quote = rest[start..].chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut escaped = false;
    for (at, sign) in rest.char_indices().skip(start + 1) {
        match sign {
            // A lifetime or a label has no closing quote right behind it.
            _ if quote == '\'' && !escaped && at > start + 1 && sign != '\'' => return None,
            '\\' if !escaped => escaped = true,
            _ if sign == quote && !escaped => return Some(at + 1),
            _ => {
                if escaped && quote == '\'' {
                    // `'\u{1f600}'`, `'\n'`
                    return rest[at..].find('\'').map(|close| at + close + 1);
                }
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    fn found(files: &[(&str, &str)]) -> Vec<Vec<Module>> {
        let files = files.iter().map(|(path, text)| (module(path), (*text).to_owned()));
        circles(&graph(&files.collect()))
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let circle = [vec![module("a"), module("b"), module("b::c")]];
        let files = [
            ("", "pub mod a; pub mod b;"),
            ("a", "use crate::b::{Deep, self};"),
            ("b", "mod c; fn f() { c::g() }"),
            ("b::c", "pub fn g() { let _ = super::super::a::h(); }"),
        ];
        assert_eq!(found(&files), circle);
    }

    #[test]
    fn a_name_that_is_passed_on_belongs_to_its_own_file() {
        let parent = "mod error; mod child; pub use error::Error; use child::run;";
        let child = "use super::Error; pub fn run() -> Error { Error }";
        let files = [("", "mod p;"), ("p", parent), ("p::error", "pub struct Error;")];
        assert!(found(&[&files[..], &[("p::child", child)]].concat()).is_empty());
        let files = [("", "mod p;"), ("p", "mod child; use child::run; struct Error;")];
        assert_eq!(found(&[&files[..], &[("p::child", child)]].concat()).len(), 1);
    }

    #[test]
    fn comments_texts_and_tests_do_not_count() {
        let text = "// use crate::b;\nconst A: &str = \"use crate::b;\"; const B: char = '\\'';\n\
                    const C: &str = r#\"crate::b::x\"#; fn f<'a>(x: &'a str) {}\n\
                    #[cfg(test)] mod tests { use crate::b::x; }";
        assert!(found(&[("", ""), ("a", text), ("b", "use crate::a::f;")]).is_empty());
    }
}
