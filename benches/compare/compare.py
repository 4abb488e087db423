#!/usr/bin/env python3
"""The store's work done by SQLite and by git, beside a raw append + fdatasync.

    python3 benches/compare/compare.py [NOTES]

Corpus: as in benches/store.rs, 100 tracks, clips of 50 notes, 100,000 notes; one JSON text a
record. SQLite: one table of records, WAL, synchronous=FULL. git: one file with one record a line
in the order of ids (kinder to git's diff and merge than one long line), or one file a record in
folders by the head of the id; core.fsync=all in batches. Audio engines: rivals.py.

Caveats: SQLite keeps no history, so diff and merge join copies of the table and undo is not
there to measure; its records are not validated. Run it on the disk of the workspace, in the
minute of `cargo bench -p pulse-benches --bench store`. It installs nothing.
"""

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

NOTES = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
TRACKS, PER_CLIP = 100, 50


def records():
    for track in range(TRACKS):
        yield f"trk{track:08}", {"name": f"Track {track}", "gainDb": 0.0}
    for clip in range(NOTES // PER_CLIP):
        yield f"clp{clip:08}", {"track": clip % TRACKS, "start": clip // TRACKS * 10_000, "length": 10_000}
        for note in range(PER_CLIP):
            yield f"nte{clip:08}{note:04}", {
                "clip": clip, "start": note * 100, "length": 90, "pitch": 36 + note % 48,
                "velocity": 40_000, "probability": 1.0,
            }


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def show(seconds):
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} µs"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def row(what, measured):
    with open("/proc/loadavg", encoding="ascii") as file:
        load = file.read().split()[0]
    print(f"| {what} | {measured} | {load} |", flush=True)


def appender(folder):
    file = os.open(os.path.join(folder, "raw"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    page = bytes(4096)

    def append():
        os.write(file, page)
        os.fdatasync(file)

    return append


def sqlite(folder, data):
    path = os.path.join(folder, "song.sqlite")
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("pragma journal_mode=wal")
    base.execute("pragma synchronous=full")
    base.execute("create table record(id text primary key, body text) without rowid")

    def fill():
        base.execute("begin")
        base.executemany("insert into record values (?, ?)", data)
        base.execute("commit")

    row(f"SQLite {sqlite3.sqlite_version}: import of {len(data)} records, durable", show(timed(fill)[0]))
    clips = [name for name, _ in data if name.startswith("clp")]
    append, raw, edits = appender(folder), [], []

    def move(at):
        body = json.dumps({"track": 1, "start": at, "length": 10_000})
        base.execute("update record set body = ? where id = ?", (body, clips[at * 7 % len(clips)]))

    for at in range(400):
        raw.append(timed(append)[0])
        edits.append(timed(lambda: move(at))[0])
    raw, edits = statistics.median(raw), statistics.median(edits)
    row("SQLite: durable one-clip edit", f"{show(edits)} = {edits / raw:.2f} × raw ({show(raw)})")
    for table in ("ours", "theirs"):
        base.execute(f"create table {table}(id text primary key, body text) without rowid")
        base.execute(f"insert into {table} select * from record")
    for at in range(10):
        base.execute("update ours set body = '{}' where id = ?", (clips[at],))
    diff = "select count(*) from ours join record using (id) where ours.body <> record.body"
    times = [timed(lambda: base.execute(diff).fetchone())[0] for _ in range(9)]
    row("SQLite: diff of 10 changes (join of two copies)", show(statistics.median(times)))
    notes = [name for name, _ in data if name.startswith("nte")]
    for table, names in (("ours", notes[:1000]), ("theirs", notes[-1000:])):
        base.execute("begin")
        base.executemany(f"update {table} set body = '{{}}' where id = ?", ((name,) for name in names))
        base.execute("commit")

    def merge():
        base.execute("begin")
        base.execute(
            "update ours set body = theirs.body from theirs join record using (id) "
            "where theirs.id = ours.id and theirs.body <> record.body and ours.body = record.body"
        )
        base.execute("commit")

    row("SQLite: merge of 1,000 + 1,000 edits (three-way join), durable", show(timed(merge)[0]))
    base.close()
    again = []
    for _ in range(7):
        def reopen():
            other = sqlite3.connect(path)
            other.execute("select body from record where id = ?", (clips[0],)).fetchone()
            return other
        took, other = timed(reopen)
        other.close()
        again.append(took)
    row("SQLite: open and read one clip (after a clean close)", show(statistics.median(again)))


def git(folder, data, per_entity):
    if shutil.which("git") is None:
        print("\ngit is missing; its rows are left out")
        return
    form = "one file per entity" if per_entity else "one JSON file"
    repo = os.path.join(folder, "git-entities" if per_entity else "git-file")
    os.mkdir(repo)
    environment = dict(os.environ, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")

    def run(*arguments):
        settings = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "core.fsync=all",
                    "-c", "core.fsyncMethod=batch", "-c", "gc.auto=0"]
        command = ["git", "-C", repo, *settings, *arguments]
        return subprocess.run(command, check=True, env=environment, capture_output=True).stdout

    lines = dict(sorted(data))

    def write_file():
        with open(os.path.join(repo, "song.json"), "w", encoding="utf-8") as file:
            file.write("{\n")
            file.write(",\n".join(f'"{name}": {body}' for name, body in lines.items()))
            file.write("\n}\n")

    def write_entities(names):
        for name in names:
            path = os.path.join(repo, name[:10])
            os.makedirs(path, exist_ok=True)
            with open(os.path.join(path, name), "w", encoding="utf-8") as file:
                file.write(lines[name] + "\n")

    def write(names):
        write_entities(names) if per_entity else write_file()

    def commit(message, names):
        write(names)
        run("commit", "-qam", message)

    def first():
        write(lines)
        run("add", ".")
        run("commit", "-qm", "song")

    run("init", "-q", "-b", "main")
    row(f"git, {form}: import, durable", show(timed(first)[0]))
    clips = [name for name in lines if name.startswith("clp")]
    raw_folder = os.path.join(folder, "raw-beside-" + os.path.basename(repo))
    os.mkdir(raw_folder)
    append, raw, edits = appender(raw_folder), [], []

    def move(at):
        name = clips[at * 7 % len(clips)]
        lines[name] = json.dumps({"track": 1, "start": at, "length": 10_000})
        commit("move", [name])

    for at in range(10):
        raw.append(timed(append)[0])
        edits.append(timed(lambda: move(at))[0])
    raw, edits = statistics.median(raw), statistics.median(edits)
    row(f"git, {form}: durable one-clip edit", f"{show(edits)} = {edits / raw:.0f} × raw ({show(raw)})")
    took = [timed(lambda: run("diff", "--unified=0", "HEAD~10", "HEAD"))[0] for _ in range(5)]
    row(f"git, {form}: diff of 10 changes", show(statistics.median(took)))
    notes = [name for name in lines if name.startswith("nte")]
    base = dict(lines)
    run("branch", "b")
    lines.update({name: "{}" for name in notes[:1000]})
    commit("ours", notes[:1000])
    run("switch", "-q", "b")
    lines.clear()
    lines.update(base)
    lines.update({name: "{}" for name in notes[-1000:]})
    commit("theirs", notes[-1000:])
    run("switch", "-q", "main")
    row(f"git, {form}: merge of 1,000 + 1,000 edits",
        show(timed(lambda: run("merge", "-q", "--no-edit", "b"))[0]))
    row(f"git, {form}: undo (revert of the last edit)",
        show(timed(lambda: run("revert", "--no-edit", "-m", "1", "HEAD"))[0]))


def main():
    data = [(name, json.dumps(body)) for name, body in records()]
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "target")
    os.makedirs(target, exist_ok=True)
    print("| what | measured | load |\n|---|---|---|")
    with tempfile.TemporaryDirectory(dir=target) as folder:
        sqlite(folder, data)
        git(folder, data, per_entity=False)
        git(folder, data, per_entity=True)


if __name__ == "__main__":
    main()
