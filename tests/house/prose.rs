//! How comments are written: functions begin with a verb, types with a noun, and none needs to be
//! read twice.

/// A comment that breaks a rule: its line, counted from 1, and its text.
pub(crate) type Finding = (usize, String);

/// Turns of phrase that are read twice.
const CLUMSY: [&str; 5] = ["/// What ", "//! What ", " which is no ", " that is no ", " it is no "];

/// Verbs with which comments of functions begin, and so not those of types.
const VERBS: [&str; 24] = [
    "Adds", "Asks", "Builds", "Carries", "Checks", "Compares", "Cuts", "Decides", "Finds", "Folds",
    "Gives", "Hands", "Keeps", "Makes", "Prints", "Puts", "Reads", "Returns", "Runs", "Sends",
    "Shows", "Takes", "Tells", "Writes",
];

/// Returns the comments of a file that need to be read twice.
pub(crate) fn clumsy(text: &str) -> Vec<Finding> {
    let comments = text.lines().enumerate().filter(|(_, line)| line.trim().starts_with("//"));
    comments
        .filter(|(_, line)| CLUMSY.iter().any(|words| line.contains(words)))
        .map(|(at, line)| (at + 1, line.trim().to_owned()))
        .collect()
}

/// Returns the summaries of public functions that do not begin with a verb in the third person, of
/// functions that are said to return something and do not, and of types that begin with a verb.
pub(crate) fn wrong_openings(text: &str) -> Vec<Finding> {
    let mut found = vec![];
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let Some(summary) = line.trim().strip_prefix("/// ") else { continue };
        while lines.next_if(|(_, line)| line.trim().starts_with("///")).is_some() {}
        let mut code = lines.by_ref().map(|(_, line)| line.trim());
        let item = code.find(|line| !is_attribute(line)).unwrap_or_default();
        let first = summary.split([' ', ',', '.', ':']).next().unwrap_or_default();
        let is_wrong = match kind(item) {
            Some(Kind::Function { is_public }) => {
                let is_verb = !is_public || is_verb(first);
                let promises =
                    first == "Returns" && !WHEN.iter().any(|when| summary.contains(when));
                let ends = |line: &str| line.ends_with(['{', ';', '}']);
                let mut signature = item.to_owned();
                while !ends(&signature)
                    && let Some(line) = code.next()
                {
                    signature = format!("{signature} {line}");
                }
                !is_verb || promises && !gives_something(&signature)
            }
            Some(Kind::Type) => VERBS.contains(&first),
            None => false,
        };
        if is_wrong {
            found.push((at + 1, summary.to_owned()));
        }
    }
    found
}

enum Kind {
    Function { is_public: bool },
    Type,
}

/// Openings that say when a function returns, not what.
const WHEN: [&str; 2] = ["Returns once ", "Returns at "];

/// Returns whether a signature names a result that is not `()`.
fn gives_something(signature: &str) -> bool {
    let signature = signature.split_once(" where ").map_or(signature, |(before, _)| before);
    signature.rsplit_once(") -> ").is_some_and(|(_, result)| !result.starts_with("Result<(),"))
}

/// Tells what a line declares.
fn kind(line: &str) -> Option<Kind> {
    let (words, is_public) = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => (rest.split_once(") ")?.1, true),
        Some(rest) => (rest.trim_start(), true),
        None => (line, false),
    };
    let mut words = words.split(' ').skip_while(|word| matches!(*word, "const" | "async"));
    match words.next()? {
        "fn" => Some(Kind::Function { is_public }),
        "struct" | "enum" | "trait" | "type" => Some(Kind::Type),
        _ => None,
    }
}

/// Returns whether a line belongs to an attribute, as far as lines tell.
fn is_attribute(line: &str) -> bool {
    line.starts_with("#[") || line.ends_with(")]") || line.ends_with(',') && !line.contains("fn ")
}

/// Returns whether a word is a verb in the third person, by its form.
fn is_verb(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.ends_with('s')
        && !["'s", "ss"].iter().any(|end| word.ends_with(end))
        && !["This", "Its"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_judged_by_the_item() {
        let lines = |text| wrong_openings(text).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(
            lines("/// Returns it.\npub fn a() -> u8 {}\n/// N.\n#[must_use]\npub fn b() {}"),
            [3]
        );
        assert_eq!(lines("/// This time.\n    pub(crate) const fn a() {}"), [1]);
        assert_eq!(lines("/// Reads.\n///\n/// More.\n#[derive(Debug)]\nstruct A;"), [1]);
        assert_eq!(lines("/// Returns one step.\nfn a(\n    b: u8,\n) -> Result<(), E> {"), [1]);
        assert!(lines("/// Returns it.\nfn a(\n    b: u8,\n) -> Result<u8, E> {").is_empty());
        assert!(lines("/// The reader.\nstruct A {\n    /// Reads.\n    a: u8,\n}").is_empty());
    }
}
