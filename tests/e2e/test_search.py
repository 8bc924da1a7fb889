"""Elasticsearch and OpenSearch as real servers behave: refusals, credentials, TLS, failover, compression."""
import base64

import oracle
import workload
from harness import CANAL, MAPPING, check, check_documents, check_equal, test
from proxy import Proxy, self_signed

MANY = {"docs": 50, "bytes": "1MiB", "linger": "5ms"}  # many small requests


def proxied(case, **options):
    proxy = Proxy(case.servers.elasticsearch.url, **options)
    case.cleanups.callback(lambda: proxy.limit is None and proxy.close())
    return proxy


def load(case, *proxies, code=0, wait=(), **options):
    """The canal capture through proxies into Elasticsearch."""
    sink = case.elasticsearch(urls=[proxy.url for proxy in proxies] or None, batch=MANY, **options)
    result = case.weir("run", case.config(case.file_source(CANAL.events), sink), "--until-end", *wait, code=code)
    if code == 0:
        check_documents(case.documents("elasticsearch"), CANAL.documents(), "elasticsearch")
        check_equal(case.letters(), [], "dead letters")
    return result


@test(needs="opensearch")
def opensearch_gives_the_expected_documents(case):
    # The same requests suit both.
    config = case.config(case.file_source(CANAL.events), case.sink("opensearch"))
    case.drain(config)
    check_documents(case.documents("opensearch"), CANAL.documents(), "opensearch")
    check_equal(case.drain(config)["documents_written"], 0, "documents written by a second run")


@test(needs="elasticsearch")
def index_is_created_with_its_mapping(case):
    # `_weir` is stored and not indexed; the side index is there, and both remember deletes for an hour.
    load(case)
    search = case.servers.elasticsearch
    for index in (case.unique, case.unique + "-weir"):
        _, found = search.request("GET", f"/{index}")
        settings, mappings = found[index]["settings"]["index"], found[index]["mappings"]
        check(settings.get("gc_deletes") in ("1h", "3600s", "60m"), f"{index}: {settings}")
        weir = mappings.get("properties", {}).get("_weir", {"enabled": mappings.get("enabled")})
        check_equal(str(weir.get("enabled")).lower(), "false", f"{index}: _weir is enabled")


@test(needs="elasticsearch")
def index_that_exists_keeps_its_own_mapping(case):
    # People make their index themselves: weir adds `_weir` and touches nothing else.
    search = case.servers.elasticsearch
    search.request("PUT", f"/{case.unique}", {"mappings": {"properties": {"currency": {"type": "keyword"}}}})
    load(case)
    _, found = search.request("GET", f"/{case.unique}/_mapping")
    properties = found[case.unique]["mappings"]["properties"]
    check_equal(properties["currency"], {"type": "keyword"}, "the index's own field")
    check_equal(str(properties["_weir"].get("enabled")).lower(), "false", "_weir is enabled")


@test(needs="elasticsearch")
def document_that_the_mapping_refuses_is_a_dead_letter(case):
    # One order's remark is no number: it goes with the server's own words, and nothing else waits for it.
    search = case.servers.elasticsearch
    search.request("PUT", f"/{case.unique}", {"mappings": {"properties": {"order_status": {"type": "byte"}}}})
    log = workload.Workload(31, 200, "refused", partitions=1)
    events = log.events(3000)
    expected = oracle.documents(events, MAPPING, "canal-json")
    values = log.values("tc_order", "666") | {"order_status": "4711"}
    poisoned = log.message("tc_order", "INSERT", [{column: values[column] for column in workload.TYPES["tc_order"]}])
    path = case.write("events.ndjson", [*events[:1500], poisoned | {"offset": 1500},
                                        *({**e, "offset": e["offset"] + 1} for e in events[1500:])])
    summary = case.drain(case.config(case.file_source(path), case.elasticsearch(batch=MANY)))
    check_documents(case.documents("elasticsearch"), expected, "elasticsearch")
    letters = case.letters()
    check_equal([letter["reason"] for letter in letters], ["refused_by_sink"], "reasons")
    check("order_status" in letters[0]["detail"], f"not the server's words: {letters[0]['detail']}")
    check(b"666" in letters[0]["bytes"], "not the document")
    check_equal(summary["dead_letters"], 1, "dead letters of the summary")


CREDENTIALS = {"basic": ({"username": "elastic", "password": "geheim:é"},
                         "Basic " + base64.b64encode("elastic:geheim:é".encode()).decode()),
               "api_key": ({"api_key": "QUJDOmRlZg=="}, "ApiKey QUJDOmRlZg==")}


@test(needs="elasticsearch", each=CREDENTIALS)
def credentials_are_sent(case, options, header):
    # Each request carries them; the proxy answers 401 to one that does not.
    load(case, proxied(case, authorization=header), **options)


@test(needs="elasticsearch")
def wrong_credentials_are_told(case):
    # 401 is no dead letter and no reason to drop: weir says so, and with --until-end gives up after --wait.
    proxy = proxied(case, authorization="Basic bm90OnRoaXM=")
    result = load(case, proxy, code=69, wait=("--wait", "3s"), username="elastic", password="secret-of-mine")
    check("401" in result.stderr, f"does not say 401: {result.stderr[-800:]}")
    check("secret-of-mine" not in result.stderr, "the password is in the log")
    check_equal(case.letters(), [], "dead letters")


@test(needs="elasticsearch")
def requests_are_compressed_when_asked(case):
    # `compression: gzip` for links that are slower than CPUs.
    proxy = proxied(case)
    load(case, proxy, compression="gzip")
    check(proxy.bulks == proxy.compressed > 0, f"{proxy.compressed} of {proxy.bulks} requests were compressed")


@test(needs="elasticsearch")
def tls_with_its_authority_is_trusted(case):
    # `tls.ca` names the authority that signed the server's certificate.
    certificate = self_signed(case.dir)
    load(case, proxied(case, certificate=certificate), tls={"ca": str(certificate[0])})


@test(needs="elasticsearch")
def tls_of_an_unknown_authority_is_refused(case):
    # Verification is on by default; turning it off is the user's word.
    proxy = proxied(case, certificate=self_signed(case.dir))
    result = load(case, proxy, code=69, wait=("--wait", "3s"))
    check("certificate" in result.stderr.lower(), f"does not say why: {result.stderr[-800:]}")
    load(case, proxy, tls={"verify": False})


@test(needs="elasticsearch")
def server_that_goes_away_is_left_for_the_next(case):
    # Two URLs: the first dies after three bulk requests, and the rest goes by the second.
    dying, other = proxied(case, limit=3), proxied(case)
    load(case, dying, other)
    check(other.bulks > 0, "the second URL was never used")


@test(needs="elasticsearch")
def server_that_never_came_is_left_for_the_next(case):
    # The first URL refuses connections from the start.
    gone, other = Proxy(case.servers.elasticsearch.url), proxied(case)
    gone.close()
    load(case, gone, other)
