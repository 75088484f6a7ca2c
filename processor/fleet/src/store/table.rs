//! Creating the lease table, and how its errors are told apart.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};

use super::dynamo::DynamoRows;
use super::{StoreError, attributes};
use aws_calls::persist;

/// A new table is ACTIVE within seconds; KCL gives up after 600 s too.
const ACTIVE_POLLS_MAX: u32 = 600;
const ACTIVE_POLL: Duration = Duration::from_secs(1);

impl DynamoRows {
    /// Creates the table as KCL does (key `leaseKey`, on-demand) unless it exists, and waits
    /// until it is ACTIVE.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(super) async fn ensure_table(&self) -> Result<(), StoreError> {
        for _ in 0..ACTIVE_POLLS_MAX {
            match self.describe().await? {
                Some((TableStatus::Active | TableStatus::Updating, key)) => {
                    return self.check_key(&key);
                }
                Some(_) => tokio::time::sleep(ACTIVE_POLL).await,
                None => self.create_table().await?,
            }
        }
        Err(self.refused("DescribeTable", "the table does not become ACTIVE".to_owned()))
    }

    /// Makes sure that the table exists and has the key of a lease table. Who may not describe
    /// the table is believed.
    ///
    /// # Errors
    /// It does not exist, is another table, or does not answer; see [`StoreError`].
    pub(super) async fn check_table(&self) -> Result<(), StoreError> {
        match self.describe().await {
            Ok(Some((_, key))) => self.check_key(&key),
            Ok(None) => Err(self.refused(
                "DescribeTable",
                "there is no such table; a worker creates it, or check fleet.lease_table"
                    .to_owned(),
            )),
            Err(StoreError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn check_key(&self, key: &[String]) -> Result<(), StoreError> {
        // An endpoint that does not say it is believed.
        if key.is_empty() || key == [attributes::LEASE_KEY] {
            return Ok(());
        }
        let key = key.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
        Err(StoreError::NotALeaseTable { table: self.table.clone(), key })
    }

    /// Returns the table's status and key attributes; `None` if there is no such table.
    async fn describe(&self) -> Result<Option<(TableStatus, Vec<String>)>, StoreError> {
        let request = self.client.describe_table().table_name(&self.table);
        let output = match persist(self.retry, || request.clone().send()).await {
            Ok(output) => output,
            Err(error) if aws_calls::code(&error) == Some("ResourceNotFoundException") => {
                return Ok(None);
            }
            Err(error) => return Err(self.failed("DescribeTable", &error)),
        };
        let Some(table) = output.table else {
            return Ok(Some((TableStatus::Creating, Vec::new())));
        };
        let key = table.key_schema.unwrap_or_default();
        let key = key.into_iter().map(|part| part.attribute_name).collect();
        Ok(Some((table.table_status.unwrap_or(TableStatus::Creating), key)))
    }

    async fn create_table(&self) -> Result<(), StoreError> {
        let key = attributes::LEASE_KEY;
        let element = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash);
        let definition = AttributeDefinition::builder()
            .attribute_name(key)
            .attribute_type(ScalarAttributeType::S);
        let request = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(element.build().expect("name and type are set"))
            .attribute_definitions(definition.build().expect("name and type are set"));
        match persist(self.retry, || request.clone().send()).await {
            Ok(_) => Ok(()),
            // Another worker was faster.
            Err(error) if aws_calls::code(&error) == Some("ResourceInUseException") => Ok(()),
            Err(error) => Err(self.failed("CreateTable", &error)),
        }
    }

    /// Names the failure of a call after all its tries.
    pub(super) fn failed<E>(&self, operation: &'static str, error: &SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if !aws_calls::is_transient(error) {
            return self.refused(operation, aws_calls::explain(error));
        }
        StoreError::Unreachable {
            table: self.table.clone(),
            operation,
            attempts: self.retry.attempts,
            last: aws_calls::explain(error),
        }
    }

    pub(super) fn refused(&self, operation: &'static str, reason: String) -> StoreError {
        StoreError::Refused { table: self.table.clone(), operation, reason }
    }
}
