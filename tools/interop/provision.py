"""Fetches what the real clients need, once, into `.cache/` of the checkout, and says plainly what could not be had."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache"
JARS = CACHE / "kafka-4.3.1"
VENV = CACHE / "venv"
QUICKSTART = ROOT / "docs" / "quickstart"
NODE_MODULES = CACHE / "quickstart"
RDKAFKA = CACHE / "rdkafka"
RDKAFKA_BINARY = RDKAFKA / "debug" / "interop-rdkafka"


class Missing(Exception):
    """Something a check needs could not be had; the text says what to install."""


def say(text):
    print(text, flush=True)


def run(command, timeout=900, **options):
    """Runs a command, and raises Missing with the end of its output when it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=timeout, **options,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from error
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise Missing(f"`{' '.join(map(str, command))}` ended with {done.returncode}:\n{tail}")
    return done.stdout


class Unsupported(Exception):
    """This machine cannot do it, and nothing that could be installed changes that; the text says why."""


_apt_updated = False


def package(command, apt_name):
    """Makes `command` available, by apt-get where that is allowed."""
    global _apt_updated
    if shutil.which(command):
        return
    remedy = f"{command} is missing: install it (Debian: apt-get install {apt_name})"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(remedy)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    try:
        if not _apt_updated:
            run(["apt-get", "update", "-q"], env=environment)
            _apt_updated = True
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *apt_name.split()],
            env=environment)
    except Missing as error:
        raise Missing(f"{remedy}; apt-get said: {error}") from error
    if not shutil.which(command):
        raise Missing(remedy)


def digest(*files):
    hashed = hashlib.sha256()
    for file in files:
        hashed.update(file.read_bytes())
    return hashed.hexdigest()


def once(directory, mark, build):
    """Runs `build` unless `directory` already holds what `mark` names."""
    stamp = directory / ".stamp"
    if stamp.exists() and stamp.read_text() == mark:
        return
    directory.mkdir(parents=True, exist_ok=True)
    build()
    stamp.write_text(mark)


def jdk():
    package("java", "default-jdk-headless")


def jars():
    """Apache Kafka 4.3.1: tools and broker."""
    jdk()

    def build():
        package("mvn", "maven")
        for old in JARS.glob("*.jar"):
            old.unlink()
        run(["mvn", "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy-dependencies",
             f"-DoutputDirectory={JARS}"])

    once(JARS, digest(HERE / "pom.xml"), build)


def venv():
    """confluent-kafka, kafka-python and aiokafka, in an environment of their own."""
    requirements = HERE / "requirements.txt"

    def build():
        try:
            run([sys.executable, "-m", "venv", "--clear", VENV])
        except Missing:
            install_venv_module()
            run([sys.executable, "-m", "venv", "--clear", VENV])
        run([VENV / "bin" / "pip", "install", "-q", "--disable-pip-version-check",
             "-r", requirements])

    once(VENV, digest(requirements) + sys.version, build)


def install_venv_module():
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing("python3 has no venv module: install it (Debian: apt-get install python3-venv)")
    run(["apt-get", "update", "-q"])
    run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "python3-venv"],
        env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))


def kcat():
    package("kcat", "kcat")


def kafkajs():
    """The quick start's node modules."""
    package("node", "nodejs")
    manifests = [QUICKSTART / "package.json", QUICKSTART / "package-lock.json"]

    def build():
        package("npm", "npm")
        for file in manifests:
            shutil.copy(file, NODE_MODULES / file.name)
        run(["npm", "ci", "--no-audit", "--no-fund", "--prefix", NODE_MODULES], cwd=NODE_MODULES)

    once(NODE_MODULES, digest(*manifests), build)


def compiler():
    """What librdkafka's build needs."""
    package("c++", "g++")
    package("make", "make")


def rdkafka():
    """The Rust application; cargo itself knows when to build it again."""
    compiler()
    run(["cargo", "build", "--locked", "--manifest-path", HERE / "rdkafka" / "Cargo.toml"],
        env=dict(os.environ, CARGO_TARGET_DIR=str(RDKAFKA)))


def chromium():
    """A browser, for the page of reports."""
    if not shutil.which("chromium") and os.geteuid() != 0:
        raise Unsupported("there is no chromium, and installing it needs root (Debian: apt-get install chromium)")
    package("chromium", "chromium")


def loop():
    """File systems of their own on loop devices."""
    package("mkfs.ext4", "e2fsprogs")
    package("mkfs.xfs", "xfsprogs")
    package("losetup", "mount")
    if os.geteuid() != 0:
        raise Unsupported("mounting needs root")
    CACHE.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=CACHE) as image:
        image.truncate(1 << 20)
        try:
            device = run(["losetup", "--find", "--show", image.name])
            run(["losetup", "--detach", device.strip()])
        except Missing as error:
            raise Unsupported(f"there are no loop devices: {error}") from error


def cgroup(controller):
    """Groups of a controller of control groups, version 1, of our own."""
    if os.geteuid() != 0:
        raise Unsupported("control groups need root")
    group = Path("/sys/fs/cgroup") / controller / f"millrace-provision-{os.getpid()}"
    try:
        group.mkdir()
        group.rmdir()
    except OSError as error:
        raise Unsupported(f"there are no control groups of version 1 for {controller}: {error}") from error


PARTS = {"freezer": lambda: cgroup("freezer"), "loop": loop, "jars": jars, "venv": venv, "kcat": kcat,
         "kafkajs": kafkajs, "rdkafka": rdkafka, "chromium": chromium}


def provide(names):
    """Provides the named parts; the answers say why, for each that is missing and each that cannot be here."""
    missing, unsupported = {}, {}
    for name in PARTS:
        if name not in names:
            continue
        began = time.monotonic()
        try:
            PARTS[name]()
            say(f"have {name} ({time.monotonic() - began:.1f} s)")
        except Unsupported as error:
            unsupported[name] = str(error)
            say(f"NOT HERE {name}: {error}")
        except (Missing, OSError) as error:
            missing[name] = str(error)
            say(f"MISSING {name}: {error}")
    return missing, unsupported


if __name__ == "__main__":
    sys.exit(1 if any(provide(sys.argv[1:] or list(PARTS))) else 0)
