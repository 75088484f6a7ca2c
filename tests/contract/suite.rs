//! The cases and how they are judged: one suite for every emulator.

mod answers;
mod cloudwatch;
pub(crate) mod differences;
mod dynamodb;
mod eventbridge;
pub(crate) mod ivs;
mod kinesis;
mod world;

use std::time::Duration;

use futures::future::BoxFuture;

use answers::Failed;
use differences::{DIFFERENCES, Difference, Emulator};
pub(crate) use world::World;

/// Beyond what any case takes: one that hangs fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// The answers of a case in short words, or why it could not be carried through.
type Found = Result<String, Failed>;

/// The services as the independent emulators share them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Kinesis Data Streams.
    Kinesis,
    /// DynamoDB, CloudWatch and EventBridge.
    Other,
    /// IVS, which none of them has.
    Ivs,
}

/// A question to AWS.
pub(crate) struct Case {
    /// The operations that it judges, with a space between.
    calls: &'static str,
    /// The rule in a sentence.
    pub(crate) name: &'static str,
    /// The answers by AWS's documentation.
    pub(crate) expected: &'static str,
    /// The page of AWS's documentation, and its words.
    rule: &'static str,
    run: for<'a> fn(&'a World) -> BoxFuture<'a, Found>,
}

impl Case {
    /// Returns the operations as AWS spells them.
    pub(crate) fn operations(&self) -> impl Iterator<Item = String> + use<> {
        self.calls.split(' ').map(str::to_owned)
    }

    async fn found(&self, world: &World) -> String {
        match tokio::time::timeout(PATIENCE, (self.run)(world)).await {
            Ok(Ok(found)) => found,
            Ok(Err(failed)) => format!("failed: {failed}"),
            Err(_) => format!("no end within {} s", PATIENCE.as_secs()),
        }
    }
}

/// Returns all cases with the service that each is about.
pub(crate) fn cases() -> impl Iterator<Item = (Service, &'static Case)> {
    let others = [dynamodb::cases(), cloudwatch::cases(), eventbridge::cases()].concat();
    let kinesis = kinesis::cases().into_iter().map(|case| (Service::Kinesis, case));
    let ivs = ivs::cases().into_iter().map(|case| (Service::Ivs, case));
    kinesis.chain(others.into_iter().map(|case| (Service::Other, case))).chain(ivs)
}

/// Asks everything that somebody is there to answer, and returns what is neither as AWS documents it nor a listed difference, and
/// each listed difference that is gone.
pub(crate) async fn judge(world: &World, at: impl Fn(Service) -> Option<Emulator>) -> Vec<String> {
    let mut wrong = vec![];
    for (service, case) in cases() {
        let Some(emulator) = at(service) else { continue };
        let found = case.found(world).await;
        wrong.extend(finding(case, emulator, &found));
    }
    wrong
}

/// Returns a finding in words, if the answers are one.
fn finding(case: &Case, emulator: Emulator, found: &str) -> Option<String> {
    let listed = DIFFERENCES.iter().find(|one| one.emulator == emulator && one.case == case.name);
    let wanted = listed.map_or(case.expected, |difference| difference.found);
    if found == wanted {
        return None;
    }
    let (name, Case { calls, expected, rule, .. }) = (emulator.name(), case);
    let advice = match listed {
        None => "not listed: mend the emulator, or list it in differences.rs with who is right",
        Some(_) if found == *expected => "listed, but gone: take it out of differences.rs",
        Some(_) => "listed otherwise: put the answers found into differences.rs",
    };
    let listed = listed.map_or(String::new(), |one| format!("\n  listed:   {}", one.found));
    let case = case.name;
    Some(format!(
        "{name}: {case} ({calls})\n  expected: {expected}\n  found:    {found}{listed}\n  \
         AWS says: {rule}\n  {advice}"
    ))
}

/// Returns a difference as a row of the document.
pub(crate) fn row(difference: &Difference) -> String {
    let case = cases().find(|(_, case)| case.name == difference.case);
    let expected = case.map_or("", |(_, case)| case.expected);
    let Difference { emulator, case, found, right } = difference;
    format!("| {} | {case} | {expected} | {found} | {right} |", emulator.name())
}
