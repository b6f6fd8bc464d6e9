"""What was sent, what was acknowledged and what was seen: the book that the disk must agree with."""

import threading
import zlib


def value(partition, number, padding):
    """A record that names itself, with padding and a checksum at its end."""
    body = f"{partition} {number} ".encode() + padding
    return body + b"%08x" % zlib.crc32(body)


def parse(data):
    """The partition and number of a record, or None when it is not one of ours, byte for byte."""
    body, checksum = data[:-8], data[-8:]
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    partition, number, _ = body.split(b" ", 2)
    return int(partition), int(number)


class Ledger:
    """Numbers go up by one in each partition; an acknowledged record has its offset noted."""

    def __init__(self, partitions):
        self.lock = threading.Lock()
        self.sent = [0] * partitions
        self.acked = [{} for _ in range(partitions)]
        self.seen = [{} for _ in range(partitions)]
        self.commits = {}
        self.problems = []

    def problem(self, text):
        with self.lock:
            if len(self.problems) < 10:
                self.problems.append(text)

    def take(self, partition):
        number = self.sent[partition]
        self.sent[partition] += 1
        return number

    def delivered(self, error, message, number):
        if error:
            self.problem(f"delivery of {message.partition()}/{number} failed: {error}")
        else:
            self.acked[message.partition()][number] = message.offset()

    def count(self):
        """How many records are acknowledged."""
        return sum(map(len, self.acked))

    def saw(self, message):
        """A consumer read this while the broker was being killed; it must never read otherwise again."""
        found = parse(message.value())
        if found is None or found[0] != message.partition():
            self.problem(f"corrupt record at {message.partition()}@{message.offset()}")
            return
        before = self.seen[message.partition()].setdefault(message.offset(), found[1])
        if before != found[1]:
            self.problem(f"{message.partition()}@{message.offset()} was {before}, then {found[1]}")

    def judge(self, partition, records):
        """Compares the final content of a partition, (offset, bytes) in order, with the book."""
        numbers = {}
        last = -1
        for offset, data in records:
            found = parse(data)
            if found is None or found[0] != partition:
                self.problem(f"corrupt record at {partition}@{offset}")
                continue
            number = found[1]
            if number in numbers:
                self.problem(f"doubled: {partition}/{number} at {numbers[number]} and {offset}")
            if number < last:
                self.problem(f"out of order: {partition}/{number} at {offset} follows {last}")
            if number >= self.sent[partition]:
                self.problem(f"phantom: {partition}/{number} at {offset} was never sent")
            numbers[number], last = offset, number
        at = {offset: number for number, offset in numbers.items()}
        for number, offset in self.acked[partition].items():
            if number not in numbers:
                self.problem(f"lost: {partition}/{number} was acknowledged at {offset}")
            elif numbers[number] != offset and offset >= 0:
                self.problem(f"moved: {partition}/{number} from {offset} to {numbers[number]}")
        for offset, number in self.seen[partition].items():
            if at.get(offset) != number:
                self.problem(f"a consumer saw {number} at {partition}@{offset}, there is {at.get(offset)} now")
        return len(numbers)
