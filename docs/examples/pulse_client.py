#!/usr/bin/env python3
"""A client of Pulse in plain Python: a whole session, from track to sound.

    pulse new song && pulse -p song serve --socket /tmp/song.sock &
    python3 pulse_client.py /tmp/song.sock mix.wav

Only the standard library. `Pulse` is all that a program needs to speak the
protocol (docs/protocol.md): frames of four bytes of length and one JSON object.
"""

import json
import os
import socket
import struct
import sys

QUARTER = 45_158_400  # ticks
BAR = 4 * QUARTER


class Refused(Exception):
    """Pulse said no; `code` says why, `details["hint"]` what to do."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]
        self.details = error.get("details") or {}


class Pulse:
    """One connection: commands with their answers, events kept aside."""

    def __init__(self, address, token=None, client="python-example"):
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        self.socket.settimeout(60)
        self.events = []
        self.number = 0
        # The process id tells one run of this program from another.
        self.welcome = self.call(
            "client.hello",
            clientId=client,
            instanceId=f"{client}-{os.getpid()}",
            author=os.environ.get("USER", "someone"),
            protocols=[1],
            encoding="json",
            token=token,
        )

    def call(self, command, /, **payload):
        """Sends a command and waits for its answer."""
        domain, name = command.split(".")
        self.number += 1
        envelope = {
            "v": 1,
            "id": f"c{self.number}",
            "domain": domain,
            "name": name,
            "kind": "command",
            "payload": payload,
        }
        body = json.dumps(envelope).encode()
        self.socket.sendall(struct.pack(">I", len(body)) + body)
        while True:
            answer = self.receive()
            if answer.get("cid") != envelope["id"]:
                self.events.append(answer)
            elif answer["kind"] == "error":
                raise Refused(answer["error"])
            else:
                return answer["payload"]

    def event(self, wanted):
        """Waits for an event, such as `project.changed`."""
        while True:
            for index, event in enumerate(self.events):
                if f"{event['domain']}.{event['name']}" == wanted:
                    return self.events.pop(index)
            self.events.append(self.receive())

    def receive(self):
        """The next envelope of any kind."""
        while True:
            (length,) = struct.unpack(">I", self.read(4))
            body = self.read(length)
            if body[:1] != b"\xc1":  # frames of binary streams are not for us
                envelope = json.loads(body)
                if envelope["kind"] == "error" and not envelope.get("cid"):
                    raise Refused(envelope["error"])
                return envelope

    def read(self, count):
        parts = b""
        while len(parts) < count:
            part = self.socket.recv(count - len(parts))
            if not part:
                raise ConnectionError("Pulse closed the connection")
            parts += part
        return parts

    def close(self):
        self.call("client.goodbye")
        self.socket.close()


def notes(pitches, length):
    """One note after the other."""
    return [
        {"pitch": pitch, "start": index * length, "length": length}
        for index, pitch in enumerate(pitches)
    ]


def session(pulse, wav):
    print("connected to", pulse.welcome["server"], pulse.welcome["serverVersion"])
    pulse.call("client.subscribe", topics=[{"domain": "project"}, {"domain": "job"}])

    # A track with a synth, two bars of notes on its lane.
    track = pulse.call("track.create", name="Bass", kind="instrument", nodes=["pulse.synth"])
    change = pulse.event("project.changed")
    print("track made by", change["by"]["author"], "at revision", change["payload"]["revision"])
    clip = pulse.call(
        "clip.create",
        lane=track["lane"],
        start=0,
        length=2 * BAR,
        notes=notes([36, 36, 43, 41], QUARTER),
    )
    more = notes([48, 46, 43, 41], QUARTER)
    for note in more:
        note["start"] += BAR
    pulse.call("note.add", clip=clip["clip"], notes=more)

    # The mixer: a fader, a return with a reverb, a send, a fade-in.
    channel = track["channel"]
    pulse.call("channel.setGain", channel=channel, gainDb=-6)
    hall = pulse.call("channel.create", kind="return", name="Hall", nodes=["pulse.reverb"])
    pulse.call("routing.addSend", **{"from": channel, "to": hall["channel"], "gainDb": -12})
    pulse.call(
        "automation.createEnvelope",
        owner={"lane": {"lane": track["lane"]}},
        target={"target": channel, "parameter": "gainDb"},
        points=[{"at": 0, "value": -24}, {"at": BAR, "value": -6}],
    )

    # What is wrong is refused, with a reason and the field.
    try:
        pulse.call("channel.setGain", channel=channel, gainDb="loud")
    except Refused as refused:
        print("refused:", refused.code, refused.details["path"])

    # A commit, a branch with another idea, what differs, and back.
    pulse.call("version.commit", message="Bass line")
    pulse.call("version.branch", name="octave-up", switch=True)
    pulse.call("note.move", clip=clip["clip"], transpose=12)
    pulse.call("version.commit", message="An octave up")
    diff = pulse.call("version.diff", **{"from": "main", "to": "octave-up"})
    print("the branches differ in", len(diff["changes"]), "entities")
    pulse.call("version.switch", to="main")

    # One edit too many, undone: the root hash proves it.
    before = pulse.call("project.info")["info"]["root"]
    pulse.call("track.delete", tracks=[track["track"]])
    pulse.call("history.undo")
    after = pulse.call("project.info")["info"]["root"]
    print("undone:", before == after)

    # Sound. Rendering is a job: its result comes as an event.
    job = pulse.call("rendering.render", path=os.path.abspath(wav))["job"]
    while True:
        finished = pulse.event("job.finished")["payload"]["job"]
        if finished["id"] == job:
            break
    if finished["state"] != "done":
        raise SystemExit(f"the render is {finished['state']}: {finished.get('error')}")
    report = finished["result"]["report"]
    print("rendered", report["frames"], "frames at", report["rate"], "Hz to", wav)


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    address = sys.argv[1]
    if ":" in address and "/" not in address:
        host, port = address.rsplit(":", 1)
        address = (host, int(port))
    pulse = Pulse(address, token=os.environ.get("PULSE_TOKEN"))
    session(pulse, sys.argv[2])
    pulse.close()


if __name__ == "__main__":
    main()
