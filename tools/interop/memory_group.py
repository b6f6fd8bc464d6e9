"""A control group of the kernel's around one process: with more memory than that it is killed."""

import os
from pathlib import Path

V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class MemoryGroup:
    """To be used in a `with` statement. Where none can be made, `missing` says why, and nothing is enforced."""

    def __init__(self, name, limit):
        self.name, self.limit, self.path, self.missing = f"{name}-{os.getpid()}", limit, None, None

    def __enter__(self):
        is_v2 = (V2 / "cgroup.controllers").exists()
        limit, self.events = ("memory.max", "memory.events") if is_v2 else ("memory.limit_in_bytes",
                                                                           "memory.oom_control")
        path = (V2 if is_v2 else V1) / self.name
        try:
            path.mkdir()
            self.path = path
            (path / limit).write_text(str(self.limit))
        except OSError as error:
            self.missing = f"no control group can be made here ({error})"
            self.remove()
        return self

    def prefix(self):
        """What a command line begins with so that its process is in the group from its first instruction."""
        if self.path is None:
            return []
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs")]

    def kills(self):
        """How many processes the kernel has killed in the group."""
        if self.path is None:
            return 0
        lines = (line.split() for line in (self.path / self.events).read_text().splitlines())
        return next((int(count) for name, count in lines if name == "oom_kill"), 0)

    def remove(self):
        if self.path is not None and self.path.exists():
            self.path.rmdir()
        self.path = None

    def __exit__(self, *_):
        self.remove()
