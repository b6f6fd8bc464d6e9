"""The suite's own judges, given what they must catch."""

import ast
import sys
from pathlib import Path

from check import FRESH, STOPPED, Failed, check, expect
from target import segments
from .files import every_segment
from .ledger import Ledger, value


SUITE = Path(__file__).parent.parent


def used_of_modules(tree):
    """(line, module, name) wherever a file of the suite uses something of another one."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 1 and node.module is None:
            known |= {alias.asname or alias.name: f"checks.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            module = sys.modules.get(known[node.value.id])
            if module is not None and Path(getattr(module, "__file__", None) or "/").is_relative_to(SUITE):
                yield node.lineno, module, node.attr


@check("the suite itself: what its modules use of each other is there", stage=FRESH)
def names(context):
    uses = [(file.relative_to(SUITE), *use) for file in sorted(SUITE.glob("**/*.py"))
            for use in used_of_modules(ast.parse(file.read_text()))]
    expect(len(uses) > 200, f"only {len(uses)} uses were found")
    context.note(f"{len(uses)} uses")
    lacking = [f"{file}:{line}: {module.__name__}.{name}" for file, line, module, name in uses
               if not hasattr(module, name)]
    expect(not lacking, f"not there: {lacking}")


@check("the suite itself: its ledger catches what is lost, doubled, moved, reordered, corrupt, never sent", stage=FRESH)
def ledger(context):
    def problems(offsets_and_numbers, spoil=b"", acked=(0, 1, 2), seen=None):
        book = Ledger(1)
        book.sent[0] = 3
        book.acked[0] = {number: number for number in acked}
        book.seen[0] = seen or {}
        records = [(offset, value(0, number, b"pad" * 9) + spoil) for offset, number in offsets_and_numbers]
        book.judge(0, records)
        return " ".join(book.problems)

    good = [(0, 0), (1, 1), (2, 2)]
    expect(problems(good) == "", f"it complains of nothing: {problems(good)}")
    cases = {"lost": problems(good[:2]), "doubled": problems(good + [(3, 2)]),
             "moved": problems([(0, 0), (2, 1), (3, 2)]), "out of order": problems([(0, 0), (1, 2), (2, 1)]),
             "corrupt": problems(good, spoil=b"x"), "phantom": problems(good + [(3, 3)]),
             "a consumer saw": problems(good, seen={1: 2})}
    for word, said in cases.items():
        expect(word in said, f"it did not notice: {word}; it said: {said}")


@check("the suite itself: its reading of kafka-dump-log catches a flipped bit and a zero tail", needs=("jars",),
       stage=STOPPED)
def dumping(context):
    # A small one that is whole: a segment that is cut would be a complaint of its own.
    source = min((file for file in segments(context.data) if file.stat().st_size > 200),
                 key=lambda file: file.stat().st_size)
    content = source.read_bytes()
    spoiled = {"whole": content, "flipped": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], "tail": content + bytes(4096)}
    for name, data in spoiled.items():
        directory = context.work / name / "topic-0"
        directory.mkdir(parents=True)
        (directory / "00000000000000000000.log").write_bytes(data)
        try:
            every_segment(context.work / name)
            found = False
        except Failed:
            found = True
        expect(found == (name != "whole"), f"{name}: a complaint is {found}")
