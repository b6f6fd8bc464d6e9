//! Starts the broker of this build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::broker::{Broker, Start, StartError, free_port, system};

/// Where its data goes, and how it is set.
pub struct Millrace<'m> {
    /// Its program; `None`: the one beside this program.
    pub program: Option<&'m Path>,
    /// Data directory; made, and removed at the end.
    pub directory: &'m Path,
    /// `key=value` settings.
    pub overrides: &'m [(String, String)],
    /// Pinned to this core.
    pub core: Option<usize>,
}

impl Millrace<'_> {
    /// Starts it on loopback.
    pub fn start(&self) -> Result<Broker, StartError> {
        let program = match self.program {
            Some(program) => program.to_path_buf(),
            None => beside()?,
        };
        let data = self.directory.join("data");
        let made = fs::create_dir_all(&data);
        made.map_err(system(format!("cannot make {}", data.display())))?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(&program);
        command
            .arg("--override")
            .arg(format!("listeners=PLAINTEXT://{address}"))
            .arg("--override")
            .arg(format!("log.dirs={}", data.display()))
            .arg("--override")
            .arg(format!("millrace.admin.listener=127.0.0.1:{}", free_port()?));
        let mut label = "millrace".to_owned();
        for (name, value) in self.overrides {
            command.arg("--override").arg(format!("{name}={value}"));
            label += &format!(" {name}={value}");
        }
        let (directory, core) = (self.directory, self.core);
        Broker::start(Start { label, command, address, directory, core })
    }
}

/// The broker's program in the directory of this one.
fn beside() -> Result<PathBuf, StartError> {
    let own = std::env::current_exe().map_err(system("cannot find this program's directory"))?;
    let program = own.with_file_name("millrace");
    if program.is_file() {
        return Ok(program);
    }
    Err(StartError::Missing(format!(
        "there is no broker at {}: build it (cargo build --release -p millrace), or name it with --millrace-program",
        program.display()
    )))
}
