"""The 64-track session beside other programs: gain, four biquads and pan on 64 stereo files of 60 s,
mixed to one float WAV. One thread each, in one run, on one machine.

    python3 benches/compare/rivals.py [--dir DIR] [--tracks 64] [--seconds 60] [--runs 3]

Rivals: ecasound with swh-plugins (Debian), scsynth in NRT mode (Debian supercollider-server) and
pedalboard (PyPI; run this script with the Python that has it). Nothing is installed by this script:
what is missing is said and left out. Pulse is `cargo bench -p pulse-engine --bench rival`, built
beforehand by the same command with `--no-run`.

So that nobody wins by doing less, every result is subtracted from a reference computed here in f64;
the residue in dB RMS is in the table. All read the same 16-bit files and write float WAV. Time is
that of the child process as the kernel accounts it (user + system), least of the runs, because other
work on the machine stretches the wall clock; the wall clock stands beside it. Files lie in memory
(/dev/shm) unless --dir says otherwise, so no disk is measured. pedalboard's time includes starting
Python, and is also given without.
"""

import argparse
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import wave

RATE = 48_000
GAIN = 10 ** (-12 / 20)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def bands(track):
    """Frequency, gain in dB and Q of each bell; tracks count from 1."""
    return [(100.0 * 4 ** band + track, 3.0 if band % 2 else -4.0, 1.0) for band in range(4)]


def sides(track, tracks):
    """Balance: the middle keeps both sides, the far side is turned down."""
    pan = track / tracks - 0.5
    return min(1.0 - pan, 1.0), min(1.0 + pan, 1.0)


def section(hz, db, q):
    """The RBJ peaking section, b0 b1 b2 1 a1 a2."""
    w = 2 * math.pi * hz / RATE
    a, alpha, cos = 10 ** (db / 40), math.sin(w) / (2 * q), math.cos(w)
    n = 1 + alpha / a
    return [(1 + alpha * a) / n, -2 * cos / n, (1 - alpha * a) / n, 1.0, -2 * cos / n, (1 - alpha / a) / n]


def octaves(hz, q):
    """The bandwidth that makes the cookbook's other form of alpha the same number."""
    w = 2 * math.pi * hz / RATE
    return 2 / math.log(2) * math.asinh(1 / (2 * q)) * math.sin(w) / w


def corpus(args, numpy, signal):
    """The tracks and the f64 reference, made once per folder."""
    folder = os.path.join(args.dir, f"pulse-rivals-{args.tracks}x{args.seconds}")
    reference = os.path.join(folder, "reference.npy")
    if os.path.exists(reference):
        return folder, numpy.load(reference, mmap_mode="r")
    os.makedirs(folder, exist_ok=True)
    frames = args.seconds * RATE
    total = numpy.zeros((frames, 2))
    for track in range(1, args.tracks + 1):
        # Quiet enough that the sum stays below full scale, where some would clip it.
        noise = numpy.random.Generator(numpy.random.PCG64(track)).uniform(-0.125, 0.125, (frames, 2))
        samples = numpy.round(noise * 32767).astype("<i2")
        with wave.open(f"{folder}/track{track:02}.wav", "wb") as file:
            file.setparams((2, 2, RATE, frames, "NONE", ""))
            file.writeframes(samples.tobytes())
        out = signal.sosfilt([section(*band) for band in bands(track)], samples / 32768.0, axis=0)
        total += out * GAIN * numpy.array(sides(track, args.tracks))
    numpy.save(reference, total)
    return folder, total


