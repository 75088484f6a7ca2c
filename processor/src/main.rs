//! `ivs-processor`: see `ivs-processor --help`.

fn main() -> std::process::ExitCode {
    ivs_processor::commands::main()
}
