#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The host's side of a test VM.

Runs QEMU; hands the VM one case after another from a list that several VMs may
share; answers its `host` requests by `scripts/lab do`; turns the lines of the
port "tap" into a TAP report; looks through the kernel's log of each case for
signs of trouble. Started by scripts/vm only.
"""

import argparse
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.append(os.path.join(HERE, "../lab"))
import peer

STATE = os.path.join("/run/rsdfs-lab", os.environ.get("RSDFS_LAB", "rsdfs"))
PORTS = 8

# An emulated machine comes up in 15 to 30 seconds. One was seen to stop before there was any of ours in it: the timers of
# a processor did not fire, said RCU.
BOOT, BOOTS = 120, 3

# What no case may leave in the kernel's log.
TROUBLE = re.compile(
    r"WARNING:|BUG\b|Oops|general protection|Call Trace|kernel panic|Kernel panic|"
    r"blocked for more than|soft lockup|rcu.*(stall|self-detected)|refcount_t|"
    r"memory leak|Objects remaining|SLUB: .*(corrupt|error)|Redzone|Poison overwritten|"
    r"Object already free|kfence|KFENCE:|UBSAN|list_(add|del) corruption|"
    r"scheduling while atomic|sleeping function called|Unknown symbol|rust_kernel: panicked|panicked at|"
    r"bad unlock balance|use-after-free|double.free"
)
HARMLESS = re.compile(r"kfence: initialized|Command line:|KFENCE: initialized|kfence\.sample_interval|printk: debug|debugging enabled")

parser = argparse.ArgumentParser()
parser.add_argument("--dir", required=True, help="sockets and console of this run")
parser.add_argument("--lab", required=True, help="path of scripts/lab")
parser.add_argument("--raw", action="store_true", help="print the output of one command, no TAP")
parser.add_argument("--queue", required=True, help="file with the names of the cases that are to come")
parser.add_argument("--then", help="another such file, for when the queue is empty and nobody holds the lock --after any more")
parser.add_argument("--after", help="file with a lock that whoever is to be waited for holds")
parser.add_argument("--shared", action="store_true", help="other VMs take cases from the queue, and print where this one prints")
parser.add_argument("--timeout", type=float, default=900)
parser.add_argument("qemu", nargs="+")
args = parser.parse_args()

start = time.monotonic()


def elapsed():
    return time.monotonic() - start


def next_case():
    """Takes the first case out of the queue; None when there is no more."""
    case = take(args.queue)
    if case or not args.then:
        return case
    with open(args.after, "r") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    return take(args.then)


def take(queue):
    with open(queue, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        first, _, rest = file.read().partition("\n")
        file.seek(0)
        file.write(rest)
        file.truncate()
    return first or None


def listen(name):
    path = os.path.join(args.dir, name + ".sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)
    return server


def broker(server, report):
    """Serves one `host` port: counted arguments in, status, length and output back."""
    conn, _ = server.accept()
    stream = conn.makefile("rb")
    while True:
        line = stream.readline()
        if not line:
            return
        words = []
        for _ in range(int(line)):
            words.append(stream.read(int(stream.readline())).decode("utf-8", "surrogateescape"))
        if words == ["next-case"]:
            report.taken = next_case()
            status, out = (0, report.taken.encode()) if report.taken else (1, b"")
        else:
            status, out = command(words)
        try:
            conn.sendall(b"%d %d\n" % (status, len(out)) + out)
        except OSError:
            return


def command(words):
    began = time.monotonic()
    try:
        if len(words) > 2 and words[0] == "ctl":
            # Cases ask the peers often, and a process for each question takes longer than the answer.
            out, err = peer.ask(os.path.join(STATE, words[1], "peer.sock"), words[2:]).encode() + b"\n", b""
            status = int(out.startswith(b"error"))
        else:
            done = subprocess.run([args.lab, "do", *words], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            status, out, err = done.returncode, done.stdout, done.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        status, out, err = 125, b"", str(error).encode()
    if status < 0:
        status = 128 - status
    with open(os.path.join(args.dir, "host.log"), "ab") as log:
        log.write(b"%8.3f %5.0f ms status %d: %s\n" % (
            began - start, (time.monotonic() - began) * 1000, status,
            " ".join(words).encode("utf-8", "surrogateescape")))
        log.write(err)
    return status, out


class Console:
    """The serial console so far, cut at the markers that the VM writes into its kernel log."""

    def __init__(self, path):
        self.path = path

    def text(self):
        try:
            with open(self.path, "rb") as file:
                return file.read().decode("utf-8", "replace").replace("\r", "")
        except OSError:
            return ""

    def trouble(self, name, wait=2.0):
        """One step's log from its first bad line on; the end marker may come after the result."""
        end = f"rsdfs-test: end {name}\n"
        until = time.monotonic() + wait
        while time.monotonic() < until and end not in self.text():
            time.sleep(0.05)
        lines = self.text().rpartition(f"rsdfs-test: begin {name}\n")[2].partition(end)[0].splitlines()
        for i, line in enumerate(lines):
            if TROUBLE.search(line) and not HARMLESS.search(line):
                return lines[i:i + 40]
        return []


    def last_words(self):
        """What a VM that went down had to say: from the last case's first bad line, or its end."""
        lines = self.text().splitlines()
        begin = max((i for i, line in enumerate(lines) if "rsdfs-test: begin" in line), default=0)
        bad = [i for i in range(begin, len(lines)) if TROUBLE.search(lines[i]) and not HARMLESS.search(lines[i])]
        if bad:
            return lines[max(bad[0] - 3, 0):bad[0] + 60]
        return lines[-25:]


