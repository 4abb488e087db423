//! The `pulse` program.

fn main() -> std::process::ExitCode {
    pulse_server::cli::main()
}
