"""The checks, one file per family of clients; importing a file declares what is in it."""

from . import selftest  # noqa: F401 (first: it costs nothing)
from . import startup, quickstart, kafka_tools, kcat, confluent, python_clients, rdkafka, bench  # noqa: F401
from . import sigkill, refusals, hostile, memory, partitions, files, disks, log_dirs, rot, takeover  # noqa: F401
from . import supervision  # noqa: F401
