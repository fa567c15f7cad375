#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Adds to a fresh domain what the lab needs: the servers' names, and a second controller. Argument: smb.conf."""

import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import dnsp
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.provision.sambadns import AAAARecord, ARecord, NSRecord, SRVRecord
from samba.samdb import SamDB

DOMAIN = "DC=eco,DC=test"
ZONES = (f"DC=eco.test,CN=MicrosoftDNS,DC=DomainDnsZones,{DOMAIN}",
         f"DC=_msdcs.eco.test,CN=MicrosoftDNS,DC=ForestDnsZones,{DOMAIN}")
SITE = f"CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,{DOMAIN}"
HOSTS = {"dc2": 6, "root": 10, "target1": 11, "target2": 12, "target3": 13}
TTL = 60


def addresses(number):
    return [ARecord(f"10.123.0.{number}", ttl=TTL), AAAARecord(f"fd00:123::{number}", ttl=TTL)]


def add_host(samdb, name, numbers):
    records = [ndr_pack(record) for number in numbers for record in addresses(number)]
    samdb.add({"dn": f"DC={name},{ZONES[0]}", "objectClass": ["top", "dnsNode"], "dnsRecord": records})


def twin(record):
    """The record that the second controller adds beside one of the first."""
    if record.wType == dnsp.DNS_TYPE_SRV and record.data.nameTarget == "dc1.eco.test":
        return SRVRecord("dc2.eco.test", record.data.wPort, ttl=TTL)
    if record.wType == dnsp.DNS_TYPE_NS and record.data == "dc1.eco.test":
        return NSRecord("dc2.eco.test", ttl=TTL)
    if record.wType == dnsp.DNS_TYPE_A and record.data == "10.123.0.5":
        return addresses(6)[0]
    if record.wType == dnsp.DNS_TYPE_AAAA and record.data.replace("0000", "").endswith(":0005"):
        return addresses(6)[1]
    return None


def add_twins(samdb):
    for zone in ZONES:
        for node in samdb.search(base=zone, scope=ldb.SCOPE_SUBTREE, expression="(objectClass=dnsNode)",
                                 attrs=["dnsRecord"]):
            if str(node.dn).startswith(("DC=dc1,", "DC=_ldap._tcp.pdc,")):
                continue
            records = [ndr_unpack(dnsp.DnssrvRpcRecord, raw) for raw in node.get("dnsRecord", [])]
            more = [ndr_pack(new) for new in map(twin, records) if new]
            if more:
                change = ldb.Message(node.dn)
                change["dnsRecord"] = ldb.MessageElement(more, ldb.FLAG_MOD_ADD, "dnsRecord")
                samdb.modify(change)


def main(conf):
    lp = LoadParm()
    lp.load(conf)
    samdb = SamDB(url=lp.private_path("sam.ldb"), session_info=system_session(), lp=lp)
    add_twins(samdb)
    for name, number in HOSTS.items():
        add_host(samdb, name, [number])
    # What the short name of the domain comes to with the search list "eco.test".
    add_host(samdb, "eco", [5, 6])
    computer = f"CN=DC2,OU=Domain Controllers,{DOMAIN}"
    # 0x82000: a domain controller (SERVER_TRUST_ACCOUNT, TRUSTED_FOR_DELEGATION).
    samdb.add({"dn": computer, "objectClass": ["top", "person", "organizationalPerson", "user", "computer"],
               "sAMAccountName": "DC2$", "dNSHostName": "dc2.eco.test", "userAccountControl": str(0x82000)})
    samdb.add({"dn": f"CN=DC2,{SITE}", "objectClass": ["top", "server"], "dNSHostName": "dc2.eco.test",
               "serverReference": computer})


main(sys.argv[1])
