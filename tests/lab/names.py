#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Names of the domain eco.test, asked for or changed by dynamic update (RFC 2136), unsigned.

names.py SERVER show NAME [TYPE]                 the answer, a record a line
names.py SERVER add NAME TYPE DATA... [ttl=N]    beside what is there
names.py SERVER set NAME TYPE DATA... [ttl=N]    instead of what is there
names.py SERVER del NAME [TYPE [DATA...]]

NAME is absolute (with a dot at its end) or below eco.test; "@" is eco.test itself.
"""
import sys

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.update

DOMAIN = dns.name.from_text("eco.test.")
MSDCS = dns.name.from_text("_msdcs.eco.test.")


def ask(server, name, kind):
    answer = dns.query.udp(dns.message.make_query(name, kind), server, timeout=3)
    if answer.rcode() != dns.rcode.NOERROR:
        sys.exit(dns.rcode.to_text(answer.rcode()))
    for records in answer.answer:
        for record in records:
            print(dns.rdatatype.to_text(records.rdtype), record.to_text())


def change(server, verb, name, kind, data, ttl):
    update = dns.update.UpdateMessage(MSDCS if name.is_subdomain(MSDCS) else DOMAIN)
    if verb == "add":
        update.add(name, ttl, kind, data)
    elif verb == "set":
        update.replace(name, ttl, kind, data)
    else:
        update.delete(name, *[word for word in (kind, data) if word])
    answer = dns.query.udp(update, server, timeout=5)
    if answer.rcode() != dns.rcode.NOERROR:
        sys.exit(f"{verb} {name}: {dns.rcode.to_text(answer.rcode())}")


def main(words):
    ttl = 60
    if words[-1:] and words[-1].startswith("ttl="):
        ttl = int(words.pop()[4:])
    if len(words) < 3 or words[1] not in ("show", "add", "set", "del"):
        sys.exit(__doc__)
    server, verb, name, *rest = words
    name = dns.name.from_text(name, DOMAIN)
    kind, data = (rest[0] if rest else ""), " ".join(rest[1:])
    if verb == "show":
        ask(server, name, kind or "A")
    elif verb == "del" or data:
        change(server, verb, name, kind, data, ttl)
    else:
        sys.exit(f"{verb}: no data")


main(sys.argv[1:])
