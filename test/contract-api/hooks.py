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
