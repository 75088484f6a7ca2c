//! Texts from outside on a terminal: the one filter that all of them pass. Ids, titles, names of files
//! and what stands in them come from anybody, and a terminal obeys control characters.

use std::fmt::{self, Display, Write};

use serde::Serialize;

/// Shows a text of several lines with what a terminal would obey escaped, line feeds apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printable<T>(pub(crate) T);

/// Shows a text that belongs on one line: line feeds are escaped too, or it could pretend to be
/// a line of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneLine<T>(pub(crate) T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_unfit = |character| is_unfit(character) && character != '\n';
        write!(Escaping { to: f, is_unfit, escape: in_rust }, "{}", self.0)
    }
}

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { to: f, is_unfit, escape: in_rust }, "{}", self.0)
    }
}

/// Returns a value as one line of JSON, which says the same and has nothing in it that a terminal
/// obeys.
///
/// # Errors
/// When the value cannot be JSON.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let (text, mut line) = (serde_json::to_string(value)?, String::new());
    // Only texts inside can hold such characters, where this is their other form.
    let mut escaping = Escaping { to: &mut line, is_unfit, escape: in_json };
    escaping.write_str(&text).expect("a text takes everything");
    Ok(line)
}

/// Returns whether a character is a control character, or turns the order in which others are shown.
fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

fn in_rust(character: char, to: &mut dyn Write) -> fmt::Result {
    write!(to, "{}", character.escape_unicode())
}

/// None of them is beyond four digits.
fn in_json(character: char, to: &mut dyn Write) -> fmt::Result {
    write!(to, "\\u{:04x}", u32::from(character))
}

struct Escaping<W, U> {
    to: W,
    is_unfit: U,
    escape: fn(char, &mut dyn Write) -> fmt::Result,
}

impl<W: Write, U: Fn(char) -> bool> Write for Escaping<W, U> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.contains(&self.is_unfit) {
            return self.to.write_str(text);
        }
        for character in text.chars() {
            if (self.is_unfit)(character) {
                (self.escape)(character, &mut self.to)?;
            } else {
                self.to.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "a\u{1b}[2J\u{9b}1m\0\r\nチ\u{202e}שלום\u{2028}";

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        let shown = "a\\u{1b}[2J\\u{9b}1m\\u{0}\\u{d}\nチ\\u{202e}שלום\\u{2028}";
        assert_eq!(Printable(ODD).to_string(), shown);
        assert_eq!(OneLine(ODD).to_string(), shown.replace('\n', "\\u{a}"));
    }

    #[test]
    fn json_says_the_same() {
        let line = json(&serde_json::json!({ "id": ODD })).unwrap();
        assert!(!line.contains(is_unfit), "{line:?}");
        let again: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(again["id"], ODD);
    }
}
