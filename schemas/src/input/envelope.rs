//! The EventBridge envelope around every IVS event. Its type parameters are the text in
//! `detail-type`, the type of `detail`, and whether there must be a resource.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Id, Rfc3339};

/// The `source` of an IVS event: `aws.ivs`, or a stand-in such as `local.ivs`, because PutEvents
/// refuses sources of AWS; `reconciler` where a worker asked IVS for what never came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("pattern" = r"(\.ivs|^reconciler)$"))]
pub struct IvsSource(pub String);

/// The ARN of a channel, stage or composition. More may follow it, up to 2,000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(
    inline,
    extend(
        "items" = { "type": "string", "minLength": 1, "maxLength": 256, "pattern": "[^/]$" },
        "minItems" = 1,
        "maxItems" = 2_000
    )
)]
pub struct Resources(pub Vec<String>);

/// The same where an event may concern the account, and so have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(
    inline,
    extend(
        "items" = { "type": "string", "minLength": 1, "maxLength": 256 },
        "maxItems" = 2_000
    )
)]
pub struct ResourcesIfAny(pub Vec<String>);

/// An EventBridge event from IVS.
///
/// IVS is a best-effort source: events may be missing, repeated, hours late and out of order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Envelope<Kind, Detail, Arns> {
    /// Version of the envelope, `"0"` as a rule.
    pub version: Option<String>,
    /// Id of the event, in the shape of a UUID.
    pub id: Id,
    /// The kind of event.
    #[serde(rename = "detail-type")]
    pub detail_type: Kind,
    /// `aws.ivs`, a stand-in that ends in `.ivs`, or `reconciler`.
    pub source: IvsSource,
    /// Account id, 12 digits.
    pub account: String,
    /// When it happened, in whole seconds.
    pub time: Rfc3339,
    /// Region of the channel or stage.
    pub region: String,
    /// ARN of the channel, stage or composition; empty for limit breaches of the account.
    pub resources: Arns,
    /// Name of the replay, on events replayed from an archive.
    #[serde(rename = "replay-name")]
    pub replay_name: Option<String>,
    /// The event's own part.
    pub detail: Detail,
}
