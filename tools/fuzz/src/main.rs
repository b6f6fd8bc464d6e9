//! Runs one target: guided by coverage when compiled for that (`tools/fuzz/run`), else once over the files
//! that are named, which replays what was found.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod guided {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use millrace_fuzz::Target;

    /// Which target: libFuzzer has the command line to itself.
    static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
        let name = std::env::var("MILLRACE_FUZZ_TARGET").expect("MILLRACE_FUZZ_TARGET is set");
        Target::named(&name).expect("a target of that name")
    });

    /// Valid inputs to begin with, where libFuzzer will look for them.
    fn write_seeds() {
        let folder = std::env::var("MILLRACE_FUZZ_SEEDS").expect("MILLRACE_FUZZ_SEEDS is set");
        for (i, seed) in (TARGET.seeds)().into_iter().enumerate() {
            let path = PathBuf::from(&folder).join(format!("seed-{i}"));
            std::fs::write(path, seed).expect("the seed can be written");
        }
    }

    libfuzzer_sys::fuzz_target!(init: write_seeds(), |input: &[u8]| TARGET.check(input));
}

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    use std::io::Write;

    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let mut out = std::io::stdout();
    let Some(target) = millrace_fuzz::Target::named(&name) else {
        for target in millrace_fuzz::TARGETS {
            writeln!(out, "{}", target.name).unwrap_or_default();
        }
        return std::process::ExitCode::from(u8::from(!name.is_empty()));
    };
    for path in arguments {
        match std::fs::read(&path) {
            Ok(input) => target.check(&input),
            Err(error) => {
                writeln!(out, "{path}: {error}").unwrap_or_default();
                return std::process::ExitCode::FAILURE;
            }
        }
        writeln!(out, "{path}: nothing wrong").unwrap_or_default();
    }
    std::process::ExitCode::SUCCESS
}
