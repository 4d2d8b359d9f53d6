//! The `chancery` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    actix::System::new().block_on(chancery::cli::run(std::env::args_os())).into()
}
