//! SNS: topics, subscriptions and their messages.
//!
//! Subscriptions count as confirmed at once. Messages are delivered to `http` endpoints on loopback,
//! in AWS's envelope; mail and everything beyond this machine is accepted and goes nowhere. The
//! latest messages of every topic can be read at `GET /_local/sns`.

mod deliver;
mod topics;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::Response;

use crate::error::StartError;
use crate::ident;
use crate::query;
use crate::query::{Form, element};
use crate::service::{AwsError, Call, Shared};
use crate::sns::deliver::Courier;
use crate::sns::topics::{Message, Topics};

const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

/// 256 KiB.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
const SUBJECT_CHARS_MAX: usize = 100;

/// The service.
#[derive(Debug)]
pub(crate) struct Sns {
    shared: Arc<Shared>,
    topics: Mutex<Topics>,
    courier: Courier,
}

fn invalid(message: impl Into<String>) -> AwsError {
    let message = message.into();
    AwsError::bad_request("InvalidParameter", format!("Invalid parameter: {message}"))
}

impl Sns {
    /// Opens the stored topics.
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Arc<Self>, StartError> {
        let topics = Mutex::new(Topics::open(shared.state_dir.as_deref())?);
        let courier = Courier::start(&shared);
        Ok(Arc::new(Self { shared, topics, courier }))
    }

    /// Answers one call.
    pub(crate) async fn call(&self, call: Call) -> Response {
        match self.answer(&call) {
            Ok(result) => query::answer(NAMESPACE, &call.operation, &result),
            Err(error) => query::refuse(NAMESPACE, &error),
        }
    }

    /// Publishes a message and returns its id; for services in this process and `Publish`.
    pub(crate) fn publish(
        &self,
        topic_arn: &str,
        subject: Option<&str>,
        message: &str,
    ) -> Result<String, AwsError> {
        if message.is_empty() || message.len() > MESSAGE_BYTES_MAX {
            return Err(invalid(format!("Message must have 1 to {MESSAGE_BYTES_MAX} bytes")));
        }
        let sound = |subject: &str| {
            (1..=SUBJECT_CHARS_MAX).contains(&subject.len())
                && subject.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        if subject.is_some_and(|subject| !sound(subject)) {
            return Err(invalid("Subject"));
        }
        let message = Message {
            topic_arn: topic_arn.to_owned(),
            id: ident::uuid(),
            subject: subject.map(ToOwned::to_owned),
            body: message.to_owned(),
            at_ms: i64::try_from(self.shared.clock.now_ms()).unwrap_or(i64::MAX),
        };
        let mut topics = self.lock();
        topics.record(&message)?;
        for subscription in topics.subscriptions(topic_arn)? {
            self.courier.send(&subscription, &message);
        }
        Ok(message.id)
    }

    /// The topics with their latest messages, oldest first, as a JSON document.
    pub(crate) fn report(&self) -> String {
        self.lock().report().to_string()
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inside of the operation's result element.
    fn answer(&self, call: &Call) -> Result<String, AwsError> {
        let form = Form::parse(&call.body);
        let arn = || form.require("TopicArn");
        match call.operation.as_str() {
            "CreateTopic" => {
                let name = form.require("Name")?;
                let arn = self.shared.arn("sns", name);
                let display_name = attribute(&form, "DisplayName");
                self.lock().create(&arn, name, display_name.unwrap_or_default())?;
                Ok(element("TopicArn", &arn))
            }
            "DeleteTopic" => self.lock().delete(arn()?).map(|()| String::new()),
            "ListTopics" => {
                let arns = self.lock().arns();
                let members = arns.iter().map(|arn| member(&element("TopicArn", arn)));
                Ok(format!("<Topics>{}</Topics>", members.collect::<String>()))
            }
            "Subscribe" => {
                let endpoint = form.require("Endpoint")?;
                let arn = self.lock().subscribe(arn()?, form.require("Protocol")?, endpoint)?;
                Ok(element("SubscriptionArn", &arn))
            }
            "Unsubscribe" => {
                self.lock().unsubscribe(form.require("SubscriptionArn")?).map(|()| String::new())
            }
            "ListSubscriptionsByTopic" => self.list_subscriptions(Some(arn()?)),
            "ListSubscriptions" => self.list_subscriptions(None),
            "Publish" => self.publish_form(&form),
            "GetTopicAttributes" => {
                let attributes = self.lock().attributes(arn()?, &self.shared.account)?;
                let entries = attributes.iter().map(|(key, value)| {
                    format!("<entry>{}{}</entry>", element("key", key), element("value", value))
                });
                Ok(format!("<Attributes>{}</Attributes>", entries.collect::<String>()))
            }
            "SetTopicAttributes" => match form.require("AttributeName")? {
                "DisplayName" => {
                    let value = form.get("AttributeValue").unwrap_or_default();
                    self.lock().set_display_name(arn()?, value).map(|()| String::new())
                }
                other => Err(invalid(format!("AttributeName {other}"))),
            },
            _ => Err(AwsError::unknown_operation(call)),
        }
    }

    fn list_subscriptions(&self, topic_arn: Option<&str>) -> Result<String, AwsError> {
        let topics = self.lock();
        let subscriptions = match topic_arn {
            Some(arn) => topics.subscriptions(arn)?,
            None => topics.all_subscriptions(),
        };
        let members = subscriptions.iter().map(|one| {
            member(
                &[
                    element("TopicArn", &one.topic_arn),
                    element("Protocol", &one.protocol),
                    element("SubscriptionArn", &one.arn),
                    element("Owner", &self.shared.account),
                    element("Endpoint", &one.endpoint),
                ]
                .concat(),
            )
        });
        Ok(format!("<Subscriptions>{}</Subscriptions>", members.collect::<String>()))
    }

    fn publish_form(&self, form: &Form) -> Result<String, AwsError> {
        let arn = form.get("TopicArn").or_else(|| form.get("TargetArn"));
        let arn = arn.ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value"))?;
        let message = form.require("Message")?;
        let chosen = match form.get("MessageStructure") {
            Some("json") => {
                let document: serde_json::Value = serde_json::from_str(message).map_err(|_| {
                    invalid("Message Structure - JSON message body failed to parse")
                })?;
                let default = document.get("default").and_then(|text| text.as_str());
                default.map(ToOwned::to_owned).ok_or_else(|| {
                    invalid("Message Structure - No default entry in JSON message body")
                })?
            }
            _ => message.to_owned(),
        };
        let id = self.publish(arn, form.get("Subject"), &chosen)?;
        Ok(element("MessageId", &id))
    }
}

fn member(inside: &str) -> String {
    format!("<member>{inside}</member>")
}

/// `Attributes.entry.1.key=DisplayName&Attributes.entry.1.value=x`; few attributes are ever given.
fn attribute<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    (1..=20).find_map(|at| {
        let key = form.get(&format!("Attributes.entry.{at}.key"))?;
        (key == name).then(|| form.get(&format!("Attributes.entry.{at}.value")))?
    })
}
