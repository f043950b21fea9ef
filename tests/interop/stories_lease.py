"""Leases, locks and elections: see asking.py for how a shape is written."""

from asking import Ask, Join, R, Until
from stories_kv import delete, get, grant, put


def lease(verb, body, prefix="/v3/lease/", **options):
    return Ask(prefix + verb, body, **options)


def lock(name, lease_id, **options):
    return Ask("/v3/lock/lock", {"name": name, "lease": lease_id}, **options)


def unlock(key):
    return Ask("/v3/lock/unlock", {"key": key})


def election(verb, body, **options):
    return Ask(f"/v3/election/{verb}", body, **options)


def campaign(lease_id, value, **options):
    return election("campaign", {"name": "el", "lease": lease_id, "value": value}, **options)


def leader_key(lease_id, revision):
    return {"name": "el", "key": f"el/{lease_id:x}", "rev": revision, "lease": str(lease_id)}


STORIES = {
    "lease": [
        lease("leases", {}),
        lease("grant", {"TTL": 20}),
        lease("grant", {"TTL": "20", "ID": "0"}),
        lease("grant", {}),
        lease("grant", {"TTL": 1}),
        lease("grant", {"TTL": 0}),
        lease("grant", {"TTL": -5}),
        lease("grant", {"TTL": 9_000_000_000}),
        lease("grant", {"TTL": "9000000001"}),
        lease("grant", {"ttl": 60, "id": 6}),
        grant(5005, 60),
        grant(5005, 60),
        lease("grant", {"ID": "5005", "TTL": "9000000001"}),
        lease("grant", {"ID": "7007", "TTL": "600"}),
        lease("grant", {"ID": "9223372036854775807", "TTL": 600}),
        put("l2", lease=5005),
        put("l1", lease="5005"),
        put("l3", lease=7007),
        get("l", "m"),
        lease("timetolive", {"ID": 7007}),
        lease("timetolive", {"ID": "7007", "keys": True}),
        lease("timetolive", {"ID": 5005, "keys": True}),
        lease("timetolive", {"ID": 5005, "keys": True}, "/v3/kv/lease/"),
        lease("timetolive", {"ID": 777}),
        lease("timetolive", {"ID": 777, "keys": True}),
        lease("timetolive", {}),
        lease("timetolive", {"ID": 777}, "/v3/kv/lease/"),
        delete("l2"),
        lease("timetolive", {"ID": 5005, "keys": True}),
        put("l1", "now of the other", lease=7007),
        lease("timetolive", {"ID": 5005, "keys": True}),
        lease("timetolive", {"ID": 7007, "keys": True}),
        put("l1", "of none"),
        lease("timetolive", {"ID": 7007, "keys": True}),
        lease("keepalive", {"ID": 5005}, show_headers=True),
        lease("keepalive", {"ID": "7007"}),
        lease("keepalive", {"ID": 777}),
        lease("keepalive", {}),
        lease("revoke", {"ID": 777}),
        lease("revoke", {}),
        lease("revoke", {"ID": 777}, "/v3/kv/lease/"),
        put("l4", lease=7007),
        lease("revoke", {"ID": "7007"}),
        lease("revoke", {"ID": "7007"}),
        get("l", "m"),
        lease("revoke", {"ID": 5005}, "/v3/kv/lease/"),
        lease("keepalive", {"ID": 5005}),
        lease("timetolive", {"ID": 5005}),
        put("l", lease=5005),
        lease("revoke", {"ID": "9223372036854775807"}),
        lease("keepalive", '{"ID":', compare="code"),
        lease("keepalive", '{"ID":"x"}', compare="code"),
        lease("grant", '{"TTL":"x"}', compare="code"),
    ],
    "lease: listed": [
        grant(3003), grant(1001), grant(2002),
        lease("leases", {}),
        lease("leases", None),
        lease("leases", {}, "/v3/kv/lease/"),
        lease("revoke", {"ID": 1001}),
        lease("leases", {}),
    ],
    "lock": [
        grant(123456), grant(9009),
        lock("lk", 123456),
        lock("lk", 123456),
        get("lk/", "lk0"),
        lock("other", 9009),
        lock("lk", 9009, background="the second"),
        Until("lk/", 2),
        unlock("lk/1e240"),
        Join("the second"),
        get("lk/", "lk0"),
        lock("lk", 123456, background="whose holder's lease is revoked"),
        Until("lk/", 2),
        lease("revoke", {"ID": 9009}),
        Join("whose holder's lease is revoked"),
        unlock("lk/1e240"),
        unlock("lk/1e240"),
        unlock("none"),
        Ask("/v3/lock/unlock", {}, compare="code"),
        lock("lk", 777),
        Ask("/v3/lock/lock", {"name": "own lease"}),
        get("own lease/", "own lease0"),
        Ask("/v3/lock/lock", '{"name":1}', compare="code"),
    ],
    "election": [
        grant(123456), grant(9009),
        election("leader", {"name": "el"}),
        campaign(777, "v"),
        campaign(123456, "v1"),
        election("leader", {"name": "el"}),
        campaign(123456, "v2"),
        election("leader", {"name": "el"}),
        election("proclaim", {"leader": leader_key(123456, R(1)), "value": "v3"}),
        election("leader", {"name": "el"}),
        election("proclaim", {"leader": leader_key(123456, R(99)), "value": "wrong"}),
        election("proclaim", {"leader": leader_key(55, R(1)), "value": "wrong"}),
        election("proclaim", {"value": "wrong"}),
        campaign(9009, "second", background="the second"),
        Until("el/", 2),
        election("leader", {"name": "el"}),
        election("resign", {"leader": leader_key(123456, R(1))}),
        Join("the second"),
        election("leader", {"name": "el"}),
        election("resign", {"leader": leader_key(123456, R(1))}),
        election("proclaim", {"leader": leader_key(123456, R(1)), "value": "late"}),
        election("resign", {}),
        lease("revoke", {"ID": 9009}),
        election("leader", {"name": "el"}),
    ],
}
