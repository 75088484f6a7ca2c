//! Reads an expression.

/// AWS takes expressions of up to 2,048 characters.
const LENGTH_MAX: usize = 2_048;

/// Deepest nesting, far beyond what people write.
pub(super) const DEPTH_MAX: usize = 64;

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cloudwatch) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Below,
    Above,
    Plus,
    Minus,
    Times,
    Divide,
    Power,
}

use Operator::{
    Above, And, AtLeast, AtMost, Below, Divide, Equal, Minus, NotEqual, Or, Plus, Power, Times,
};

/// Operators by binding strength, weakest first; of those that begin alike the longest first.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Or), ("OR", Or)],
    &[("&&", And), ("AND", And)],
    &[("==", Equal), ("!=", NotEqual), ("<=", AtMost), (">=", AtLeast), ("<", Below), (">", Above)],
    &[("+", Plus), ("-", Minus)],
    &[("*", Times), ("/", Divide)],
    &[("^", Power)],
];

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cloudwatch) enum Expr {
    Number(f64),
    Text(String),
    /// The id of another query, or a word such as `REPEAT`.
    Name(String),
    Negate(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Call(String, Vec<Expr>),
    Array(Vec<Expr>),
}

impl Expr {
    /// Calls `visit` with this expression and all in it.
    pub(in crate::cloudwatch) fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        match self {
            Self::Negate(inner) => inner.walk(visit),
            Self::Binary(_, left, right) => {
                left.walk(visit);
                right.walk(visit);
            }
            Self::Call(_, inner) | Self::Array(inner) => {
                inner.iter().for_each(|expr| expr.walk(visit));
            }
            Self::Number(_) | Self::Text(_) | Self::Name(_) => {}
        }
    }
}

/// Reads an expression, or says what is wrong with it.
pub(in crate::cloudwatch) fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("the expression is longer than {LENGTH_MAX} characters"));
    }
    let mut parser = Parser { rest: text, depth: 0 };
    let expr = parser.level(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(other) => Err(format!("unexpected `{other}`")),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.rest = &self.rest[wanted.len_utf8()..];
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) { Ok(()) } else { Err(format!("`{wanted}` is missing")) }
    }

    fn operator(&mut self, level: usize) -> Option<Operator> {
        self.peek()?;
        let (sign, operator) = LEVELS[level].iter().find(|(sign, _)| {
            let word = sign.starts_with(char::is_alphabetic);
            self.rest.strip_prefix(sign).is_some_and(|after| !word || !after.starts_with(is_word))
        })?;
        self.rest = &self.rest[sign.len()..];
        Some(*operator)
    }

    fn level(&mut self, level: usize) -> Result<Expr, String> {
        if level == LEVELS.len() {
            return self.unary();
        }
        let mut left = self.level(level + 1)?;
        let mut operands: usize = 1;
        while let Some(operator) = self.operator(level) {
            // A chain nests to the left, and is walked recursively.
            operands += 1;
            if operands > DEPTH_MAX {
                return Err("the expression has too many operands".to_owned());
            }
            let right = self.level(level + 1)?;
            left = Expr::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("the expression is nested too deeply".to_owned());
        }
        let expr = if self.take('-') {
            // `-2^2` is -(2^2), as in arithmetic.
            Expr::Negate(Box::new(self.level(LEVELS.len() - 1)?))
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, String> {
        match self.peek() {
            None => Err("the expression ends too early".to_owned()),
            Some('(') => {
                self.expect('(')?;
                let inner = self.level(0)?;
                self.expect(')')?;
                Ok(inner)
            }
            Some('[') => {
                self.expect('[')?;
                Ok(Expr::Array(self.list(']')?))
            }
            Some(quote @ ('"' | '\'')) => self.text(quote),
            Some(digit) if digit.is_ascii_digit() || digit == '.' => self.number(),
            Some(letter) if letter.is_ascii_alphabetic() => {
                let word = self.span(is_word).to_owned();
                if self.take('(') {
                    Ok(Expr::Call(word, self.list(')')?))
                } else {
                    Ok(Expr::Name(word))
                }
            }
            Some(other) => Err(format!("unexpected `{other}`")),
        }
    }

    /// Expressions between commas up to `end`.
    fn list(&mut self, end: char) -> Result<Vec<Expr>, String> {
        let mut items = Vec::new();
        if self.take(end) {
            return Ok(items);
        }
        loop {
            items.push(self.level(0)?);
            if self.take(end) {
                return Ok(items);
            }
            self.expect(',')?;
        }
    }

    fn text(&mut self, quote: char) -> Result<Expr, String> {
        self.expect(quote)?;
        let (text, rest) =
            self.rest.split_once(quote).ok_or_else(|| format!("`{quote}` is not closed"))?;
        self.rest = rest;
        Ok(Expr::Text(text.to_owned()))
    }

    fn number(&mut self) -> Result<Expr, String> {
        let digits = self.span(|c| c.is_ascii_digit() || c == '.');
        digits.parse().map(Expr::Number).map_err(|_| format!("`{digits}` is not a number"))
    }

    fn span(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (span, rest) = self.rest.split_at(end);
        self.rest = rest;
        span
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
