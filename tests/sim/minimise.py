"""Shortens a failing history: delta debugging (after Zeller and Hildebrandt, 2002) over what it consists of.

A story is the words that play a part of a seed's history (script.h): how long, how many nodes and shards, which changes
of the log, which faults. All of it is played first, and says its own words. Then something is left out, and what is
left is played; where it breaks the same invariant it is the story from now on. What is left out grows smaller: half of
the time, all faults of a dial, halves of the faults and of the changes, single ones; until nothing can go.

Whatever is left out moves the turns and latencies of all that follows, so a story that passes may have missed by luck
alone: it is played with some other luck before it is given up.
"""
import concurrent.futures
import dataclasses
import math
import re
import subprocess
import sys
import time

# How it goes on when nothing can go any more: parts of at least so much of the whole, each played with so many lucks.
EFFORTS = [(1 / 8, 1), (1 / 64, 1), (0, 1), (0, 2), (0, 4), (0, 8), (0, 16)]
PATIENCE_S = 30  # for one history


def invariant(line):
    """The name of what a line of a failing history says is broken."""
    found = re.search(r"^seed [^:]*(?: s| ends): ([^:]+)", line or "")
    return found and found[1]


@dataclasses.dataclass(frozen=True)
class Story:
    seed: int
    until: float
    nodes: int
    shards: int
    messages: tuple
    faults: tuple
    luck: int = 0

    @staticmethod
    def of_words(seed, words):
        """Of the words that `weir-sim --words` printed; a fault's word stands as it is."""
        numbers = {}
        messages, faults = [], []
        for word in words:
            name, _, value = word.partition("=")
            if not value:
                faults.append(word)
            elif name == "messages":
                messages += numbers_of(value)
            else:
                numbers[name] = float(value) if name == "until" else int(value)
        return Story(seed, messages=tuple(messages), faults=tuple(faults), **numbers)

    def words(self):
        return [f"until={self.until:.6f}", f"nodes={self.nodes}", f"shards={self.shards}",
                *[f"luck={self.luck}"] * (self.luck > 0), f"messages={ranges_of(self.messages)}", *self.faults]

    def size(self):
        return len(self.messages) + len(self.faults)

    def __str__(self):
        def some(n, what):
            return f"{n} {what}" + "s" * (n != 1)
        return (f"{some(len(self.messages), 'change')}, {some(len(self.faults), 'fault')}, {self.until:.1f} s, "
                f"{some(self.nodes, 'node')} with {some(self.shards, 'shard')}")


def numbers_of(ranges):
    """3,17-19 as a list."""
    ends = [[int(end) for end in part.split("-")] for part in ranges.split(",") if part]
    return [number for part in ends for number in range(part[0], part[-1] + 1)]


def ranges_of(numbers):
    parts = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


class Player:
    """Plays stories, some at a time."""

    def __init__(self, binary, environment, jobs, seconds=math.inf, stories=math.inf):
        self.binary, self.environment, self.jobs = binary, environment, jobs
        self.ends, self.most = time.monotonic() + seconds, stories
        self.played, self.wanted = 0, None
        self.smallest, self.lucks = EFFORTS[0]
        self.pool = concurrent.futures.ThreadPoolExecutor(jobs)

    def run(self, seed, *words):
        """What it prints on stdout, and the line that it fails with, or ""."""
        self.played += 1
        try:
            result = subprocess.run([self.binary, str(seed), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True, env=self.environment, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            return "", ""
        line = (result.stderr.splitlines() or [""])[-1] if result.returncode else ""
        unforeseen = result.returncode and not invariant(line)
        return result.stdout, f"seed {seed} ends: with code {result.returncode}: {line}" if unforeseen else line

    def tell(self, story):
        """The story as it says itself when it is played: without what does not happen. None where it does not fail."""
        text, line = self.run(story.seed, "--words", *story.words())
        if invariant(line) != self.wanted:
            return None
        told, broken = Story.of_words(story.seed, text.split()), re.search(r", ([0-9.]+) s:", line)
        end = math.ceil(float(broken[1]) * 10) / 10 if broken else story.until
        return dataclasses.replace(told, luck=story.luck, until=min(story.until, end))

    def first_failing(self, stories):
        """(the first of them that still fails, which one it is), if need be with another luck; None where none does."""
        tries = [(dataclasses.replace(story, luck=story.luck + luck), which)
                 for which, story in enumerate(stories) for luck in range(self.lucks)]
        for at in range(0, len(tries), self.jobs):
            if self.is_over():
                return None
            some = tries[at:at + self.jobs]
            for story, (_, which) in zip(self.pool.map(self.tell, [story for story, _ in some]), some):
                if story:
                    self.show(story)
                    return story, which
        return None

    def is_over(self):
        return time.monotonic() > self.ends or self.played >= self.most

    def show(self, story):
        if sys.stderr.isatty():
            text = f"{self.played} played: {story}" if story else ""
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def leave_out(player, story, items_of, without):
    """As many of its items as can go: all, then halves, quarters, single ones. without(story, gone) is the story
    without those."""
    size = len(items_of(story))
    smallest = size * player.smallest
    while size > 0 and size >= smallest:
        at = 0
        while at < len(items := items_of(story)):
            parts = [set(items[first:first + size]) for first in range(at, len(items), size)]
            found = player.first_failing([without(story, part) for part in parts])
            if not found:
                break
            story, at = found[0], at + found[1] * size
        size //= 2
    return story


def dial_of(fault):
    return fault.partition("@")[0]


def without_dials(story, gone):
    return dataclasses.replace(story, faults=tuple(fault for fault in story.faults if dial_of(fault) not in gone))


def without_faults(story, gone):
    return dataclasses.replace(story, faults=tuple(fault for fault in story.faults if fault not in gone))


def without_messages(story, gone):
    return dataclasses.replace(story, messages=tuple(number for number in story.messages if number not in gone))


def sooner(player, story):
    """It ends earlier: after half of the time, else after three quarters, and so on."""
    share = 2
    while share < 64:
        found = player.first_failing([dataclasses.replace(story, until=round(story.until * (share - 1) / share, 1))])
        story, share = (found[0], share) if found else (story, share * 2)
    return story


def fewer(player, story, what):
    """Nodes, shards: as few as can be."""
    found = player.first_failing([dataclasses.replace(story, **{what: n}) for n in range(1, getattr(story, what))])
    return found[0] if found else story


def shorten_once(player, story):
    story = sooner(player, story)
    story = leave_out(player, story, lambda story: sorted({dial_of(fault) for fault in story.faults}), without_dials)
    story = fewer(player, story, "nodes")
    story = fewer(player, story, "shards")
    story = leave_out(player, story, lambda story: story.messages, without_messages)
    return leave_out(player, story, lambda story: story.faults, without_faults)


def shorten(player, story):
    """First what is quick to go; the shorter it is the more can be tried in the same time."""
    for player.smallest, player.lucks in EFFORTS:
        before = None
        while story != before and not player.is_over():
            before, story = story, shorten_once(player, story)
    player.show(None)
    return story


def minimise(player, seed):
    """(all of the seed's story, the shortest found, the line that it fails with); None where the seed does not fail."""
    text, line = player.run(seed, "--words")
    player.wanted = invariant(line)
    if player.wanted is None:
        return None
    whole = player.tell(Story.of_words(seed, text.split()))
    if whole is None:
        raise RuntimeError(f"seed {seed} does not fail when all of its own words play it")
    short = shorten(player, whole)
    return whole, short, player.run(seed, *short.words())[1]
