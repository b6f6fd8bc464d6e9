//! Who may import whom. An arrow that is not in these tables needs a reason and a row; a new module
//! needs a row of its own. The picture is in `docs/ARCHITECTURE.md`.

/// A module of a crate and what it may import.
pub struct Layer {
    /// The module directly below the crate's root.
    pub module: &'static str,
    /// Other modules of the same crate.
    pub own: &'static [&'static str],
    /// Modules of the engine, for other crates.
    pub engine: &'static [&'static str],
}

const fn layer(
    module: &'static str,
    own: &'static [&'static str],
    engine: &'static [&'static str],
) -> Layer {
    Layer { module, own, engine }
}

/// The engine, lowest first.
pub const ENGINE: &[Layer] = &[
    layer("plants", &[], &[]),
    layer("types", &[], &[]),
    layer("limits", &[], &[]),
    layer("memory", &["limits"], &[]),
    layer("codec", &["types"], &[]),
    layer("topic_config", &["limits"], &[]),
    layer("machine", &["types"], &[]),
    layer("record", &["types"], &[]),
    layer("log", &["limits", "memory", "record", "types"], &[]),
    layer("journal", &["limits", "memory", "types"], &[]),
    // Machines see no partition, no log and no shard; their records are batches of the metadata log.
    layer("metadata", &["codec", "limits", "machine", "record", "topic_config", "types"], &[]),
    layer("group", &["codec", "limits", "machine", "types"], &[]),
    layer("partition", &["limits", "log", "memory", "record", "topic_config", "types"], &[]),
    layer(
        "shard",
        &[
            "group",
            "journal",
            "limits",
            "log",
            "machine",
            "memory",
            "metadata",
            "partition",
            "record",
            "topic_config",
            "types",
        ],
        &[],
    ),
    layer("io", &["limits", "memory", "types"], &[]),
    // A job does what an effect of the shard says and comes back as its event.
    layer(
        "job",
        &[
            "io",
            "journal",
            "limits",
            "log",
            "memory",
            "partition",
            "record",
            "shard",
            "topic_config",
            "types",
        ],
        &[],
    ),
    layer("client", &["io", "limits", "machine", "metadata", "shard", "types"], &[]),
    layer("driver", &["client", "io", "job", "limits", "partition", "shard", "types"], &[]),
    layer(
        "boot",
        &[
            "client",
            "driver",
            "group",
            "io",
            "job",
            "journal",
            "limits",
            "log",
            "memory",
            "metadata",
            "partition",
            "shard",
            "topic_config",
            "types",
        ],
        &[],
    ),
];

/// Modules of the engine that neither wait nor do I/O: no `async`, and no import of `io` or `job`
/// (which the table above already says).
pub const PURE: &[&str] = &[
    "types",
    "limits",
    "memory",
    "codec",
    "topic_config",
    "machine",
    "record",
    "log",
    "journal",
    "metadata",
    "group",
    "partition",
    "shard",
];

/// The server. Its wire structs stay in it; of the engine it sees calls, answers and their errors,
/// never a log, a journal or a job.
pub const SERVER: &[Layer] = &[
    layer("limits", &[], &["limits"]),
    layer("budget", &["limits"], &[]),
    layer("protocol", &[], &["codec", "types"]),
    layer("config", &[], &["boot", "group", "limits", "metadata", "topic_config", "types"]),
    layer("fetch_sessions", &["limits", "protocol"], &["codec", "types"]),
    layer("metrics", &["protocol"], &["client", "types"]),
    layer("stages", &["limits"], &["codec", "shard", "types"]),
    layer(
        "fanout",
        &["protocol"],
        &["client", "group", "io", "metadata", "partition", "shard", "types"],
    ),
    layer(
        "api",
        &[
            "budget",
            "config",
            "fanout",
            "fetch_sessions",
            "limits",
            "metrics",
            "protocol",
            "stages",
        ],
        &[
            "client",
            "codec",
            "group",
            "io",
            "limits",
            "metadata",
            "partition",
            "record",
            "shard",
            "topic_config",
            "types",
        ],
    ),
    layer(
        "net",
        &["api", "budget", "config", "limits", "metrics", "protocol", "stages"],
        &["client", "codec", "io", "limits", "types"],
    ),
    // HTTP on a thread of its own: it reads counters, and asks the shards for the rest.
    layer(
        "admin",
        &["api", "config", "limits", "metrics", "protocol", "stages"],
        &["boot", "io", "shard", "types"],
    ),
    // Writes documents from the tables of the code.
    layer("document", &["api", "config", "protocol"], &["codec", "types"]),
    layer("cli", &["config"], &[]),
    layer("supervise", &["config", "limits"], &["types"]),
    layer(
        "launch",
        &[
            "admin",
            "api",
            "budget",
            "cli",
            "config",
            "fetch_sessions",
            "limits",
            "metrics",
            "net",
            "protocol",
            "supervise",
        ],
        &["boot", "client", "group", "io", "limits", "metadata", "topic_config", "types"],
    ),
];

/// What a whole crate may import of the others, whatever the module.
pub struct Guest {
    /// Folder of the crate.
    pub home: &'static str,
    /// Modules of the engine.
    pub engine: &'static [&'static str],
    /// Modules of the server.
    pub server: &'static [&'static str],
}

/// The crates that come on top.
pub const GUESTS: &[Guest] = &[
    // The benchmark is a client: it knows the bytes of the wire and of batches, nothing of a broker.
    Guest { home: "bench", engine: &["codec", "record", "types"], server: &["protocol"] },
    // The tools look into files, and simulate a whole broker.
    Guest {
        home: "tools",
        engine: &[
            "boot",
            "client",
            "codec",
            "group",
            "io",
            "job",
            "journal",
            "limits",
            "log",
            // The type of what is written, in the trait of files.
            "memory",
            "metadata",
            "partition",
            // Faults that a simulation must find.
            "plants",
            "record",
            "shard",
            "topic_config",
            "types",
        ],
        server: &[],
    },
    // Fuzzing feeds everything that takes bytes which nobody has vouched for.
    Guest {
        home: "tools/fuzz",
        engine: &[
            "codec",
            "group",
            "io",
            "job",
            "journal",
            "limits",
            "log",
            "metadata",
            "partition",
            "record",
            "shard",
            "topic_config",
            "types",
        ],
        // The macro of messages is exported at the crate's root.
        server: &["for_each_request", "net", "protocol"],
    },
];

/// A row that a single file breaks, with the reason why it may.
pub struct Exception {
    /// The file.
    pub file: &'static str,
    /// What it imports.
    pub module: &'static str,
    /// Why that is right, or what must be moved for it to go.
    pub reason: &'static str,
}

/// Files that import against the tables. One that no longer does fails the test.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        file: "engine/src/partition/find.rs",
        module: "shard",
        reason: "four words of a question and its answer (`Isolation`, `OffsetWish`, `FoundOffset`, \
                 `ReadError`) stand in shard::call: they belong here, and call may name them from here",
    },
    Exception {
        file: "engine/src/client.rs",
        module: "boot",
        reason: "`Identity` goes over a lane at the start: it belongs here",
    },
    Exception {
        file: "engine/src/driver.rs",
        module: "boot",
        reason: "`Stopped` is what a driver ends with: it belongs here",
    },
    Exception {
        file: "server/src/metrics.rs",
        module: "net",
        reason: "`Event` is no part of the network: it belongs into a file of its own",
    },
];
