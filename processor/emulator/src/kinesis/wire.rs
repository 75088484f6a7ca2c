//! Reading requests: names, ARNs, ranges, with AWS's words for what is wrong.

use serde::Deserialize;

use crate::service::AwsError;

/// The stream a request means, by name or ARN.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Target {
    pub(super) stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    pub(super) stream_arn: Option<String>,
}

impl Target {
    /// Returns the stream's name.
    pub(super) fn name(&self) -> Result<&str, AwsError> {
        stream_name(self.stream_name.as_deref(), self.stream_arn.as_deref())
    }

    /// Returns whether the request names any stream.
    pub(super) fn is_given(&self) -> bool {
        self.stream_name.is_some() || self.stream_arn.is_some()
    }
}

/// Returns the stream's name out of a name, an ARN or both, if they agree.
pub(super) fn stream_name<'a>(
    name: Option<&'a str>,
    arn: Option<&'a str>,
) -> Result<&'a str, AwsError> {
    if let Some(name) = name {
        check_name("streamName", name)?;
    }
    let of_arn = match arn {
        None => None,
        Some(arn) => Some(name_of_arn(arn).ok_or_else(|| {
            invalid_value("streamARN", arn, "Member must be the ARN of a stream")
        })?),
    };
    match (name, of_arn) {
        (Some(name), Some(of_arn)) if name != of_arn => {
            Err(invalid_argument("StreamARN and StreamName name different streams"))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(invalid_argument("Either StreamName or StreamARN must be provided.")),
    }
}

/// `arn:aws:kinesis:<region>:<account>:stream/<name>[/consumer/<consumer>:<created>]`.
fn name_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let is_kinesis = parts.next() == Some("arn") && parts.nth(1) == Some("kinesis");
    let resource = parts.nth(2).filter(|_| is_kinesis)?;
    let name = resource.strip_prefix("stream/")?.split('/').next()?;
    (!name.is_empty()).then_some(name)
}

/// Returns the consumer's name, and its creation second, out of a consumer's ARN.
pub(super) fn consumer_of_arn(arn: &str) -> Option<(&str, u64)> {
    let (_, consumer) = arn.split_once("/consumer/")?;
    let (name, created_s) = consumer.split_once(':')?;
    Some((name, created_s.parse().ok()?))
}

/// Names have 1 to 128 letters, digits, `_`, `.` and `-`.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), AwsError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.is_empty() {
        let constraint = "Member must have length greater than or equal to 1";
        return Err(invalid_value(field, name, constraint));
    }
    if !name.bytes().all(legal) {
        let constraint = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
        return Err(invalid_value(field, name, constraint));
    }
    if name.len() > 128 {
        let constraint = "Member must have length less than or equal to 128";
        return Err(invalid_value(field, name, constraint));
    }
    Ok(())
}

/// Returns a count within bounds, or `default` if none is given.
pub(super) fn bounded(
    field: &str,
    value: Option<i64>,
    range: std::ops::RangeInclusive<u32>,
    default: u32,
) -> Result<u32, AwsError> {
    let Some(value) = value else { return Ok(default) };
    match u32::try_from(value) {
        Ok(value) if range.contains(&value) => Ok(value),
        Ok(value) if value > *range.end() => {
            let most = range.end();
            let constraint = format!("Member must have value less than or equal to {most}");
            Err(invalid_value(field, &value.to_string(), &constraint))
        }
        _ => {
            let least = range.start();
            let constraint = format!("Member must have value greater than or equal to {least}");
            Err(invalid_value(field, &value.to_string(), &constraint))
        }
    }
}

/// Returns a required field's value.
pub(super) fn required<'a, T: ?Sized>(
    field: &str,
    value: Option<&'a T>,
) -> Result<&'a T, AwsError> {
    value.ok_or_else(|| missing(field))
}

fn missing(field: &str) -> AwsError {
    validation(format!(
        "1 validation error detected: Value null at '{field}' failed to satisfy constraint: \
         Member must not be null"
    ))
}

/// Reads a request's body; none at all is an empty object.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, AwsError> {
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        match text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            Some(field) => missing(field),
            None => AwsError::bad_request("SerializationException", text),
        }
    })
}

/// Returns seconds since the epoch, as JSON has them, in milliseconds, rounded up.
pub(super) fn timestamp_ms(seconds: f64) -> u64 {
    // Whatever float noise lies below a microsecond is the encoder's, not the caller's.
    let ms = (seconds * 1e3 - 1e-3).ceil().max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and a float beyond 64 bits saturates"
    )]
    let ms = ms as u64;
    ms
}

/// Returns a time as JSON has it: seconds with three decimals.
pub(super) fn seconds(ms: u64) -> serde_json::Value {
    #[expect(clippy::cast_precision_loss, reason = "exact until the year 287,000")]
    let seconds = ms as f64 / 1e3;
    seconds.into()
}

pub(super) fn validation(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ValidationException", message)
}

pub(super) fn invalid_value(field: &str, value: &str, constraint: &str) -> AwsError {
    validation(format!(
        "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: \
         {constraint}"
    ))
}

pub(super) fn invalid_argument(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidArgumentException", message)
}

pub(super) fn not_found(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ResourceNotFoundException", message)
}

pub(super) fn in_use(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ResourceInUseException", message)
}

pub(super) fn limit_exceeded(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("LimitExceededException", message)
}

/// Returns the service's own failure, HTTP 500.
pub(super) fn internal(message: impl Into<String>) -> AwsError {
    AwsError { status: 500, code: "InternalFailureException", message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_known_by_name_or_arn() {
        let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/events";
        assert_eq!(stream_name(None, Some(arn)).unwrap(), "events");
        assert_eq!(stream_name(Some("events"), Some(arn)).unwrap(), "events");
        assert_eq!(
            stream_name(Some("other"), Some(arn)).unwrap_err().code,
            "InvalidArgumentException"
        );
        assert_eq!(stream_name(None, None).unwrap_err().code, "InvalidArgumentException");
        for bad in ["", "a b", "é", &"x".repeat(129)] {
            assert_eq!(
                stream_name(Some(bad), None).unwrap_err().code,
                "ValidationException",
                "{bad}"
            );
        }
        for bad in ["events", "arn:aws:sns:us-east-1:0:stream/events", "arn:aws:kinesis:::stream/"]
        {
            assert_eq!(
                stream_name(None, Some(bad)).unwrap_err().code,
                "ValidationException",
                "{bad}"
            );
        }
        let consumer = format!("{arn}/consumer/worker:1700000000");
        assert_eq!(stream_name(None, Some(&consumer)).unwrap(), "events");
        assert_eq!(consumer_of_arn(&consumer), Some(("worker", 1_700_000_000)));
    }

    #[test]
    fn times_keep_their_milliseconds() {
        for ms in [0, 1, 999, 1_700_000_000_123, 1_700_000_000_001] {
            let text = seconds(ms).to_string();
            assert_eq!(timestamp_ms(text.parse().unwrap()), ms, "{text}");
        }
        assert_eq!(timestamp_ms(-5.0), 0);
        assert_eq!(timestamp_ms(f64::NAN), 0);
    }
}
