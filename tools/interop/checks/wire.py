"""Kafka frames by hand: just enough to send what no client would send."""

import socket
import struct

PRODUCE, FETCH, LIST_OFFSETS, METADATA, INIT_PRODUCER_ID, API_VERSIONS, CREATE_TOPICS = 0, 1, 2, 3, 22, 18, 19


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">h", len(data)) + data


def compact(text):
    data = text if isinstance(text, bytes) else text.encode()
    return uvarint(len(data) + 1) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def uvarint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint(number):
    return uvarint((number << 1) ^ (number >> 63))


def request(key, version, body=b"", correlation=1, flexible=False, client=string("wire")):
    """A whole frame, length first."""
    header = struct.pack(">hhi", key, version, correlation) + client + (b"\0" if flexible else b"")
    return struct.pack(">i", len(header + body)) + header + body


class Connection:
    """A plain socket that speaks in frames."""

    def __init__(self, port, seconds=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            data += piece
        return bytes(data)

    def answer(self):
        """One response: its correlation id and everything after it."""
        frame = self.exactly(struct.unpack(">i", self.exactly(4))[0])
        return struct.unpack(">i", frame[:4])[0], frame[4:]

    def ask(self, *arguments, **options):
        self.send(request(*arguments, **options))
        return self.answer()[1]

    def fate(self, seconds=5):
        """What the broker did within that time: `closed`, `answered` or `silent`."""
        self.socket.settimeout(seconds)
        try:
            return "answered" if self.socket.recv(1) else "closed"
        except TimeoutError:
            return "silent"
        except OSError:
            return "closed"

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Reader:
    """Takes a response apart, front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def string(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def skip(self, count):
        self.at += count


_CRC = []
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = (_value >> 1) ^ (0x82F63B78 if _value & 1 else 0)
    _CRC.append(_value)


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def record(delta, value):
    body = b"\0" + varint(0) + varint(delta) + varint(-1) + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch(values, producer=-1, epoch=-1, sequence=-1, magic=2, attributes=0, count=None, crc=None, length=None,
          last_delta=None, stamp=1_700_000_000_000):
    """A v2 batch; every field that a test lies about can be given."""
    records = b"".join(record(at, value) for at, value in enumerate(values))
    number = len(values) if count is None else count
    delta = len(values) - 1 if last_delta is None else last_delta
    checked = struct.pack(">hiqqqhii", attributes, delta, stamp, stamp, producer, epoch, sequence, number) + records
    sum_ = crc32c(checked) if crc is None else crc
    size = 9 + len(checked) if length is None else length
    return struct.pack(">qiibI", 0, size, -1, magic, sum_) + checked


def create_topic(name, partitions=1, factor=1, configs=()):
    """The body of CreateTopics v4."""
    settings = array([string(key) + string(text) for key, text in configs])
    topic = string(name) + struct.pack(">ih", partitions, factor) + array([]) + settings
    return array([topic]) + struct.pack(">i?", 10_000, False)


def created(data):
    """The error code of the one topic of a CreateTopics v4 response."""
    reader = Reader(data)
    reader.take("ii")
    reader.string()
    return reader.take("h")


def produce_body(topic, records, partition=0, acks=-1):
    """The body of Produce v3 to v8."""
    data = struct.pack(">i", len(records)) + records
    return (struct.pack(">h", -1) + struct.pack(">hi", acks, 10_000)
            + array([string(topic) + array([struct.pack(">i", partition) + data])]))


def produced(data):
    """The error code and base offset of the one partition of a Produce v3 to v8 response."""
    reader = Reader(data)
    reader.take("i")
    reader.string()
    return reader.take("iihq")[2:]


def earliest(connection, topic, partition=0):
    """The first offset of a partition, by ListOffsets v1."""
    ask = struct.pack(">iq", partition, -2)
    reader = Reader(connection.ask(LIST_OFFSETS, 1, struct.pack(">i", -1) + array([string(topic) + array([ask])])))
    reader.take("i")
    reader.string()
    return reader.take("iihqq")[4]


def next_offset(records):
    """The offset behind the last whole batch, or None if there is none."""
    at, offset = 0, None
    while at + 61 <= len(records):
        base, length = struct.unpack_from(">qi", records, at)
        if at + 12 + length > len(records):
            break
        offset = base + struct.unpack_from(">i", records, at + 23)[0] + 1
        at += 12 + length
    return offset


def fetch_body(topic, offset, partition=0, wait=500, least=1, most=1 << 20, partition_most=1 << 20):
    """The body of Fetch v4."""
    ask = struct.pack(">iqi", partition, offset, partition_most)
    return struct.pack(">iiiib", -1, wait, least, most, 0) + array([string(topic) + array([ask])])


def fetched(data):
    """The error code, high watermark and record bytes of the one partition of a Fetch v4 response."""
    reader = Reader(data)
    reader.take("ii")
    reader.string()
    _, _, error, high, _ = reader.take("iihqq")
    aborted = reader.take("i")
    reader.skip(16 * max(aborted, 0))
    size = reader.take("i")
    return error, high, reader.data[reader.at:reader.at + max(size, 0)]
