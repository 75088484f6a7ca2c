//! Shared ground of the test suites: the only source of chance in every test.

pub use seeded as rng;
