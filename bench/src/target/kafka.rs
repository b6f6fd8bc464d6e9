//! Assembles Apache Kafka from Maven Central, formats it and starts it on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::broker::{Broker, Start, StartError, free_port, system};

/// The version that is assembled.
pub const VERSION: &str = "4.3.1";
/// The lowest Java it runs on.
const JAVA: u32 = 17;

/// The pom whose dependencies are Kafka: the broker, its tools, and a logger that writes to standard error.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"#;

/// The options of Kafka's own start script.
const JVM: [&str; 8] = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// What its acknowledgements are to mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushing {
    /// As it comes: the kernel flushes later.
    Default,
    /// Every append is flushed before it is acknowledged.
    EachAppend,
}

/// Where it runs, and how.
pub struct Kafka<'k> {
    /// Flushing.
    pub flushing: Flushing,
    /// Data directory; made, and removed at the end.
    pub directory: &'k Path,
    /// Where the assembled libraries stay; `None`: the user's cache.
    pub cache: Option<&'k Path>,
    /// Pinned to this core.
    pub core: Option<usize>,
    /// Further settings.
    pub overrides: &'k [(String, String)],
}

impl Kafka<'_> {
    /// Assembles it if that has not been done, and starts it on loopback.
    pub fn start(&self, say: impl Fn(&str)) -> Result<Broker, StartError> {
        let libraries = assemble(self.cache, &say)?;
        let made = fs::create_dir_all(self.directory);
        made.map_err(system(format!("cannot make {}", self.directory.display())))?;
        let directory =
            fs::canonicalize(self.directory).map_err(system("cannot find the data directory"))?;
        let (port, controller) = (free_port()?, free_port()?);
        let settings = directory.join("server.properties");
        let written = fs::write(&settings, self.settings(&directory, port, controller));
        written.map_err(system(format!("cannot write {}", settings.display())))?;
        let path = format!("{}/*", libraries.display());
        let format = Command::new("java")
            .args(["-Xmx256M", "-cp", &path, "kafka.tools.StorageTool", "format"])
            .args(["--standalone", "-t", "bWlsbHJhY2UtYmVuY2gtMQ", "-c"])
            .arg(&settings)
            .output()
            .map_err(system("cannot start java"))?;
        if !format.status.success() {
            let text = String::from_utf8_lossy(&format.stderr).into_owned();
            return Err(StartError::Missing(format!("Kafka could not format its storage: {text}")));
        }
        let mut command = Command::new("java");
        command
            .args(JVM)
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .args(["-cp", &path, "kafka.Kafka"])
            .arg(&settings);
        let mut label = match self.flushing {
            Flushing::Default => format!("Kafka {VERSION}"),
            Flushing::EachAppend => format!("Kafka {VERSION} flushing"),
        };
        for (name, value) in self.overrides {
            label += &format!(" {name}={value}");
        }
        let address = format!("127.0.0.1:{port}");
        Broker::start(Start { label, command, address, directory: &directory, core: self.core })
    }

    /// The single-node configuration that Apache ships, on loopback.
    fn settings(&self, directory: &Path, port: u16, controller: u16) -> String {
        let mut settings = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             inter.broker.listener.name=PLAINTEXT\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             num.network.threads=3\nnum.io.threads=8\n\
             socket.send.buffer.bytes=102400\nsocket.receive.buffer.bytes=102400\n\
             log.dirs={}/data\nnum.partitions=1\nnum.recovery.threads.per.data.dir=1\n\
             offsets.topic.replication.factor=1\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\nlog.retention.hours=168\n\
             log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n\
             broker.session.timeout.ms=3600000\ngroup.initial.rebalance.delay.ms=0\n",
            directory.display()
        );
        if self.flushing == Flushing::EachAppend {
            settings += "log.flush.interval.messages=1\n";
        }
        for (name, value) in self.overrides {
            settings += &format!("{name}={value}\n");
        }
        settings
    }
}

/// Assembles Kafka and its tools if that has not been done: where its libraries are. `cache` is where they stay; `None`:
/// the user's cache.
pub fn assemble(cache: Option<&Path>, say: &impl Fn(&str)) -> Result<PathBuf, StartError> {
    java()?;
    let cache = cache.map_or_else(user_cache, |path| Ok(path.to_path_buf()))?;
    let libraries = cache.join(format!("kafka-{VERSION}")).join("libs");
    let whole = libraries.join(format!("kafka_2.13-{VERSION}.jar"));
    if whole.is_file() && libraries.join("complete").is_file() {
        return Ok(libraries);
    }
    say(&format!("assembling Kafka {VERSION} into {} (once)", libraries.display()));
    let what = || format!("cannot make {}", libraries.display());
    fs::create_dir_all(&libraries).map_err(system(what()))?;
    let pom = libraries.with_file_name("pom.xml");
    fs::write(&pom, POM).map_err(system(what()))?;
    let out = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", libraries.display()))
        .output()
        .map_err(|error| {
            StartError::Missing(format!(
                "Maven is needed to assemble Kafka from Maven Central, and `mvn` does not start ({error}): install it (Debian: apt-get install maven), or start Kafka yourself and give its HOST:PORT"
            ))
        })?;
    if !out.status.success() || !whole.is_file() {
        let mut text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.truncate(text.char_indices().nth(2000).map_or(text.len(), |(at, _)| at));
        return Err(StartError::Missing(format!("Maven could not assemble Kafka: {text}")));
    }
    fs::write(libraries.join("complete"), "").map_err(system(what()))?;
    Ok(libraries)
}

fn user_cache() -> Result<PathBuf, StartError> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    named.or_else(home).map(|cache| cache.join("millrace-bench")).ok_or_else(|| {
        StartError::Missing("there is no HOME for a cache: name one with --cache".into())
    })
}

fn java() -> Result<(), StartError> {
    let told = Command::new("java").arg("-version").output();
    let text = told.map(|out| String::from_utf8_lossy(&out.stderr).into_owned());
    let version = text.as_deref().ok().and_then(java_version);
    match version {
        Some(version) if version >= JAVA => Ok(()),
        Some(version) => Err(StartError::Missing(format!(
            "Kafka {VERSION} needs Java {JAVA} or later, and `java` is {version}"
        ))),
        None => Err(StartError::Missing(format!(
            "Kafka {VERSION} needs Java {JAVA} or later, and `java` does not start: install a JDK (Debian: apt-get install openjdk-17-jdk-headless)"
        ))),
    }
}

/// The major version in what `java -version` says.
fn java_version(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '+', '_']).map(str::parse);
    match parts.next()?.ok()? {
        1 => parts.next()?.ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::java_version;

    #[test]
    fn versions_of_java() {
        for (text, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("java version \"1.8.0_412\"", Some(8)),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("openjdk version \"22-ea\" 2024", Some(22)),
            ("command not found", None),
        ] {
            assert_eq!(java_version(text), version, "{text}");
        }
    }
}
