# SPDX-License-Identifier: GPL-2.0
"""What the scripted namespace server answers instead of the real one, by rules (see peer.py, "refer"), and what it
was asked. Frames go in and out whole, with the four bytes of their length."""
import re
import struct

from referral import NAME_LIST, TARGET_SET_BOUNDARY, Answer, Entry, Mangle, decode, encode, utf16

GET_REFERRALS, GET_REFERRALS_EX = 0x00060194, 0x000601B0
IOCTL, IS_RESPONSE, IS_SIGNED = 11, 0x1, 0x8
PENDING, BUFFER_OVERFLOW = 0x103, 0x80000005
MANGLED = ("size", "count", "path_at", "alternate_at", "address_at", "cut")


def components(path):
    return tuple(part for part in re.split(r"[\\/]", path.lower()) if part)


def backslashes(path):
    return path.replace("/", "\\")


class Rule:
    """One "refer" line. Without targets, names or "none" the real answer is kept but for what is told."""

    def __init__(self, words):
        self.path = components(words[0])
        self.all = words[0] == "*"
        self.numbers = {name: None for name in MANGLED + ("version", "ttl", "flags", "consumed", "status", "repeat",
                                                          "times")}
        self.marks, self.targets, self.raw, self.used = set(), None, None, 0
        new_set = True
        for word in words[1:]:
            key, _, value = word.partition("=")
            if word == "+":
                new_set = True
            elif word[0] in "/\\":
                self.target(backslashes(word), new_set)
                new_set = False
            elif key == "special":
                self.targets = (self.targets or []) + [(backslashes(value), [])]
            elif key == "hex":
                self.raw = bytes.fromhex(value)
            elif key in self.numbers and value:
                self.numbers[key] = int(value, 0)
            elif word == "none":
                self.targets = []
            elif word in ("root", "share", "inside", "odd", "big"):
                self.marks.add(word)
            else:
                raise ValueError(f"refer: what is {word}?")

    def target(self, word, new_set):
        """A target, or if a special name was given before, one of its expanded names."""
        self.targets = self.targets or []
        if self.targets and isinstance(self.targets[-1][1], list):
            self.targets[-1][1].append(word)
        else:
            self.targets.append((word, new_set))

    def matches(self, asked):
        """The number that %d in the rule's path stands for (0 if there is none), or None."""
        if self.all:
            return 0
        if len(self.path) > len(asked) or (not self.path and asked):
            return None
        number = 0
        for mine, theirs in zip(self.path, asked):
            found = re.fullmatch(re.escape(mine).replace("%d", r"(\d+)").replace(r"\*", ".*"), theirs)
            if not found:
                return None
            number = int(found.group(1)) if found.groups() else number
        return number

    def answer(self, asked, level, number, real):
        """The bytes to answer, or the status; raises ValueError if there is no such answer."""
        if self.numbers["status"] is not None:
            return self.numbers["status"]
        if self.raw is not None:
            return self.raw
        if self.targets is None:
            if not isinstance(real, bytes):
                return real
            answer = decode(real)
            self.change(answer)
        else:
            answer = self.invent(asked, min(level, 4), number)
        wrong = Mangle()
        for name in MANGLED:
            setattr(wrong, name, self.numbers[name])
        wrong.odd = "odd" in self.marks
        return encode(answer, "share" in self.marks, "inside" in self.marks, wrong)

    def change(self, answer):
        """The real answer, with what is told."""
        told = self.numbers
        answer.consumed = answer.consumed if told["consumed"] is None else told["consumed"]
        answer.flags = answer.flags if told["flags"] is None else told["flags"]
        for index, entry in enumerate(answer.entries):
            entry.ttl = entry.ttl if told["ttl"] is None else told["ttl"]
            entry.version = entry.version if told["version"] is None else told["version"]
            entry.root = entry.root or "root" in self.marks
            entry.flags &= ~TARGET_SET_BOUNDARY
            if entry.version == 4 and index == 0 and entry.names is None:
                entry.flags |= TARGET_SET_BOUNDARY

    def invent(self, asked, level, number):
        told = self.numbers
        about = "\\" + "\\".join(asked if self.all else asked[:len(self.path)])
        version = told["version"] if told["version"] is not None else level
        names = any(isinstance(more, list) for _, more in self.targets)
        consumed = told["consumed"] if told["consumed"] is not None else 0 if about == "\\" else 2 * len(about)
        flags = told["flags"] if told["flags"] is not None else 0 if names else 3 if "root" in self.marks else 2
        answer = Answer(consumed, flags)
        for index in range(told["repeat"] or 1):
            for text, more in self.targets:
                answer.entries.append(self.entry(version, about, filled(text, index, number), more, index))
        return answer

    def entry(self, version, about, text, more, index):
        entry = Entry(version, "root" in self.marks, ttl=600 if self.numbers["ttl"] is None else self.numbers["ttl"])
        if isinstance(more, list):
            entry.flags, entry.path, entry.names = NAME_LIST, text, more
            return entry
        entry.path = entry.alternate = about
        entry.address = text
        entry.flags = TARGET_SET_BOUNDARY if version == 4 and more and index == 0 else 0
        return entry


def filled(text, index, number):
    """%i: the how manieth of "repeat"; %n: one more than the %d of the path."""
    return text.replace("%i", str(index)).replace("%n", str(number + 1))


