//! Conditional writes, several to a call: DynamoDB's BatchExecuteStatement, and what its answers mean.

mod statement;

use std::sync::atomic::AtomicU64;

use aws_sdk_dynamodb::types::{BatchStatementError, BatchStatementErrorCodeEnum as Code};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::pool::{Answer, Calls, Left};
use crate::items::codec::Item;
use crate::sink::stats::Stats;
pub(super) use statement::Statement;

/// The answer to a write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    /// The item is there as it was given.
    Stored,
    /// The condition failed; here is what is stored, if it was told.
    Refused(Option<Item>),
}

/// Calls of DynamoDB.
#[derive(Debug)]
pub(super) struct Writes(pub(super) aws_sdk_dynamodb::Client);

impl Calls for Writes {
    type Wanted = Statement;
    type Told = Written;

    const MAX_MEMBERS: usize = 25;
    const ADVICE: &'static str = "allow dynamodb:PartiQLInsert and dynamodb:PartiQLUpdate on both tables (the CDK app of this \
         release does) and start again, or set tables.batch_writes = false";

    fn hash(statement: &Statement) -> u64 {
        statement.hash
    }

    fn bytes(statement: &Statement) -> usize {
        statement.json.len()
    }

    fn counters(stats: &Stats) -> [&AtomicU64; 2] {
        [&stats.batch_write_calls, &stats.batch_writes]
    }

    // One try: what fails is put by itself, and that is tried often enough.
    fn call<'a>(&'a self, statements: &'a [Statement]) -> BoxFuture<'a, Vec<Answer<Written>>> {
        async move {
            let call = self.0.batch_execute_statement().customize();
            match call.interceptor(statement::body(statements)).send().await {
                Ok(answer) => {
                    let answers = answer.responses().iter();
                    answers.map(|each| meaning(each.error.as_ref())).collect()
                }
                Err(error) => vec![Err(Left::by(&error)); statements.len()],
            }
        }
        .boxed()
    }
}

/// Returns the meaning of a statement's answer.
fn meaning(error: Option<&BatchStatementError>) -> Answer<Written> {
    let Some(error) = error else { return Ok(Written::Stored) };
    match &error.code {
        Some(Code::DuplicateItem) => Ok(Written::Refused(None)),
        Some(Code::ConditionalCheckFailed) => Ok(Written::Refused(error.item.clone())),
        Some(
            Code::InternalServerError
            | Code::ProvisionedThroughputExceeded
            | Code::RequestLimitExceeded
            | Code::ThrottlingError
            | Code::TransactionConflict,
        ) => Err(Left::Later),
        Some(Code::AccessDenied) => {
            Err(Left::Denied(error.message.clone().unwrap_or_else(|| "AccessDenied".to_owned())))
        }
        code => {
            let code = code.as_ref().map_or("no code", Code::as_str);
            Err(Left::Refused(format!("{code}: {}", error.message.as_deref().unwrap_or_default())))
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    #[test]
    fn only_a_statement_without_an_error_has_stored_its_item() {
        let said = |code: &str| {
            let error = BatchStatementError::builder().code(code.into()).message("why").build();
            meaning(Some(&error))
        };
        assert_eq!(meaning(None), Ok(Written::Stored));
        for code in ["DuplicateItem", "ConditionalCheckFailed"] {
            assert_eq!(said(code), Ok(Written::Refused(None)), "{code}");
        }
        let note = AttributeValue::S("n".to_owned());
        let error = BatchStatementError::builder().code(Code::ConditionalCheckFailed);
        let error = error.item("note", note.clone()).build();
        let stored = Item::from([("note".to_owned(), note)]);
        assert_eq!(meaning(Some(&error)), Ok(Written::Refused(Some(stored))));
        assert_eq!(said("AccessDenied"), Err(Left::Denied("why".to_owned())));
        for code in ["ThrottlingError", "ProvisionedThroughputExceeded", "InternalServerError"] {
            assert_eq!(said(code), Err(Left::Later), "{code}");
        }
        for code in ["ValidationError", "ResourceNotFound", "Newer"] {
            assert_eq!(said(code), Err(Left::Refused(format!("{code}: why"))));
        }
        let unnamed = meaning(Some(&BatchStatementError::builder().build()));
        assert_eq!(unnamed, Err(Left::Refused("no code: ".to_owned())));
    }
}
