//! A reader that has seen enough, as `head` does: the program ends, and has not failed.

use std::io::ErrorKind;

/// Ends the program with code 0 where printing meets a closed pipe, which else is a panic.
pub(super) fn end_quietly() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        if message.is_some_and(|message| is_of_printing(message)) {
            std::process::exit(0);
        }
        usual(panic);
    }));
}

/// Recognizes the words of the standard library for a closed standard output or standard error.
fn is_of_printing(message: &str) -> bool {
    message.starts_with("failed printing to std") && message.contains("Broken pipe")
}

/// Returns whether an error is that of writing to a closed pipe.
pub(super) fn is_cause_of(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json =
            cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_closed_pipe_is_known_however_it_is_told() {
        let printing = "failed printing to stdout: Broken pipe (os error 32)";
        assert!(is_of_printing(printing) && !is_of_printing("assertion failed: Broken pipe"));
        let closed = || std::io::Error::from(ErrorKind::BrokenPipe);
        let told = Err::<(), _>(closed()).context("cannot write the rows").unwrap_err();
        assert!(is_cause_of(&told));
        assert!(is_cause_of(&anyhow::Error::new(serde_json::Error::io(closed()))));
        assert!(!is_cause_of(&anyhow::anyhow!("Broken pipe")));
    }
}
