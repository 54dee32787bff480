"""Names → answers, read back by an independent parser (dnslib)."""

from typing import Any

import dnslib
import msgspec
import pytest

from pybernetes.api.core_v1 import Service
from pybernetes.api.discovery_v1 import EndpointSlice
from services.proxy.core import resolvers, wire
from services.proxy.core.answers import Chase, Forward, chased, decide
from services.proxy.core.table import by_service
from services.proxy.core.zone import Zone, ZoneCompiler

PORTS = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]


def service(name: str, **spec: Any) -> Service:
    spec = {"type": "ClusterIP", "clusterIP": "10.96.0.20", "ports": PORTS} | spec
    return msgspec.convert({"metadata": {"name": name, "namespace": "shop"}, "spec": spec}, Service)


def headless(name: str, **spec: Any) -> Service:
    return service(name, clusterIP="None", **spec)


def part(of: str, *endpoints: tuple[str, str | None, bool]) -> EndpointSlice:
    tree = {
        "metadata": {
            "name": f"{of}-a",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": ready}}
            | ({"hostname": hostname} if hostname else {})
            for address, hostname, ready in endpoints
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    return msgspec.convert(tree, EndpointSlice)


def zone(*objects: Service | EndpointSlice) -> Zone:
    services = [one for one in objects if isinstance(one, Service)]
    slices = [one for one in objects if isinstance(one, EndpointSlice)]
    return ZoneCompiler("cluster.local", "10.96.0.10").compile(services, by_service(slices))


DATABASE = zone(
    service("web"),
    headless("db"),
    part("db", ("10.244.1.5", "db-0", True), ("10.244.1.6", "db-1", True)),
)


def ask(known: Zone, name: str, qtype: str = "A", *, edns: bool = False) -> dnslib.DNSRecord:
    question = dnslib.DNSRecord.question(name, qtype)
    if edns:
        question.add_ar(dnslib.EDNS0(udp_len=4096))
    verdict = decide(known, bytes(question.pack()), bytes_max=None, turn=0)
    assert isinstance(verdict, bytes)
    answer = dnslib.DNSRecord.parse(verdict)
    assert answer.header.id == question.header.id
    return answer


def answers(known: Zone, name: str, qtype: str = "A") -> list[str]:
    return sorted(str(record.rdata) for record in ask(known, name, qtype).rr)


def code(known: Zone, name: str, qtype: str = "A") -> str:
    answer = ask(known, name, qtype)
    assert not answer.rr
    assert [record.rtype for record in answer.auth] == [dnslib.QTYPE.SOA]
    return str(dnslib.RCODE[answer.header.rcode])


@pytest.mark.parametrize("edns", [False, True])
def test_a_service_has_its_cluster_ip(edns: bool) -> None:
    answer = ask(DATABASE, "web.shop.svc.cluster.local", edns=edns)
    assert [str(record.rdata) for record in answer.rr] == ["10.96.0.20"]
    assert str(answer.rr[0].rname) == "web.shop.svc.cluster.local."
    assert answer.header.aa
    assert answer.header.ra
    assert answer.header.rd
    assert len(answer.ar) == edns


def test_the_askers_case_is_echoed() -> None:
    answer = ask(DATABASE, "wEb.Shop.SVC.cluster.LOCAL")
    assert answer.q.qname.label[0] == b"wEb"
    assert [str(record.rdata) for record in answer.rr] == ["10.96.0.20"]


def test_a_named_port_has_an_srv_record_with_its_address() -> None:
    answer = ask(DATABASE, "_http._tcp.web.shop.svc.cluster.local", "SRV")
    assert str(answer.rr[0].rdata) == "0 100 80 web.shop.svc.cluster.local."
    assert str(answer.ar[0].rdata) == "10.96.0.20"
    assert answers(DATABASE, "_dns._udp.web.shop.svc.cluster.local", "SRV")


def test_a_headless_service_is_its_ready_pods() -> None:
    assert answers(DATABASE, "db.shop.svc.cluster.local") == ["10.244.1.5", "10.244.1.6"]
    assert answers(DATABASE, "db-1.db.shop.svc.cluster.local") == ["10.244.1.6"]
    srv = ask(DATABASE, "_http._tcp.db.shop.svc.cluster.local", "SRV")
    assert sorted(str(record.rdata) for record in srv.rr) == [
        "0 50 8080 db-0.db.shop.svc.cluster.local.",
        "0 50 8080 db-1.db.shop.svc.cluster.local.",
    ]
    assert len(srv.ar) == 2


def test_a_pod_without_hostname_is_named_by_its_address() -> None:
    known = zone(headless("db"), part("db", ("10.244.1.5", None, True)))
    assert answers(known, "10-244-1-5.db.shop.svc.cluster.local") == ["10.244.1.5"]


def test_pods_that_are_not_ready_have_no_name_unless_published() -> None:
    unready = part("db", ("10.244.1.5", "db-0", False))
    assert code(zone(headless("db"), unready), "db.shop.svc.cluster.local") == "NXDOMAIN"
    published = zone(headless("db", publishNotReadyAddresses=True), unready)
    assert answers(published, "db-0.db.shop.svc.cluster.local") == ["10.244.1.5"]


def test_addresses_rotate() -> None:
    question = bytes(dnslib.DNSRecord.question("db.shop.svc.cluster.local").pack())
    firsts = set()
    for turn in range(4):
        verdict = decide(DATABASE, question, bytes_max=None, turn=turn)
        assert isinstance(verdict, bytes)
        firsts.add(str(dnslib.DNSRecord.parse(verdict).rr[0].rdata))
    assert firsts == {"10.244.1.5", "10.244.1.6"}


@pytest.mark.parametrize(
    ("name", "qtype"),
    [
        ("web.shop.svc.cluster.local", "AAAA"),
        ("web.shop.svc.cluster.local", "SRV"),
        ("shop.svc.cluster.local", "A"),
        ("svc.cluster.local", "A"),
        ("cluster.local", "A"),
        ("_tcp.web.shop.svc.cluster.local", "A"),
        ("10-1-2-3.shop.pod.cluster.local", "AAAA"),
    ],
)
def test_a_name_without_such_records_is_no_error(name: str, qtype: str) -> None:
    assert code(DATABASE, name, qtype) == "NOERROR"


@pytest.mark.parametrize(
    "name",
    [
        "nope.shop.svc.cluster.local",
        "web.nowhere.svc.cluster.local",
        "example.com.shop.svc.cluster.local",
        "999-1-2-3.shop.pod.cluster.local",
    ],
)
def test_a_name_that_is_not_there_is_an_error(name: str) -> None:
    assert code(DATABASE, name) == "NXDOMAIN"


def test_a_pod_has_a_name_made_of_its_address() -> None:
    assert answers(DATABASE, "10-244-3-4.shop.pod.cluster.local") == ["10.244.3.4"]


def test_addresses_have_names() -> None:
    assert answers(DATABASE, "20.0.96.10.in-addr.arpa", "PTR") == ["web.shop.svc.cluster.local."]
    names = answers(DATABASE, "6.1.244.10.in-addr.arpa", "PTR")
    assert names == ["db-1.db.shop.svc.cluster.local."]


def test_the_domain_describes_itself() -> None:
    assert answers(DATABASE, "cluster.local", "NS") == ["ns.dns.cluster.local."]
    assert answers(DATABASE, "ns.dns.cluster.local") == ["10.96.0.10"]
    assert answers(DATABASE, "dns-version.cluster.local", "TXT") == ['"1.1.0"']
    assert len(ask(DATABASE, "cluster.local", "SOA").rr) == 1


def test_too_many_addresses_for_a_datagram_are_asked_for_by_tcp() -> None:
    crowd = [(f"10.244.1.{number}", None, True) for number in range(100)]
    known = zone(headless("db"), part("db", *crowd))
    assert ask(known, "db.shop.svc.cluster.local").header.tc
    question = bytes(dnslib.DNSRecord.question("db.shop.svc.cluster.local").pack())
    verdict = decide(known, question, bytes_max=wire.TCP_BYTES_MAX, turn=3)
    assert isinstance(verdict, bytes)
    assert len(dnslib.DNSRecord.parse(verdict).rr) == 100


def test_other_names_are_forwarded() -> None:
    for name, qtype in (("example.com", "A"), ("1.1.1.1.in-addr.arpa", "PTR")):
        question = bytes(dnslib.DNSRecord.question(name, qtype).pack())
        assert isinstance(decide(DATABASE, question, bytes_max=None, turn=0), Forward)


def test_an_external_name_is_followed_outside() -> None:
    known = zone(service("shop", type="ExternalName", externalName="shop.example.com"))
    question = dnslib.DNSRecord.question("shop.shop.svc.cluster.local")
    verdict = decide(known, bytes(question.pack()), bytes_max=None, turn=0)
    assert isinstance(verdict, Chase)
    asked = dnslib.DNSRecord.parse(wire.build_query(b"\x12\x34", verdict.target, wire.A))
    assert str(asked.q.qname) == "shop.example.com."
    reply = asked.reply()
    reply.add_answer(*dnslib.RR.fromZone("shop.example.com 60 CNAME cdn.example.com"))
    reply.add_answer(*dnslib.RR.fromZone("cdn.example.com 60 A 192.0.2.7"))
    final = dnslib.DNSRecord.parse(chased(verdict, bytes(reply.pack()), bytes_max=None))
    assert [str(record.rdata) for record in final.rr] == [
        "shop.example.com.",
        "cdn.example.com.",
        "192.0.2.7",
    ]
    assert str(final.rr[2].rname) == "cdn.example.com."


def test_an_external_name_inside_the_cluster_is_answered_at_once() -> None:
    alias = service("www", type="ExternalName", externalName="web.shop.svc.cluster.local")
    known = zone(service("web"), alias)
    found = answers(known, "www.shop.svc.cluster.local")
    assert found == ["10.96.0.20", "web.shop.svc.cluster.local."]
    assert answers(known, "www.shop.svc.cluster.local", "CNAME") == ["web.shop.svc.cluster.local."]


def test_aliases_in_a_circle_fail() -> None:
    known = zone(
        service("a", type="ExternalName", externalName="b.shop.svc.cluster.local"),
        service("b", type="ExternalName", externalName="a.shop.svc.cluster.local"),
    )
    answer = ask(known, "a.shop.svc.cluster.local")
    assert dnslib.RCODE[answer.header.rcode] == "SERVFAIL"


@pytest.mark.parametrize(
    "message",
    [b"", b"\0" * 11, b"\0" * 12, b"\1\2\x81\0" + b"\0" * 20, b"\1\2\0\0\0\1\0\0\0\0\0\0\xc0\x0c"],
)
def test_what_is_no_question_is_answered_by_an_error_or_not_at_all(message: bytes) -> None:
    verdict = decide(DATABASE, message, bytes_max=None, turn=0)
    assert verdict is None or (isinstance(verdict, bytes) and verdict[3] & 15 == wire.FORMAT_ERROR)


def test_a_truncated_question_never_raises() -> None:
    question = bytes(dnslib.DNSRecord.question("web.shop.svc.cluster.local").pack())
    for length in range(len(question)):
        decide(DATABASE, question[:length], bytes_max=None, turn=0)


def test_a_cut_answer_is_malformed() -> None:
    reply = dnslib.DNSRecord.question("a.b").reply()
    reply.add_answer(*dnslib.RR.fromZone("a.b 60 CNAME c.d"))
    whole = bytes(reply.pack())
    assert wire.parse_answers(whole)[0].data == wire.encode_name("c.d")
    for length in range(len(whole)):
        with pytest.raises(wire.Malformed):
            wire.parse_answers(whole[:length])


def test_the_hosts_resolvers_without_ourselves() -> None:
    text = (
        "# made by hand\nnameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver ::1\nsearch a.b\n"
    )
    assert resolvers.parse(text, ["10.96.0.10"]) == ("192.0.2.1",)
