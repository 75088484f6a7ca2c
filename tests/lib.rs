//! Shared ground of the test suites: a seeded generator.

pub mod rng;
