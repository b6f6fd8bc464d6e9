//! Words that may stand in few places only.

/// A ban: `words` in a row may stand in no file below `scope`, but for the exceptions.
pub struct Ban {
    /// Tokens in a row.
    pub words: &'static [&'static str],
    /// Files whose paths begin so; empty for all.
    pub scope: &'static [&'static str],
    /// Paths that begin so are free, with the reason.
    pub except: &'static [(&'static str, &'static str)],
    /// What to do instead.
    pub instead: &'static str,
}

const BROKER: &[&str] = &["engine/src/", "server/src/"];
const IO: (&str, &str) = ("engine/src/io/", "the seam to the world");
const STOP: (&str, &str) =
    ("engine/src/boot/stop.rs", "runs when the shards have ended: ordinary blocking files");
const LOCK: (&str, &str) =
    ("engine/src/boot/lock.rs", "runs before the shards begin: ordinary blocking files");
const CONFIG: (&str, &str) =
    ("server/src/config/", "the configuration is read before the shards begin");
const LAUNCH: (&str, &str) =
    ("server/src/launch.rs", "asks for cores, and waits for addresses, before the shards begin");
const ADMIN: (&str, &str) =
    ("server/src/admin/mod.rs", "the admin port has a thread of its own beside the shards");
const PROCESS: (&str, &str) =
    ("server/src/admin/process.rs", "reads /proc on the admin port's thread, which may wait");
const FLOOR: (&str, &str) = ("bench/src/floor/ring.rs", "measures the bare device");

const FILES: &str = "files are reached through io::Env";
const TIME: &str = "time is reached through io::Env, or is an argument";
const THREADS: &str = "threads start in engine/src/io, and one in server/src/admin, only";
const ORDER: &str = "hash order is not deterministic: use BTreeMap, BTreeSet or VecDeque";
const LOCKS: &str = "a shard's state is reached from its own thread only";
const PRINT: &str = "use tracing, or write to a given io::Write";

/// All bans.
pub const BANS: &[Ban] = &[
    Ban {
        words: &["unsafe"],
        scope: &[],
        except: &[
            ("engine/src/io/ring/", "the ring: one operation per block"),
            ("engine/src/memory.rs", "aligned memory: docs/decisions/0002-aligned-memory.md"),
            ("bench/src/sys.rs", "the system calls of the benchmark, fenced into one file"),
            ("server/src/main.rs", "a word to the allocator: docs/decisions/0017-idle-memory.md"),
            FLOOR,
        ],
        instead: "unsafe stands where the ring and its memory are, nowhere else",
    },
    Ban {
        words: &["glommio"],
        scope: &[],
        except: &[IO],
        instead: "no type of the executor leaves engine/src/io",
    },
    Ban {
        words: &["io_uring"],
        scope: &[],
        except: &[IO, FLOOR],
        instead: "no type of the ring leaves engine/src/io",
    },
    Ban {
        words: &["tokio"],
        scope: BROKER,
        except: &[("server/src/admin/", "the admin port: docs/decisions/0009-axum-admin-port.md")],
        instead: "the executor of shards is glommio",
    },
    Ban { words: &["println", "!"], scope: BROKER, except: &[], instead: PRINT },
    Ban { words: &["print", "!"], scope: BROKER, except: &[], instead: PRINT },
    Ban { words: &["eprintln", "!"], scope: BROKER, except: &[], instead: PRINT },
    Ban { words: &["eprint", "!"], scope: BROKER, except: &[], instead: PRINT },
    Ban { words: &["dbg", "!"], scope: &[], except: &[], instead: PRINT },
    Ban { words: &["HashMap"], scope: BROKER, except: &[], instead: ORDER },
    Ban { words: &["HashSet"], scope: BROKER, except: &[], instead: ORDER },
    Ban { words: &["Mutex"], scope: BROKER, except: &[], instead: LOCKS },
    Ban { words: &["RwLock"], scope: BROKER, except: &[], instead: LOCKS },
    Ban { words: &["Instant", "::", "now"], scope: BROKER, except: &[IO], instead: TIME },
    Ban { words: &["SystemTime", "::", "now"], scope: BROKER, except: &[IO], instead: TIME },
    Ban { words: &["thread", "::", "spawn"], scope: BROKER, except: &[], instead: THREADS },
    Ban {
        words: &["thread", "::", "Builder"],
        scope: BROKER,
        except: &[IO, ADMIN],
        instead: THREADS,
    },
    Ban { words: &["thread", "::", "sleep"], scope: BROKER, except: &[LAUNCH], instead: TIME },
    Ban {
        words: &["std", "::", "fs"],
        scope: BROKER,
        except: &[IO, LOCK, STOP, CONFIG, LAUNCH, PROCESS],
        instead: FILES,
    },
];
