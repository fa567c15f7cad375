#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A scripted peer on port 445, for what no real server does.

serve SOCKET MODE      MODE is one of
    mute               accept, acknowledge, never answer
    reset              accept, then reset
    greet              answer nothing and close at the first byte
    proxy [FAULT ...]  pass frames to the real smbd on port 4450; a FAULT may be set from the start
ctl SOCKET FAULT ...   set a fault in a running proxy (or: stats, refer, referrals)

A FAULT (OP is an SMB2 command such as write, or any; answers are counted from now):
    pass               none any more
    delay MS           every answer comes MS later
    lose OP [N [MS]]   swallow the N-th answer (default 1) to OP and reset the connection; the server's end of it MS
                       later
    swallow OP [N]     swallow it and keep the connection
    half OP [N]        send half of that answer, then nothing more, connection open
    halfcut OP [N]     send half of that answer, then close
    cutrequest OP [N]  reset when the N-th request OP arrives, before the server sees it
    cutat N            reset at the N-th answer
    hang               forward nothing more, either way; TCP still acknowledges
    cut                reset all connections now
    refuse             reset new connections from now on
    behind HOST PORT   new connections go to that server
    wreck answer|request AWAY OP:EVERY ...  from now on, of the frames with an OP every EVERY-th comes to its end here: an
                       answer is swallowed, or a request does not reach the server; the connection is reset, and new
                       ones are for AWAY ms

stats                  counters of this proxy; accepted: connections since it began
referrals [reset]      the referrals that were asked for: totals, then a line for each path and level

refer PATH ...         answers to referral requests for PATH, or for what is below it if no longer PATH fits, are
                       ours; "*" is every path, "/" the empty one (the domains). Slashes do for backslashes. In PATH
                       %d stands for a number, * for any characters. Sessions that sign are left alone and counted (signed=).
                       Without targets the real answer is kept, but for the fields named here.
    /HOST/SHARE ...    targets; %i is the how manieth of repeat=, %n one more than %d, %uXXXX a unit of UTF-16
    +                  the next target begins a target set
    special=NAME ...   a name list: a domain, and after it (as targets) its controllers
    none               no targets
    root               the targets are roots
    version=N ttl=N flags=N consumed=N      as in MS-DFSC 2.2.4 and 2.2.5; consumed in bytes
    status=N           an error instead
    repeat=N times=N   the targets N times over; the rule ends after N answers
    share, inside      strings that are equal are there once; each entry contains its strings
    big                even if it is more than the client takes (else STATUS_BUFFER_OVERFLOW)
    size=N count=N path_at=N alternate_at=N address_at=N    these fields written as told, true or not
    cut=N, odd         cut to N bytes; the last string ends in half a character
    hex=BYTES          this answer
refer PATH ask [level=N] [path=PATH]    requests for PATH are passed on with that level and path
refer PATH off, refer off, refer        no rule for PATH; none at all; show the paths that have one
"""
import os
import socket
import struct
import sys
import threading
import time

from refer import Referrals

OPS = ("negotiate sessionsetup logoff treeconnect treedisconnect create close flush read write lock ioctl "
       "cancel echo querydirectory changenotify queryinfo setinfo breakack").split()


def commands(frame):
    """The SMB2 commands in a frame, compounds included; empty for SMB1 and encrypted frames."""
    found, at = [], 0
    while len(frame) >= at + 64 and frame[at:at + 4] == b"\xfeSMB":
        code = struct.unpack_from("<H", frame, at + 12)[0]
        found.append(OPS[code] if code < len(OPS) else str(code))
        following = struct.unpack_from("<I", frame, at + 20)[0]
        if following == 0:
            break
        at += following
    return found


def is_interim(frame):
    """STATUS_PENDING is not the answer yet."""
    return frame[:4] == b"\xfeSMB" and struct.unpack_from("<I", frame, 8)[0] == 0x103


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
    return data


def read_frame(sock):
    head = read_exactly(sock, 4)
    if head is None:
        return None
    body = read_exactly(sock, struct.unpack(">I", head)[0] & 0xFFFFFF)
    return None if body is None else head + body


def reset(sock):
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    sock.close()


class Faults:
    """The fault in force, shared by all connections."""

    def __init__(self):
        self.lock = threading.Lock()
        self.kind, self.op, self.count, self.delay = "pass", "any", 0, 0.0
        self.requests, self.answers, self.fired, self.accepted = 0, 0, 0, 0
        self.wreck, self.left, self.away, self.closed, self.kept = None, {}, 0.0, 0.0, 0.0
        self.referrals = Referrals()
        self.server = ("127.0.0.1", 4450)
        self.pairs = set()

    def set(self, words):
        kind, rest = words[0], words[1:]
        with self.lock:
            if kind == "stats":
                return (f"requests={self.requests} answers={self.answers} fired={self.fired} "
                        f"connections={len(self.pairs)} accepted={self.accepted}")
            if kind == "refer":
                return self.referrals.set(rest)
            if kind == "referrals":
                return self.referrals.show(rest)
            if kind == "delay":
                self.delay = int(rest[0]) / 1000.0
            elif kind == "cut":
                for pair in list(self.pairs):
                    pair.cut()
            elif kind == "cutat":
                self.kind, self.op, self.count = "lose", "any", int(rest[0])
            elif kind in ("lose", "swallow", "half", "halfcut", "cutrequest"):
                op = rest[0] if rest else "any"
                if op != "any" and op not in OPS:
                    return f"error: no command {op}"
                self.kind, self.op, self.count = kind, op, int(rest[1]) if len(rest) > 1 else 1
                self.kept = int(rest[2]) / 1000.0 if len(rest) > 2 else 0.0
            elif kind == "wreck":
                every = {op: int(count) for op, count in (word.split(":") for word in rest[2:])}
                if rest[0] not in ("answer", "request") or not every or not every.keys() <= set(OPS):
                    return f"error: wreck {' '.join(rest)}"
                self.wreck, self.left = (rest[0] == "request", every), dict(every)
                self.kind, self.away, self.kept = "wreck", int(rest[1]) / 1000.0, 0.0
            elif kind == "behind":
                self.server = (rest[0], int(rest[1]))
            elif kind in ("hang", "refuse", "pass"):
                self.kind = kind
                if kind == "pass":
                    self.delay = 0.0
            else:
                return f"error: no fault {kind}"
        return "ok"

    def fires(self, frame, is_request):
        """The fault to apply to this frame, if its turn has come."""
        with self.lock:
            if is_request:
                self.requests += 1
            else:
                self.answers += 1
            if self.kind == "hang":
                return "hang"
            if self.kind == "wreck":
                return self.wrecks(frame[4:], is_request)
            if self.kind in ("pass", "refuse") or (self.kind == "cutrequest") != is_request:
                return None
            body = frame[4:]
            if not is_request and is_interim(body):
                return None
            if self.op != "any" and self.op not in commands(body):
                return None
            self.count -= 1
            if self.count > 0:
                return None
            kind, self.kind = self.kind, "pass"
            self.fired += 1
            return kind


    def wrecks(self, body, is_request):
        """Whether it is this frame's turn, of those that are to be lost."""
        of_requests, every = self.wreck
        if of_requests != is_request or is_interim(body):
            return None
        here = every.keys() & set(commands(body))
        for op in here:
            self.left[op] -= 1
        if all(self.left[op] > 0 for op in here):
            return None
        for op in here:
            self.left[op] = every[op]
        self.fired += 1
        self.closed = time.monotonic() + self.away
        return "lose"

    def refuses(self):
        """Whether new connections are reset."""
        return self.kind == "refuse" or (self.kind == "wreck" and time.monotonic() < self.closed)