def read_wav(path, numpy):
    """Float or 16-bit stereo WAV as f64, without a library that may lack either."""
    with open(path, "rb") as file:
        data = file.read()
    at, kind, bits = 12, 3, 32
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"fmt ":
            kind, _, _, _, _, bits = struct.unpack_from("<HHIIHH", data, at + 8)
            if kind == 0xFFFE:
                kind = struct.unpack_from("<H", data, at + 8 + 24)[0]
        if name == b"data":
            body = data[at + 8 : min(len(data), at + 8 + size)]
            body = body[: len(body) // (bits // 4) * (bits // 4)]
            if kind == 3:
                return numpy.frombuffer(body, "<f4").reshape(-1, 2).astype("f8")
            return numpy.frombuffer(body, "<i2").reshape(-1, 2) / 32768.0
        at += 8 + size + (size & 1)
    raise ValueError(f"{path} has no data")


def residue(path, reference, numpy):
    """RMS of the difference in dB below the RMS of the reference, at the best whole-frame shift:
    some players begin a block late."""
    got = read_wav(path, numpy)
    probe = slice(RATE, RATE + 8192)
    best = min(range(-64, 65), key=lambda s: float(numpy.sum((got[probe.start + s : probe.stop + s] - reference[probe]) ** 2)))
    start, count = max(0, -best), min(len(got) - max(0, best), len(reference) - max(0, -best))
    a = got[start + best : start + best + count]
    b = reference[start : start + count]
    missing = len(reference) - count
    rms = lambda x: math.sqrt(float(numpy.mean(x**2))) or 1e-300
    return 20 * math.log10(rms(a - b) / rms(b)), missing


# -- the programs -------------------------------------------------------------------------------


def ecasound(folder, out, args):
    if not shutil.which("ecasound"):
        return "ecasound is missing (Debian: ecasound)"
    if not os.path.exists("/usr/lib/ladspa/single_para_1203.so"):
        return "LADSPA singlePara is missing (Debian: swh-plugins)"
    names = ",".join(f"t{track}" for track in range(1, args.tracks + 1))
    command = ["ecasound", "-q", "-D", "-z:nodb", "-z:nointbuf", "-b:512", "-sr:48000", "-B:nonrt"]
    for track in range(1, args.tracks + 1):
        command += [f"-a:t{track}", f"-i:{folder}/track{track:02}.wav"]
        command += [f"-el:singlePara,{db},{hz},{octaves(hz, q)!r}" for hz, db, q in bands(track)]
        left, right = sides(track, args.tracks)
        command += [f"-eac:{100 * GAIN * left!r},1", f"-eac:{100 * GAIN * right!r},2"]
    return command + [f"-a:{names}", "-f:f32_le,2,48000", f"-o:{out}", f"-t:{args.seconds}"]


def pstring(text):
    return bytes([len(text)]) + text.encode()


def synthdef(name, track, args):
    """SCgf 2: DiskIn → 4 × BPeakEQ per side → gain → Out, every setting a constant."""
    constants, ugens = [], []

    def constant(value):
        value = struct.unpack(">f", struct.pack(">f", value))[0]
        if value not in constants:
            constants.append(value)
        return (-1, constants.index(value))

    def ugen(kind, inputs, outputs, special=0):
        body = pstring(kind) + struct.pack(">bIIh", 2, len(inputs), outputs, special)
        body += b"".join(struct.pack(">iI", *where) for where in inputs) + b"\x02" * outputs
        ugens.append(body)
        return len(ugens) - 1

    disk = ugen("DiskIn", [constant(track), constant(0)], 2)
    ends = []
    for channel, side in enumerate(sides(track, args.tracks)):
        signal = (disk, channel)
        for hz, db, q in bands(track):
            inputs = [signal, constant(hz), constant(1 / q), constant(db)]
            signal = (ugen("BPeakEQ", inputs, 1), 0)
        ends.append((ugen("BinaryOpUGen", [signal, constant(GAIN * side)], 1, 2), 0))
    ugen("Out", [constant(0)] + ends, 0)
    body = pstring(name) + struct.pack(">I", len(constants))
    body += b"".join(struct.pack(">f", value) for value in constants)
    body += struct.pack(">II", 0, 0) + struct.pack(">I", len(ugens)) + b"".join(ugens)
    return b"SCgf" + struct.pack(">Ih", 2, 1) + body + struct.pack(">H", 0)


def osc(address, *values):
    pad = lambda raw: raw + b"\0" * (-len(raw) % 4)
    tags, body = ",", b""
    for value in values:
        if isinstance(value, int):
            tags, body = tags + "i", body + struct.pack(">i", value)
        elif isinstance(value, bytes):
            tags, body = tags + "b", body + struct.pack(">i", len(value)) + pad(value)
        else:
            tags, body = tags + "s", body + pad(value.encode() + b"\0")
    return pad(address.encode() + b"\0") + pad(tags.encode() + b"\0") + body


def bundle(seconds, messages):
    body = b"#bundle\0" + struct.pack(">Q", round(seconds * 2**32))
    body += b"".join(struct.pack(">I", len(message)) + message for message in messages)
    return struct.pack(">I", len(body)) + body


def scsynth(folder, out, args):
    if not shutil.which("scsynth"):
        return "scsynth is missing (Debian: supercollider-server)"
    score = os.path.join(folder, "score.osc")
    with open(score, "wb") as file:
        file.write(bundle(0, [osc("/d_recv", synthdef(f"t{t}", t, args)) for t in range(1, args.tracks + 1)]))
        for track in range(1, args.tracks + 1):
            path = f"{folder}/track{track:02}.wav"
            load = [osc("/b_alloc", track, 65536, 2), osc("/b_read", track, path, 0, 65536, 0, 1)]
            file.write(bundle(0, load))
        file.write(bundle(0, [osc("/s_new", f"t{t}", 1000 + t, 1, 0) for t in range(1, args.tracks + 1)]))
        file.write(bundle(args.seconds, [osc("/c_set", 0, 0)]))
    command = ["scsynth", "-N", score, "_", out, str(RATE), "WAV", "float"]
    return command + ["-o", "2", "-i", "0", "-z", "512", "-m", "262144", "-w", "512", "-V", "-1"]


PEDALBOARD = """
import sys, time
import numpy
from pedalboard import Gain, Pedalboard, PeakFilter
from pedalboard.io import AudioFile
sys.path.insert(0, sys.argv[1])
import rivals
folder, out, tracks, seconds = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
began = time.process_time()
total = numpy.zeros((2, seconds * rivals.RATE), numpy.float32)
for track in range(1, tracks + 1):
    with AudioFile(f"{folder}/track{track:02}.wav") as file:
        audio = file.read(file.frames)
    chain = [PeakFilter(hz, db, q) for hz, db, q in rivals.bands(track)] + [Gain(-12.0)]
    audio = Pedalboard(chain)(audio, rivals.RATE, buffer_size=4096)
    for channel, side in enumerate(rivals.sides(track, tracks)):
        total[channel] += audio[channel] * numpy.float32(side)
with AudioFile(out, "w", rivals.RATE, 2, bit_depth=32) as file:
    file.write(total)
print(f"{time.process_time() - began:.4f} s of CPU inside")
"""


def pedalboard(folder, out, args):
    try:
        import pedalboard as _
    except ImportError:
        return f"pedalboard is missing in {sys.executable} (PyPI: pedalboard)"
    here = os.path.dirname(os.path.abspath(__file__))
    return [sys.executable, "-c", PEDALBOARD, here, folder, out, str(args.tracks), str(args.seconds)]


def pulse(folder, out, args):
    command = ["cargo", "bench", "--quiet", "-p", "pulse-engine", "--bench", "rival", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.findall(r'"executable":"([^"]*/rival-[^"]*)"', built.stdout)
    if not found:
        return "the bench `rival` did not build: " + built.stderr[-300:]
    return [found[-1], f"--dir={folder}", f"--out={out}", f"--tracks={args.tracks}"]


# -- measuring ----------------------------------------------------------------------------------


def run_once(command, out):
    if os.path.exists(out):
        os.remove(out)
    limits = {"OMP_NUM_THREADS": "1", "SDL_AUDIODRIVER": "dummy", "ECASOUND_LOGFILE": "/dev/null"}
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | limits)
    text = child.stdout.read()
    # wait4 tells what this child alone has used.
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if child.returncode != 0 or not os.path.exists(out):
        raise RuntimeError(f"ended with {child.returncode}: {text[-400:]}")
    return usage.ru_utime + usage.ru_stime, wall, text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", default="/dev/shm")
    parser.add_argument("--tracks", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    try:
        import numpy
        from scipy import signal
    except ImportError as error:
        sys.exit(f"the reference needs numpy and scipy (PyPI): {error}")
    folder, reference = corpus(args, numpy, signal)
    # Interleaved, so that a busy minute on the machine hits everyone.
    programs, missing = {}, []
    for program in (pulse, ecasound, scsynth, pedalboard):
        out = os.path.join(folder, f"{program.__name__}.wav")
        command = program(folder, out, args)
        if isinstance(command, str):
            missing.append(f"{program.__name__}: left out, {command}")
        else:
            programs[program.__name__] = (command, out, [])
    for _ in range(args.runs):
        for name in list(programs):
            command, out, runs = programs[name]
            try:
                runs.append(run_once(command, out))
            except RuntimeError as error:
                missing.append(f"{name}: {error}")
                del programs[name]
    with open("/proc/loadavg", encoding="ascii") as file:
        load = " ".join(file.read().split()[:3])
    print(f"{args.tracks} tracks × {args.seconds} s, least of {args.runs} interleaved runs, load {load}")
    print("| program | CPU s | × real time | wall s | residue | frames missing | note |")
    print("|---|---|---|---|---|---|---|")
    times = {}
    for name, (_, out, runs) in programs.items():
        cpu, wall = min(run[0] for run in runs), min(run[1] for run in runs)
        times[name] = cpu
        inside = [float(found.group(1)) for run in runs if (found := re.search(r"([0-9.]+) s of CPU inside", run[2]))]
        note = f"{min(inside):.2f} s without starting Python" if inside else ""
        if inside:
            times[name] = min(inside)
        db, short = residue(out, reference, numpy)
        print(f"| {name} | {cpu:.3f} | {args.seconds / cpu:.1f} | {wall:.3f} | {db:.1f} dB | {short} | {note} |")
    if "pulse" in times and len(times) > 1:
        name, best = min(((name, t) for name, t in times.items() if name != "pulse"), key=lambda pair: pair[1])
        print(f"pulse is {best / times['pulse']:.2f} × the fastest rival ({name}) by CPU time")
    print("\n".join(missing))


if __name__ == "__main__":
    main()