class Asked:
    """A referral request: path, level, and how much the client takes."""

    def __init__(self, body):
        code, at, count, room = (struct.unpack_from("<I", body, where)[0] for where in (68, 88, 92, 108))
        data = body[at:at + count]
        self.level, self.room, self.site, self.is_ex = struct.unpack_from("<H", data)[0], room, "", code != GET_REFERRALS
        if self.is_ex:
            self.path, rest = counted(data[8:])
            if struct.unpack_from("<H", data, 2)[0] & 1:
                self.site, rest = counted(rest)
        else:
            self.path = data[2:].decode("utf-16-le", "surrogatepass").partition("\0")[0]


def counted(data):
    """A string with its length in bytes before it (MS-DFSC 2.2.3.1), and what follows."""
    length = struct.unpack_from("<H", data)[0]
    return data[2:2 + length].decode("utf-16-le", "surrogatepass").rstrip("\0"), data[2 + length:]


def is_alone(body):
    return body[:4] == b"\xfeSMB" and len(body) >= 64 and struct.unpack_from("<I", body, 20)[0] == 0


def with_length(body):
    return struct.pack(">I", len(body)) + body


class Referrals:
    """The rules in force, what was asked, and what could not be done because the session is signed."""

    def __init__(self):
        self.rules, self.asking = {}, {}
        self.counts, self.rewritten, self.signed = {}, 0, 0

    def set(self, words):
        """refer: show; refer off; refer PATH off; refer PATH ..."""
        if words in ([], ["off"]):
            if words:
                self.rules, self.asking = {}, {}
            return "\n".join(self.rules) or "no rules"
        key = " ".join(components(words[0])) or words[0]
        if words[1:] == ["off"]:
            self.rules.pop(key, None)
            self.asking.pop(key, None)
        elif words[1:2] == ["ask"]:
            asked = dict(word.split("=", 1) for word in words[2:])
            if not asked or set(asked) - {"level", "path"}:
                return "error: ask level=N path=PATH"
            self.asking[key] = asked
        else:
            rule = Rule(words)
            if rule.targets is not None:
                rule.answer(rule.path, 4, 0, 0)
            self.rules[key] = rule
        return "ok"

    def show(self, words):
        """What was asked: a line for each path and level."""
        if words == ["reset"]:
            self.counts, self.rewritten, self.signed = {}, 0, 0
            return "ok"
        lines = [f"asked={sum(self.counts.values())} rewritten={self.rewritten} signed={self.signed}"]
        lines += [f"count={n} level={level} {'ex' if is_ex else 'plain'} site={site or '-'} path={path or '-'}"
                  for (path, level, is_ex, site), n in sorted(self.counts.items())]
        return "\n".join(lines)

    def request(self, frame, pending):
        """Notes a referral request of a connection; the frame to pass on."""
        body = frame[4:]
        if not is_alone(body) or struct.unpack_from("<H", body, 12)[0] != IOCTL or len(body) < 120:
            return frame
        if struct.unpack_from("<I", body, 68)[0] not in (GET_REFERRALS, GET_REFERRALS_EX):
            return frame
        asked = Asked(body)
        key = (asked.path, asked.level, asked.is_ex, asked.site)
        self.counts[key] = self.counts.get(key, 0) + 1
        pending[struct.unpack_from("<Q", body, 24)[0]] = asked
        told = self.asking.get(" ".join(components(asked.path)), self.asking.get("*"))
        if not told or asked.is_ex:
            return frame
        if struct.unpack_from("<I", body, 16)[0] & IS_SIGNED:
            self.signed += 1
            return frame
        data = struct.pack("<H", int(told.get("level", asked.level))) + utf16(backslashes(told.get("path", asked.path)).rstrip("\\"))
        return with_length(body[:88] + struct.pack("<II", 120, len(data)) + body[96:120] + data)

    def answer(self, frame, pending):
        """The answer to a noted request as the rules want it; any other frame as it is."""
        body = frame[4:]
        if not pending or not is_alone(body):
            return frame
        status, flags, message = struct.unpack_from("<I", body, 8)[0], *struct.unpack_from("<I4xQ", body, 16)
        if status == PENDING or message not in pending:
            return frame
        asked = pending.pop(message)
        rule, number = self.rule(asked.path)
        if rule is None:
            return frame
        if flags & IS_SIGNED:
            self.signed += 1
            return frame
        real = output(body) if status == 0 else status
        said = rule.answer(components(asked.path), asked.level, number, real)
        rule.used += 1
        self.rewritten += 1
        if isinstance(said, bytes) and len(said) > asked.room and "big" not in rule.marks:
            said = BUFFER_OVERFLOW
        return with_length(reply(body, said, asked))

    def rule(self, path):
        """The rule with the longest path, and its number."""
        asked = components(path)
        for rule in sorted(self.rules.values(), key=lambda rule: (rule.all, -len(rule.path))):
            number = rule.matches(asked)
            times = rule.numbers["times"]
            if number is not None and (times is None or rule.used < times):
                return rule, number
        return None, 0


def output(body):
    at, count = struct.unpack_from("<II", body, 96)
    return body[at:at + count]


def reply(body, said, asked):
    """The header of the real answer, with another status and body (MS-SMB2 2.2.32, 2.2.2)."""
    status = said if isinstance(said, int) else 0
    head = body[:8] + struct.pack("<I", status) + body[12:64]
    if status:
        return head + struct.pack("<HBBIB", 9, 0, 0, 0, 0)
    code = GET_REFERRALS_EX if asked.is_ex else GET_REFERRALS
    return head + struct.pack("<HHI16sIIIIII", 49, 0, code, b"\xff" * 16, 112, 0, 112, len(said), 0, 0) + said
