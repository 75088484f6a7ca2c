//! DynamoDB's BatchExecuteStatement, and what its answers mean for an insert.

use aws_calls::{code, explain, is_transient};
use aws_sdk_dynamodb::types::{BatchStatementError, BatchStatementErrorCodeEnum as Code};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::seam::{InsertCalls, Inserted};
use super::statement::{Statement, body};

/// Codes of a call that say: never, whatever is in it.
const DENIED: [&str; 2] = ["AccessDeniedException", "UnknownOperationException"];

/// Calls of DynamoDB.
#[derive(Debug)]
pub(super) struct Batches(pub(super) aws_sdk_dynamodb::Client);

impl InsertCalls for Batches {
    // One try: what fails is put by itself, and that is tried often enough.
    fn insert<'a>(&'a self, statements: &'a [Statement]) -> BoxFuture<'a, Vec<Inserted>> {
        async move {
            let call = self.0.batch_execute_statement().customize();
            let error = match call.interceptor(body(statements)).send().await {
                Ok(answer) => {
                    let answers = answer.responses().iter();
                    return answers.map(|each| meaning(each.error.as_ref())).collect();
                }
                Err(error) => error,
            };
            let reason = explain(&error);
            tracing::debug!(reason, "a call that inserts rows failed: they are put one by one");
            let meaning = match code(&error) {
                _ if is_transient(&error) => Inserted::Later,
                Some(code) if DENIED.contains(&code) => Inserted::Denied(reason),
                _ => Inserted::No,
            };
            vec![meaning; statements.len()]
        }
        .boxed()
    }
}

/// Returns the meaning of a statement's answer.
fn meaning(error: Option<&BatchStatementError>) -> Inserted {
    let Some(error) = error else { return Inserted::Stored };
    match &error.code {
        Some(Code::DuplicateItem) => Inserted::Duplicate,
        Some(
            Code::InternalServerError
            | Code::ProvisionedThroughputExceeded
            | Code::RequestLimitExceeded
            | Code::ThrottlingError
            | Code::TransactionConflict,
        ) => Inserted::Later,
        Some(Code::AccessDenied) => {
            Inserted::Denied(error.message.clone().unwrap_or_else(|| "AccessDenied".to_owned()))
        }
        _ => Inserted::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_statement_without_an_error_has_stored_its_item() {
        let said = |code: &str| {
            let error = BatchStatementError::builder().code(code.into()).message("why").build();
            meaning(Some(&error))
        };
        assert_eq!(meaning(None), Inserted::Stored);
        assert_eq!(said("DuplicateItem"), Inserted::Duplicate);
        assert_eq!(said("AccessDenied"), Inserted::Denied("why".to_owned()));
        for code in ["ThrottlingError", "ProvisionedThroughputExceeded", "InternalServerError"] {
            assert_eq!(said(code), Inserted::Later, "{code}");
        }
        for code in ["ValidationError", "ResourceNotFound", "ConditionalCheckFailed", "Newer"] {
            assert_eq!(said(code), Inserted::No, "{code}");
        }
        assert_eq!(meaning(Some(&BatchStatementError::builder().build())), Inserted::No);
    }
}
