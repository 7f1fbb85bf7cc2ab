//! Arguments, log, exit code. No logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    pumphouse::cli::main()
}
