//! SNS: topics, subscriptions and their messages.
//!
//! Subscriptions count as confirmed at once. Messages are delivered to `http` endpoints on
//! loopback, in AWS's envelope; mail and everything beyond this machine is accepted and goes
//! nowhere. The latest messages of every topic can be read at `GET /_local/sns`.

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
use crate::sns::topics::{Message, Topics, invalid};
use crate::tags::{TagSet, Words};

/// SNS's codes.
const TAG_WORDS: Words = Words { invalid: "InvalidParameter", too_many: "TagLimitExceeded" };

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

    /// Creates a topic and subscribes `base` + `path` to it. Other addresses with that path were
    /// those of earlier runs: their subscriptions end.
    pub(crate) fn watch(
        &self,
        name: &str,
        display_name: &str,
        base: &str,
        path: &str,
    ) -> Result<String, AwsError> {
        let (arn, endpoint) = (self.shared.arn("sns", name), format!("{base}{path}"));
        let mut topics = self.lock();
        topics.create(&arn, name, display_name)?;
        for old in topics.subscriptions(&arn)? {
            if old.endpoint.ends_with(path) && old.endpoint != endpoint {
                topics.unsubscribe(&old.arn)?;
            }
        }
        topics.subscribe(&arn, "http", &endpoint)?;
        Ok(arn)
    }

    /// Returns the topics with their latest messages, oldest first, as a JSON document.
    pub(crate) fn report(&self) -> String {
        self.lock().report().to_string()
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the inside of the operation's result element.
    fn answer(&self, call: &Call) -> Result<String, AwsError> {
        let form = Form::parse(&call.body);
        let arn = || form.require("TopicArn");
        match call.operation.as_str() {
            "CreateTopic" => {
                let name = form.require("Name")?;
                let arn = self.shared.arn("sns", name);
                let display_name = attribute(&form, "DisplayName");
                self.lock().create(&arn, name, display_name.unwrap_or_default())?;
                self.shared.tags.add(&arn, form_tags(&form), TAG_WORDS)?;
                Ok(element("TopicArn", &arn))
            }
            "DeleteTopic" => {
                self.lock().delete(arn()?)?;
                self.shared.tags.forget(arn()?).map(|()| String::new())
            }
            "TagResource" => {
                let arn = self.known(&form)?;
                self.shared.tags.add(arn, form_tags(&form), TAG_WORDS).map(|()| String::new())
            }
            "UntagResource" => {
                let arn = self.known(&form)?;
                let keys: Vec<String> = members(&form, "TagKeys.member").collect();
                self.shared.tags.remove(arn, &keys).map(|()| String::new())
            }
            "ListTagsForResource" => {
                let tags = self.shared.tags.of(self.known(&form)?).into_iter();
                let tags = tags.map(|(key, value)| {
                    member(&[element("Key", &key), element("Value", &value)].concat())
                });
                Ok(format!("<Tags>{}</Tags>", tags.collect::<String>()))
            }
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

    /// Returns the ARN of a topic that exists, out of `ResourceArn`.
    fn known<'a>(&self, form: &'a Form) -> Result<&'a str, AwsError> {
        let arn = form.require("ResourceArn")?;
        let code = "ResourceNotFound";
        let message = "Resource does not exist".to_owned();
        self.lock().subscriptions(arn).map_err(|_| AwsError { status: 404, code, message })?;
        Ok(arn)
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

/// `TagKeys.member.1=a&TagKeys.member.2=b`.
fn members<'a>(form: &'a Form, list: &'a str) -> impl Iterator<Item = String> + 'a {
    (1..).map_while(move |at| form.get(&format!("{list}.{at}")).map(ToOwned::to_owned))
}

/// `Tags.member.1.Key=a&Tags.member.1.Value=b`.
fn form_tags(form: &Form) -> TagSet {
    let tag = |at: usize| {
        let key = form.get(&format!("Tags.member.{at}.Key"))?;
        let value = form.get(&format!("Tags.member.{at}.Value")).unwrap_or_default();
        Some((key.to_owned(), value.to_owned()))
    };
    (1..).map_while(tag).collect()
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
