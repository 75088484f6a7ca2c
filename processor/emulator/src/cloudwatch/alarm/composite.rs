//! Composite alarms: `ALARM("a") AND NOT (OK(b) OR INSUFFICIENT_DATA(c))`.

use super::decide::State;
use crate::service::AwsError;

/// AWS's bounds.
const RULE_CHARS_MAX: usize = 10_240;
const CHILDREN_MAX: usize = 100;
/// Deepest nesting of a rule that is read.
const DEPTH_MAX: usize = 64;

/// A rule, parsed.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cloudwatch) enum Rule {
    Constant(bool),
    /// Whether an alarm, by name, is in a state.
    Is(State, String),
    Not(Box<Rule>),
    And(Vec<Rule>),
    Or(Vec<Rule>),
}

fn refused(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ValidationError", message)
}

/// Checks what `PutCompositeAlarm` asks for and reads its rule.
pub(in crate::cloudwatch) fn check(name: &str, rule: &str) -> Result<Rule, AwsError> {
    if name.is_empty() || name.len() > 255 {
        return Err(refused("AlarmName must have 1 to 255 characters."));
    }
    if rule.len() > RULE_CHARS_MAX {
        return Err(refused(format!("AlarmRule has at most {RULE_CHARS_MAX} characters.")));
    }
    let rule = parse(rule).map_err(|error| refused(format!("Invalid AlarmRule: {error}")))?;
    if rule.children().len() > CHILDREN_MAX {
        return Err(refused(format!("A rule names at most {CHILDREN_MAX} alarms.")));
    }
    Ok(rule)
}

impl Rule {
    /// Returns whether the rule holds, given the state of each alarm; one that does not exist is in
    /// none.
    pub(in crate::cloudwatch) fn holds(&self, state: &dyn Fn(&str) -> Option<State>) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::Is(wanted, alarm) => state(alarm) == Some(*wanted),
            Self::Not(rule) => !rule.holds(state),
            Self::And(rules) => rules.iter().all(|rule| rule.holds(state)),
            Self::Or(rules) => rules.iter().any(|rule| rule.holds(state)),
        }
    }

    /// Returns the alarms it names.
    pub(in crate::cloudwatch) fn children(&self) -> Vec<&str> {
        match self {
            Self::Constant(_) => Vec::new(),
            Self::Is(_, alarm) => vec![alarm],
            Self::Not(rule) => rule.children(),
            Self::And(rules) | Self::Or(rules) => rules.iter().flat_map(Self::children).collect(),
        }
    }
}

fn parse(text: &str) -> Result<Rule, String> {
    let mut parser = Parser { rest: text.trim_start() };
    let rule = parser.any_of(0)?;
    if parser.rest.is_empty() { Ok(rule) } else { Err(format!("`{}` is left over", parser.rest)) }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start();
    }

    fn word(&self) -> &'a str {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        &self.rest[..end.unwrap_or(self.rest.len())]
    }

    fn take(&mut self, word: &str) -> bool {
        let is_next = self.word().eq_ignore_ascii_case(word);
        if is_next {
            self.advance(word.len());
        }
        is_next
    }

    fn symbol(&mut self, symbol: char) -> Result<(), String> {
        if !self.rest.starts_with(symbol) {
            return Err(format!("`{symbol}` is expected before `{}`", self.rest));
        }
        self.advance(1);
        Ok(())
    }

    /// `a OR b`: binds weakest.
    fn any_of(&mut self, depth: usize) -> Result<Rule, String> {
        let mut rules = vec![self.all_of(depth)?];
        while self.take("OR") {
            rules.push(self.all_of(depth)?);
        }
        Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::Or(rules) })
    }

    fn all_of(&mut self, depth: usize) -> Result<Rule, String> {
        let mut rules = vec![self.one(depth)?];
        while self.take("AND") {
            rules.push(self.one(depth)?);
        }
        Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::And(rules) })
    }

    fn one(&mut self, depth: usize) -> Result<Rule, String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        if self.take("NOT") {
            return Ok(Rule::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take("TRUE") {
            return Ok(Rule::Constant(true));
        }
        if self.take("FALSE") {
            return Ok(Rule::Constant(false));
        }
        for (word, state) in [
            ("ALARM", State::Alarm),
            ("OK", State::Ok),
            ("INSUFFICIENT_DATA", State::InsufficientData),
        ] {
            if self.take(word) {
                self.symbol('(')?;
                let alarm = self.alarm()?;
                self.symbol(')')?;
                return Ok(Rule::Is(state, alarm));
            }
        }
        self.symbol('(')?;
        let rule = self.any_of(depth + 1)?;
        self.symbol(')')?;
        Ok(rule)
    }

    /// Returns a name or an ARN, in quotes or not.
    fn alarm(&mut self) -> Result<String, String> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (inside, end) = match quote {
            Some(quote) => (&self.rest[1..], quote),
            None => (self.rest, ')'),
        };
        let length = inside.find(end).ok_or_else(|| format!("`{end}` is missing"))?;
        let name = inside[..length].trim();
        let name = name.rsplit_once(":alarm:").map_or(name, |(_, name)| name).to_owned();
        self.advance(length + if quote.is_some() { 2 } else { 0 });
        if name.is_empty() { Err("the name of an alarm is missing".to_owned()) } else { Ok(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(rule: &str) -> bool {
        let state = |name: &str| match name {
            "high" => Some(State::Alarm),
            "low" => Some(State::Ok),
            _ => None,
        };
        parse(rule).unwrap().holds(&state)
    }

    #[test]
    fn rules_bind_as_in_aws() {
        assert!(holds("ALARM(high)"));
        assert!(holds("ALARM(\"low\") OR OK(low) AND NOT ALARM(low)"));
        assert!(!holds("(ALARM(high) OR ALARM(low)) AND ALARM(low)"));
        assert!(holds("alarm(\"arn:aws:cloudwatch:us-east-1:000000000000:alarm:high\")"));
        assert!(!holds("OK(absent) or insufficient_data(absent) or FALSE"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for bad in
            ["", "ALARM", "ALARM(a", "ALARM(a) ALARM(b)", "MAYBE(a)", "ALARM(a) AND", "ALARM()"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&format!("{}TRUE{}", "(".repeat(100), ")".repeat(100))).is_err());
    }
}
