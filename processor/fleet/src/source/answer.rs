//! The answer of GetRecords, read where it lies.
//!
//! The SDK makes a text and a buffer for each member of each record, which of a backlog of millions
//! is most of what reading costs. Its deserializer is replaced for this one operation, as the SDK
//! allows: what reads an answer is a value in the configuration of a call. The usual answer is
//! scanned ([`scan`]) and its payloads decoded into one buffer, which its records share; any other is
//! left to the SDK.

mod scan;

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_kinesis::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_sdk_kinesis::operation::get_records::{GetRecords, GetRecordsOutput};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_schema::protocol::SharedClientProtocol;
use kinesis_model::Record;

/// The content type of the answers that [`scan`] knows.
const JSON: &str = "application/x-amz-json-1.1";

/// Reads the answer of one call; its records are taken from here afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct InPlace(Arc<Mutex<Option<Vec<Record>>>>);

impl InPlace {
    /// Takes the records out; `None` if the SDK read the answer, and has them in its output.
    pub(super) fn take(&self) -> Option<Vec<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for InPlace {
    fn name(&self) -> &'static str {
        "InPlace"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if response.status().is_success() && response.headers().get("content-type") == Some(JSON) {
            let reading = SharedResponseDeserializer::new(self.clone());
            config.interceptor_state().store_put(reading);
        }
        Ok(())
    }
}

impl DeserializeResponse for InPlace {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        config: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        let Some(answer) = response.body().bytes().and_then(scan::answer) else {
            return by_the_sdk(response, config).map_err(OrchestratorError::other);
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.records);
        let output = GetRecordsOutput::builder()
            .set_records(Some(Vec::new()))
            .set_next_shard_iterator(answer.next_iterator)
            .set_millis_behind_latest(answer.behind_ms)
            .build()
            .map_err(OrchestratorError::other)?;
        Ok(Output::erase(output))
    }
}

/// Reads an answer as the SDK does by itself.
fn by_the_sdk(response: &HttpResponse, config: &ConfigBag) -> Result<Output, BoxError> {
    let protocol = config.load::<SharedClientProtocol>().ok_or("the client has no protocol")?;
    let mut members = protocol.deserialize_response(response, GetRecords::OUTPUT_SCHEMA, config)?;
    Ok(Output::erase(GetRecordsOutput::deserialize(&mut *members)?))
}