class Pair:
    """One client connection and its connection to the real server."""

    def __init__(self, client, faults):
        self.client, self.faults, self.asked, self.over = client, faults, {}, False
        self.server = socket.create_connection(faults.server)
        for sock in (self.client, self.server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        faults.pairs.add(self)
        threading.Thread(target=self.pump, args=(self.client, self.server, True), daemon=True).start()
        threading.Thread(target=self.pump, args=(self.server, self.client, False), daemon=True).start()

    def cut(self, kept=0.0):
        self.faults.pairs.discard(self)
        self.over = True
        reset(self.client)
        time.sleep(kept)
        reset(self.server)

    def pump(self, source, sink, is_request):
        try:
            while True:
                frame = read_frame(source)
                if frame is None:
                    break
                if not self.forward(frame, sink, is_request):
                    return
        except OSError:
            pass
        if self.over:
            return
        self.faults.pairs.discard(self)
        for sock in (self.client, self.server):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def forward(self, frame, sink, is_request):
        if not is_request and self.faults.delay:
            time.sleep(self.faults.delay)
        what = self.faults.fires(frame, is_request)
        frame = self.refer(frame, is_request)
        if what is None:
            sink.sendall(frame)
        elif what in ("lose", "cutrequest"):
            self.cut(self.faults.kept)
            return False
        elif what == "swallow":
            pass
        elif what in ("half", "halfcut"):
            sink.sendall(frame[:len(frame) // 2])
            if what == "half":
                self.stall()
            self.cut()
            return False
        elif what == "hang":
            self.stall()
            return False
        return True

    def refer(self, frame, is_request):
        """Referrals by the rules; a rule that cannot be carried out is shown in the log, and not kept to."""
        referrals = self.faults.referrals
        with self.faults.lock:
            try:
                return (referrals.request if is_request else referrals.answer)(frame, self.asked)
            except (ValueError, struct.error) as problem:
                print(f"refer: {problem}", flush=True)
                return frame

    def stall(self):
        while self in self.faults.pairs:
            time.sleep(0.05)


def serve(control, mode, words):
    faults = Faults()
    if words:
        print(faults.set(words))
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", 445))
    listener.listen(64)
    commander = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    commander.bind(control + ".new")
    commander.listen(8)
    os.rename(control + ".new", control)
    threading.Thread(target=obey, args=(commander, faults), daemon=True).start()
    kept = []
    while True:
        client, _ = listener.accept()
        faults.accepted += 1
        if mode == "mute":
            kept.append(client)
        elif mode == "reset" or faults.refuses():
            reset(client)
        elif mode == "greet":
            threading.Thread(target=lambda c=client: (c.recv(1), c.close()), daemon=True).start()
        else:
            try:
                Pair(client, faults)
            except OSError:
                reset(client)


def obey(commander, faults):
    while True:
        link, _ = commander.accept()
        words = everything(link).decode().split()
        try:
            answer = faults.set(words)
        except (IndexError, ValueError) as problem:
            answer = f"error: {problem}"
        link.sendall(answer.encode())
        link.close()


def everything(link):
    data = b""
    while piece := link.recv(1 << 16):
        data += piece
    return data


def ask(control, words):
    """Tells the proxy with this control socket something; its answer."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(control)
    link.sendall(" ".join(words).encode())
    link.shutdown(socket.SHUT_WR)
    return everything(link).decode()


def main(words):
    if len(words) >= 3 and words[0] == "serve" and words[2] in ("mute", "reset", "greet", "proxy"):
        return serve(words[1], words[2], words[3:])
    if len(words) >= 3 and words[0] == "ctl":
        answer = ask(words[1], words[2:])
        print(answer)
        return 1 if answer.startswith("error") else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
