"""What schemathesis can't read out of a document: loaded by schemathesis.toml."""

import ipaddress
import itertools
import re

import schemathesis
from hypothesis import strategies as st

FUTURE = "2030-01-01T00:00:00.000Z"
TIME = re.compile(r"\d{4}-\d\d-\d\dT.*Z", re.ASCII)
addresses = itertools.count(int(ipaddress.ip_address("10.0.0.1")))

# in UTC and in the future: the schema has a pattern for the one and no word for the other
schemathesis.openapi.format(
    "date-time",
    st.builds(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z".format,
        st.integers(2030, 9999),
        st.integers(1, 12),
        st.integers(1, 28),
        st.integers(0, 23),
        st.integers(0, 59),
        st.integers(0, 59),
        st.sampled_from(["", ".5", ".123", ".999999999"]),
    ),
)


@schemathesis.hook
def before_call(context, case, kwargs):
    # who fails often from one address waits for its answer: each request comes from another one
    case.headers["X-Forwarded-For"] = str(ipaddress.ip_address(next(addresses)))
    # times that were read from other answers are over
    end = case.body.get("expires_at") if isinstance(case.body, dict) else None
    if isinstance(end, str) and TIME.fullmatch(end) and end < FUTURE:
        case.body["expires_at"] = FUTURE
    # what an address or a subject is, and which end of a pair comes first, JSON Schema can't say either
    mend_policy(case.body)
    if isinstance(case.body, dict) and isinstance(case.body.get("target"), str) and ":" in case.body["target"]:
        case.body["target"] = "example.com:443"
    for rule in rules_of(case.body):
        addrs, ports = rule.get("addrs"), rule.get("ports")
        if isinstance(addrs, list):
            rule["addrs"] = ["10.0.0.0/8" if isinstance(a, str) and 0 < len(a) <= 91 else a for a in addrs]
        if isinstance(ports, list):
            rule["ports"] = [sorted(p) if is_pair(p) else p for p in ports]


def rules_of(body):
    lists = [body.get(name) for name in ("rules", "entry", "dial")] if isinstance(body, dict) else []
    return [rule for rules in lists if isinstance(rules, list) for rule in rules if isinstance(rule, dict)]


def mend_policy(body):
    policy = body.get("policy") if isinstance(body, dict) else None
    if not isinstance(policy, dict):
        return
    for rule in dicts_in(policy, "egress"):
        mend_texts(rule, "hosts", "*.example.com")
        if isinstance(rule.get("ports"), list):
            rule["ports"] = [sorted(p) if is_pair(p) else p for p in rule["ports"]]
    mend_texts(policy, "sources", "10.0.0.0/8")
    mend_texts(policy, "client_subjects", "CN=ann,O=Example")
    for hours in dicts_in(policy, "hours"):
        if isinstance(hours.get("zone"), str) and hours["zone"] != "":
            hours["zone"] = "Europe/Berlin"
        if isinstance(hours.get("from"), str) and hours["from"] == hours.get("to"):
            hours["to"] = "24:00"


def dicts_in(value, name):
    items = value.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def mend_texts(value, name, text):
    if isinstance(value.get(name), list):
        value[name] = [text if isinstance(item, str) and item != "" else item for item in value[name]]


def is_pair(value):
    return isinstance(value, list) and len(value) == 2 and all(type(port) in (int, float) for port in value)