class Report:
    """Turns the VM's lines into TAP: one line a step, its own lines indented below it."""

    def __init__(self, console):
        self.console = console
        self.passed = self.failed = self.skipped = 0
        self.done = False
        self.up = False
        self.status = 1
        self.taken = None
        self.begin(None)

    def begin(self, name):
        self.name = name
        self.bad = self.plan = None
        self.checks = 0

    def line(self, text):
        if text.startswith("@up "):
            self.up = True
            say(f"# VM up with {text[4:]} after {elapsed():.1f} s")
        elif text.startswith("@begin "):
            self.begin(text[7:])
            if not args.raw:
                say(f"# {self.name}")
        elif text.startswith("@end "):
            _, name, status, took = text.split()
            self.end(name, int(status), int(took))
        elif text == "@done":
            self.done = True
        elif args.raw and self.name == "run":
            say(text)
        elif text:
            self.case_line(text)

    def case_line(self, text):
        stripped = text.lstrip()
        if re.match(r"(not )?ok\b", text):
            self.checks += 1
        if re.match(r"not ok\b", text) and "# TODO" not in text:
            self.bad = self.bad or text
        plan = re.match(r"1\.\.(\d+)", text)
        if plan:
            self.plan = int(plan.group(1))
        tap = plan or re.match(r"(not ok|ok|#|TAP|Bail out)", stripped)
        say("    " + (text if tap else "# " + text))

    def end(self, name, status, took):
        why = []
        if self.bad:
            why.append("a check failed")
        elif status not in (0, 4):
            why.append(f"status {status}")
        if self.plan is not None and self.plan != self.checks and not (status == 4 or self.plan == 0):
            why.append(f"{self.checks} checks instead of {self.plan}")
        trouble = self.console.trouble(name)
        if trouble:
            why.append("trouble in the kernel's log")
            for line in trouble:
                say("    # kernel: " + line)
        if args.raw:
            if name == "run":
                self.status = status
            if trouble or (why and name != "run"):
                self.status = self.status or 1
                say(f"# {name}: {', '.join(why)}")
            self.begin(None)
            return
        self.verdict(name, why, status == 4 or self.plan == 0, took)

    def verdict(self, name, why, skip, took):
        # Beside another VM nobody counts.
        number = "" if args.shared else f"{self.passed + self.failed + self.skipped + 1} "
        if why:
            self.failed += 1
            say(f"not ok {number}- {name} # {', '.join(why)} ({took / 1000:.1f} s)")
        elif skip:
            self.skipped += 1
            say(f"ok {number}- {name} # SKIP")
        else:
            self.passed += 1
            say(f"ok {number}- {name} # {took / 1000:.1f} s")
        flush()
        if name == self.taken:
            self.taken = None
        self.begin(None)

    def lost(self, why):
        """The VM is gone before its time."""
        for line in self.console.last_words():
            say("    # console: " + line)
        if args.raw:
            say(f"# {why}")
            return
        self.verdict(self.taken or self.name or "vm", [why], False, elapsed() * 1000)
        while not args.shared and (name := next_case()):
            self.verdict(name, ["not run"], False, 0)

    def close(self):
        if args.raw:
            return self.status
        number = self.passed + self.failed + self.skipped
        if not args.shared:
            say(f"1..{number}")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        say(f"{self.passed} passed, {self.failed} failed{skipped}")
        flush()
        return 1 if self.failed else 0


unsaid = []


def say(text):
    """A line of the report. Where several VMs print, those of a case come out together."""
    if args.shared:
        unsaid.append(text + "\n")
    else:
        print(text, flush=True)


def flush():
    sys.stdout.write("".join(unsaid))
    sys.stdout.flush()
    unsaid.clear()


def tap(server, report):
    conn, _ = server.accept()
    for raw in conn.makefile("rb"):
        report.line(raw.decode("utf-8", "replace").rstrip("\r\n"))


def comes_up(qemu, report):
    """Whether the VM needs no other try: it is up, or has gone down."""
    until = time.monotonic() + BOOT
    while time.monotonic() < until:
        if report.up or qemu.poll() is not None:
            return True
        time.sleep(0.1)
    return False


def main():
    console = Console(os.path.join(args.dir, "console"))
    report = Report(console)
    doors = [(listen("tap"), tap)] + [(listen(f"host{port}"), broker) for port in range(PORTS)]

    def stop(_signal, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    qemu = None
    try:
        for boot in range(1, BOOTS + 1):
            threads = [threading.Thread(target=serve, args=(door, report), daemon=True) for door, serve in doors]
            for thread in threads:
                thread.start()
            qemu = subprocess.Popen(args.qemu, stdin=subprocess.DEVNULL)
            if boot == BOOTS or comes_up(qemu, report):
                break
            for line in console.last_words():
                say("    # console: " + line)
            say(f"# the VM is not up after {BOOT} s; booting it again")
            qemu.kill()
            qemu.wait()
            for thread in threads:
                thread.join(2)
        qemu.wait(args.timeout)
        threads[0].join(2)
        if not report.done:
            report.lost("the VM went down")
    except subprocess.TimeoutExpired:
        report.lost(f"no end after {args.timeout:.0f} s")
    except KeyboardInterrupt:
        say("# interrupted")
        report.failed += 1
        report.status = 130
    finally:
        if qemu:
            qemu.kill()
            qemu.wait()
    sys.exit(report.close())


main()
