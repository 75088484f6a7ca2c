//! `validate`: which lines of a file would be accepted, and why not.

use anyhow::Context as _;
use ivs_core::decode::{DecodeLimits, decode};

use crate::cli::ValidateArgs;
use crate::clock::now;
use crate::local::lines;

/// Refused lines that are printed; the rest is only counted.
const MAX_PRINTED: u64 = 20;

/// Decodes every line as the worker would, with now as arrival time.
///
/// # Errors
/// When a file cannot be read, or any line would be rejected.
pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<()> {
    let limits = DecodeLimits::default();
    let (mut accepted, mut rejected) = (0u64, 0u64);
    for path in &args.files {
        let context = || format!("cannot read {}", path.display());
        let mut reader = lines::open(path).with_context(context)?;
        let mut line = Vec::new();
        let mut number = 0u64;
        while lines::next_line(&mut *reader, &mut line).with_context(context)?.is_some() {
            number += 1;
            match decode(&line, now(), &limits) {
                Ok(_) => accepted += 1,
                Err(rejection) => {
                    rejected += 1;
                    if rejected <= MAX_PRINTED {
                        println!("{}:{number}: {rejection}", path.display());
                    }
                }
            }
        }
    }
    println!("{accepted} accepted, {rejected} rejected");
    anyhow::ensure!(rejected == 0, "{rejected} lines would be rejected");
    Ok(())
}
