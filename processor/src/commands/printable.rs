//! Texts from outside on a terminal.

use std::fmt::{self, Display, Write as _};

/// A value with its control characters escaped, line feeds apart: a terminal obeys them, and
/// ids, titles and file names are anybody's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printable<T>(pub(crate) T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_unfit = |character: char| character.is_control() && character != '\n';
        if !text.contains(is_unfit) {
            return self.0.write_str(text);
        }
        for character in text.chars() {
            if is_unfit(character) {
                write!(self.0, "{}", character.escape_unicode())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        let shown = Printable("a\u{1b}[2J\u{9b}1m\0\r\nチ").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\u{9b}1m\\u{0}\\u{d}\nチ");
    }
}
