//! The contract: every AWS call that the program makes, asked of the embedded AWS and judged by
//! AWS's documentation. `make independent` asks emulators that other people wrote the same.

mod calls;
#[path = "suite.rs"]
mod suite;

use ivs_emulator::{Config, Endpoint};
use ivs_processor::cloud::clients;
use suite::differences::{DIFFERENCES, Emulator};
use suite::{Service, World, cases};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_aws_answers_as_aws_documents_it() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    endpoint.play_streams(suite::ivs::streams().as_bytes()).unwrap();
    let mut config = ivs_processor::config::Config::default();
    config.aws.endpoint_url = endpoint.url().to_owned();
    let world = World::new(clients(&config.aws).await).await;
    let wrong = suite::judge(&world, |_| Some(Emulator::Embedded)).await;
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<_> = cases().map(|(_, case)| case.name).collect();
    assert!(names.len() >= 70, "only {} cases", names.len());
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|two| two[0] == two[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn every_difference_names_a_case_that_the_emulator_is_asked() {
    for difference in DIFFERENCES {
        let found = cases().find(|(_, case)| case.name == difference.case);
        let (service, case) = found.unwrap_or_else(|| panic!("no case {:?}", difference.case));
        let is_asked = match difference.emulator {
            Emulator::Embedded => true,
            Emulator::KinesisLocal => service == Service::Kinesis,
            Emulator::Ministack => service == Service::Other,
        };
        assert!(is_asked, "{:?} is not asked of {}", case.name, difference.emulator.name());
        assert_ne!(case.expected, difference.found, "{:?} does not differ", case.name);
    }
}

/// Neither a call that nobody judges, nor a case about a call that nobody makes.
#[test]
fn the_cases_are_about_the_calls_that_the_program_makes() {
    let mut judged: Vec<_> = cases().flat_map(|(_, case)| case.operations()).collect();
    judged.sort_unstable();
    judged.dedup();
    let mut made = calls::made_by_the_program();
    assert!(made.len() >= 30, "the sources make only {made:?}");
    made.extend(calls::MADE_BY_TESTS.map(str::to_owned));
    made.sort_unstable();
    made.dedup();
    let alone = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|one| !those.contains(one)).cloned().collect()
    };
    let (unjudged, unmade) = (alone(&made, &judged), alone(&judged, &made));
    assert!(
        unjudged.is_empty() && unmade.is_empty(),
        "no case is about {unjudged:?}, nobody makes {unmade:?}; a method that is not an AWS call belongs into \
         OTHERS in calls.rs"
    );
}

/// The document has the whole list, in its order.
#[test]
fn the_document_lists_every_difference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/testing.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## The contract\n").expect("a section on the contract");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let expected: Vec<_> = DIFFERENCES.iter().map(suite::row).collect();
    assert!(
        rows == expected,
        "docs/testing.md, \"The contract\" must have these rows:\n{}",
        expected.join("\n")
    );
}
