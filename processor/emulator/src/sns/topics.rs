//! The topics, their subscriptions and latest messages, in memory and in two small files.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::invalid;
use crate::error::StartError;
use crate::ident;
use crate::journal;
use crate::journal::Journal;
use crate::service::AwsError;

/// Messages kept per topic, and how many bytes they have together.
const MESSAGES_KEPT: usize = 100;
const MESSAGES_BYTES: usize = 1 << 20;

/// Bounds on memory, below AWS's quotas.
const TOPICS_MAX: usize = 100;
const SUBSCRIPTIONS_MAX: usize = 100;

/// The messages' file is rewritten with those kept when it has grown past this and past twice its
/// last size.
const JOURNAL_BYTES: u64 = 8 << 20;

/// One subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) arn: String,
    pub(super) topic_arn: String,
    pub(super) protocol: String,
    pub(super) endpoint: String,
}

/// One published message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) topic_arn: String,
    pub(super) id: String,
    pub(super) subject: Option<String>,
    pub(super) body: String,
    pub(super) at_ms: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Topic {
    display_name: String,
    subscriptions: Vec<Subscription>,
    #[serde(skip)]
    messages: VecDeque<Message>,
}

impl Topic {
    fn keep(&mut self, message: Message) {
        self.messages.push_back(message);
        let bytes = |messages: &VecDeque<Message>| -> usize {
            messages.iter().map(|message| message.body.len()).sum()
        };
        while self.messages.len() > MESSAGES_KEPT || bytes(&self.messages) > MESSAGES_BYTES {
            self.messages.pop_front();
        }
    }
}

/// All topics by ARN.
#[derive(Debug, Default)]
pub(super) struct Topics {
    topics: BTreeMap<String, Topic>,
    file: Option<PathBuf>,
    journal: Option<Journal>,
    journal_limit_bytes: u64,
}

fn not_stored(error: &std::io::Error) -> AwsError {
    let message = format!("the state could not be stored: {error}");
    AwsError { status: 500, code: "InternalError", message }
}

fn not_found() -> AwsError {
    AwsError { status: 404, code: "NotFound", message: "Topic does not exist".to_owned() }
}

fn too_many(code: &'static str, what: &str, max: usize) -> AwsError {
    AwsError { status: 403, code, message: format!("There are {max} {what} already") }
}

fn encode(message: &Message) -> Vec<u8> {
    serde_json::to_vec(message).expect("a struct of texts and numbers is JSON")
}

impl Topics {
    /// Opens the topics kept in `dir`, or none in memory.
    pub(super) fn open(dir: Option<&Path>) -> Result<Self, StartError> {
        let Some(dir) = dir else { return Ok(Self::default()) };
        let file = dir.join("sns.json");
        let mut topics: BTreeMap<String, Topic> = journal::read_json(Some(&file))?;
        let path = dir.join("sns.log");
        let journal = Journal::open(path.clone(), |frame| {
            // Messages of deleted topics are passed over.
            if let Ok(message) = serde_json::from_slice::<Message>(frame)
                && let Some(topic) = topics.get_mut(&message.topic_arn)
            {
                topic.keep(message);
            }
        });
        let journal = journal.map_err(|reason| StartError::State { path, reason })?;
        let journal_limit_bytes = JOURNAL_BYTES;
        Ok(Self { topics, file: Some(file), journal: Some(journal), journal_limit_bytes })
    }

    fn save(&self) -> Result<(), AwsError> {
        journal::write_json(self.file.as_deref(), &self.topics).map_err(|error| not_stored(&error))
    }

    fn topic(&mut self, arn: &str) -> Result<&mut Topic, AwsError> {
        self.topics.get_mut(arn).ok_or_else(not_found)
    }

