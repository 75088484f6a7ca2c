//! Computes expressions over the series of their query's other members.

use std::collections::BTreeMap;

use super::functions;
use super::parse::{Expr, Operator};
use super::source::{Source, each};
use super::{Series, Value};

/// How many ids may refer to one another in a row.
const REFERENCES_MAX: usize = 32;

/// Computes an expression; `depth` counts the references followed so far.
pub(in crate::cloudwatch) fn evaluate(
    expr: &Expr,
    source: &dyn Source,
    depth: usize,
) -> Result<Value, String> {
    if depth > REFERENCES_MAX {
        return Err("the expressions refer to one another in a circle".to_owned());
    }
    match expr {
        Expr::Number(number) => Ok(Value::Scalar(*number)),
        Expr::Text(text) => Ok(Value::Text(text.clone())),
        Expr::Name(id) => match source.named(id, depth + 1) {
            Some(value) => value,
            None if ["REPEAT", "LINEAR"].contains(&id.as_str()) => Ok(Value::Text(id.clone())),
            None => Err(format!("`{id}` is the id of no query")),
        },
        Expr::Negate(inner) => {
            each(evaluate(inner, source, depth)?, |series| series.map(|v| -v), |v| -v)
        }
        Expr::Array(items) => {
            let mut many = Vec::new();
            for item in items {
                match evaluate(item, source, depth)? {
                    Value::Series(series) => many.push(series),
                    Value::Many(series) => many.extend(series),
                    Value::Scalar(_) | Value::Text(_) => {
                        return Err("an array holds time series only".to_owned());
                    }
                }
            }
            Ok(Value::Many(many))
        }
        Expr::Binary(operator, left, right) => {
            let (left, right) = (evaluate(left, source, depth)?, evaluate(right, source, depth)?);
            binary(*operator, left, right)
        }
        Expr::Call(name, arguments) => {
            let values = arguments
                .iter()
                .map(|argument| evaluate(argument, source, depth))
                .collect::<Result<Vec<_>, _>>()?;
            functions::call(name, &values, source)
        }
    }
}

fn binary(operator: Operator, left: Value, right: Value) -> Result<Value, String> {
    let apply = |a: f64, b: f64| compute(operator, a, b);
    Ok(match (left, right) {
        (Value::Text(text), _) | (_, Value::Text(text)) => {
            return Err(format!("`{text}` is not a number or a time series"));
        }
        (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(apply(a, b)),
        (Value::Series(a), Value::Scalar(b)) => Value::Series(a.map(|a| apply(a, b))),
        (Value::Scalar(a), Value::Series(b)) => Value::Series(b.map(|b| apply(a, b))),
        (Value::Series(a), Value::Series(b)) => Value::Series(merge(&a, &b, apply)),
        (Value::Many(many), Value::Scalar(b)) => {
            Value::Many(many.iter().map(|a| a.map(|a| apply(a, b))).collect())
        }
        (Value::Scalar(a), Value::Many(many)) => {
            Value::Many(many.iter().map(|b| b.map(|b| apply(a, b))).collect())
        }
        (Value::Many(many), Value::Series(b)) => {
            Value::Many(many.iter().map(|a| merge(a, &b, apply)).collect())
        }
        (Value::Series(a), Value::Many(many)) => Value::Many(
            many.iter().map(|b| Series { label: b.label.clone(), ..merge(&a, b, apply) }).collect(),
        ),
        (Value::Many(_), Value::Many(_)) => {
            return Err("two arrays of time series cannot be combined".to_owned());
        }
    })
}

/// Combines two series at every time that either has, the missing value being 0.
fn merge(a: &Series, b: &Series, apply: impl Fn(f64, f64) -> f64) -> Series {
    let value = |series: &Series, at_s| series.points.get(&at_s).copied().unwrap_or(0.0);
    let times = a.points.keys().chain(b.points.keys());
    let points: BTreeMap<i64, f64> = times
        .map(|at_s| (*at_s, apply(value(a, *at_s), value(b, *at_s))))
        .filter(|(_, value)| value.is_finite())
        .collect();
    a.with(points)
}

fn compute(operator: Operator, a: f64, b: f64) -> f64 {
    let truth = |truth: bool| f64::from(u8::from(truth));
    match operator {
        Operator::Or => truth(a != 0.0 || b != 0.0),
        Operator::And => truth(a != 0.0 && b != 0.0),
        Operator::Equal => truth(a == b),
        Operator::NotEqual => truth(a != b),
        Operator::AtMost => truth(a <= b),
        Operator::AtLeast => truth(a >= b),
        Operator::Below => truth(a < b),
        Operator::Above => truth(a > b),
        Operator::Plus => a + b,
        Operator::Minus => a - b,
        Operator::Times => a * b,
        Operator::Divide => a / b,
        Operator::Power => a.powf(b),
    }
}
