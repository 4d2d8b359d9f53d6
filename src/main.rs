//! The `chancery` program.

use std::process::ExitCode;

/// Gives memory back that a burst of logins took: one password hash takes 19 MiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    actix::System::new().block_on(chancery::cli::run(std::env::args_os())).into()
}
