//! STS: who the caller is, always the endpoint's own account.

use std::sync::Arc;

use axum::response::Response;

use crate::query;
use crate::query::element;
use crate::service::{AwsError, Call, Shared};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The service.
#[derive(Debug)]
pub(crate) struct Sts {
    shared: Arc<Shared>,
}

impl Sts {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Answers one call.
    pub(crate) async fn call(&self, call: Call) -> Response {
        if call.operation != "GetCallerIdentity" {
            return query::refuse(NAMESPACE, &AwsError::unknown_operation(&call));
        }
        let account = &self.shared.account;
        let identity = [
            element("Arn", &format!("arn:aws:iam::{account}:root")),
            element("UserId", account),
            element("Account", account),
        ];
        query::answer(NAMESPACE, &call.operation, &identity.concat())
    }
}