    /// Creates a topic; one that exists stays as it is.
    pub(super) fn create(
        &mut self,
        arn: &str,
        name: &str,
        display_name: &str,
    ) -> Result<(), AwsError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.len() > 256 || !name.bytes().all(allowed) {
            return Err(invalid("Topic Name"));
        }
        if !self.topics.contains_key(arn) {
            if self.topics.len() >= TOPICS_MAX {
                return Err(too_many("TopicLimitExceeded", "topics", TOPICS_MAX));
            }
            let topic = Topic { display_name: display_name.to_owned(), ..Topic::default() };
            self.topics.insert(arn.to_owned(), topic);
            self.save()?;
        }
        Ok(())
    }

    /// Deletes a topic with its subscriptions; one that does not exist is deleted already.
    pub(super) fn delete(&mut self, arn: &str) -> Result<(), AwsError> {
        self.topics.remove(arn);
        self.save()
    }

    pub(super) fn arns(&self) -> Vec<String> {
        self.topics.keys().cloned().collect()
    }

    /// Subscribes an endpoint and returns the subscription's ARN; twice the same gives the first.
    pub(super) fn subscribe(
        &mut self,
        topic_arn: &str,
        protocol: &str,
        endpoint: &str,
    ) -> Result<String, AwsError> {
        let sound = match protocol {
            "http" | "https" => endpoint.starts_with(&format!("{protocol}://")),
            "email" | "email-json" => endpoint.contains('@'),
            _ => return Err(invalid(format!("Does not support this protocol string: {protocol}"))),
        };
        if !sound {
            return Err(invalid(format!("Endpoint must match the specified protocol {protocol}")));
        }
        let topic = self.topic(topic_arn)?;
        let same = |one: &&Subscription| one.protocol == protocol && one.endpoint == endpoint;
        if let Some(subscription) = topic.subscriptions.iter().find(same) {
            return Ok(subscription.arn.clone());
        }
        if topic.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(too_many("SubscriptionLimitExceeded", "subscriptions", SUBSCRIPTIONS_MAX));
        }
        let arn = format!("{topic_arn}:{}", ident::uuid());
        topic.subscriptions.push(Subscription {
            arn: arn.clone(),
            topic_arn: topic_arn.to_owned(),
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
        });
        self.save()?;
        Ok(arn)
    }

    /// Ends a subscription; one that does not exist has ended already.
    pub(super) fn unsubscribe(&mut self, arn: &str) -> Result<(), AwsError> {
        for topic in self.topics.values_mut() {
            topic.subscriptions.retain(|one| one.arn != arn);
        }
        self.save()
    }

    pub(super) fn subscriptions(&self, topic_arn: &str) -> Result<Vec<Subscription>, AwsError> {
        self.topics.get(topic_arn).map(|topic| topic.subscriptions.clone()).ok_or_else(not_found)
    }

    pub(super) fn all_subscriptions(&self) -> Vec<Subscription> {
        self.topics.values().flat_map(|topic| topic.subscriptions.clone()).collect()
    }

    pub(super) fn attributes(
        &self,
        arn: &str,
        owner: &str,
    ) -> Result<[(&'static str, String); 6], AwsError> {
        let topic = self.topics.get(arn).ok_or_else(not_found)?;
        Ok([
            ("TopicArn", arn.to_owned()),
            ("DisplayName", topic.display_name.clone()),
            ("Owner", owner.to_owned()),
            ("SubscriptionsConfirmed", topic.subscriptions.len().to_string()),
            ("SubscriptionsPending", "0".to_owned()),
            ("SubscriptionsDeleted", "0".to_owned()),
        ])
    }

    pub(super) fn set_display_name(&mut self, arn: &str, name: &str) -> Result<(), AwsError> {
        name.clone_into(&mut self.topic(arn)?.display_name);
        self.save()
    }

    /// Keeps a message, in the file first.
    pub(super) fn record(&mut self, message: &Message) -> Result<(), AwsError> {
        self.topic(&message.topic_arn)?;
        if let Some(journal) = &mut self.journal {
            journal.append(&encode(message)).map_err(|error| not_stored(&error))?;
        }
        self.topic(&message.topic_arn)?.keep(message.clone());
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if journal.bytes() > self.journal_limit_bytes {
            let kept = self.topics.values().flat_map(|topic| &topic.messages).map(encode);
            journal.replace(kept).map_err(|error| not_stored(&error))?;
            self.journal_limit_bytes = JOURNAL_BYTES.max(2 * journal.bytes());
        }
        Ok(())
    }

    /// Returns all topics with their messages, for people.
    pub(super) fn report(&self) -> Value {
        let topics = self.topics.iter().map(|(arn, topic)| {
            let messages = topic.messages.iter().map(|message| {
                json!({
                    "messageId": message.id,
                    "timestamp": message.at_ms,
                    "subject": message.subject,
                    "message": message.body,
                })
            });
            json!({
                "topicArn": arn,
                "displayName": topic.display_name,
                "subscriptions": topic.subscriptions.len(),
                "messages": messages.collect::<Vec<_>>(),
            })
        });
        json!({"topics": topics.collect::<Vec<_>>()})
    }
}
