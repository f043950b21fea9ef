"""JSON itself, HTTP, members, maintenance and auth: see asking.py for how a shape is written."""

from asking import Ask, R
from stories_kv import get, put

RANGE = "/v3/kv/range"

# "Zm9v" is foo. What follows has to be read as that key.
READ = [
    '{"key":"Zm9v"}', ' \t\r\n{ "key" : "Zm9v" } \n', '{"k\\u0065y":"Zm9v"}', '{"key":"\\u005am9v"}',
    '{"key":"YmFy","key":"Zm9v"}', '{"key":"Zm\\n9v"}',
    '{"key":"Zm9v","range_end":null}', '{"key":"Zm9v","rangeEnd":""}', '{"key":"Zm9v","limit":null}',
    '{"key":"Zm9v","limit":1}', '{"key":"Zm9v","limit":"1"}', '{"key":"Zm9v","limit":-0}',
    '{"key":"Zm9v","limit":9223372036854775807}', '{"key":"Zm9v","limit":"-9223372036854775808"}',
    '{"key":"Zm9v","serializable":true}', '{"key":"Zm9v","serializable":null}',
    '{"key":"Zm9v","sort_order":"ASCEND"}', '{"key":"Zm9v","sortOrder":1}', '{"key":"Zm9v","sort_order":null}',
    '{"key":"Zm9v","keysOnly":true}', '{"key":"Zm9v","KeysOnly":true}', '{"key":"Zm9v","KEYS_ONLY":true}',
    '{"key":"Zm9v","keys_only":false,"keysOnly":true}', '{"key":"Zm9v","keysOnly":true,"keys_only":false}',
    '{"key":"Zm9v","nope":1}', '{"key":"Zm9v","nope":{"key":[1,{"a":null}],"b":"\\ud83d\\ude00"}}',
    '{"nope":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]],"key":"Zm9v"}', '{"key":"Zm9v","nope":1e300}',
    '{"key":"Zh=="}', '{"key":"/+/+"}',
]

# Status and code are compared; the texts describe two parsers.
MALFORMED = [
    "[]", "1", '"x"', "true", "x", "{", '{"key"', '{"key":', '{"key":}', '{"key":"Zm9v"', '{"key":"Zm9v",}', "{key:1}",
    "{'key':1}", '{"key":"Zm9v" "limit":1}', '{"key":"Zm9v","limit":01}', '{"key":"Zm9v","limit":+1}', '{"key":"Zm9v',
    '{"key":"Zm9v","limit":.5}', '{"key":"Zm9v","limit":1.}', '{"key":"\\x"}', '{"key":"\\u12"}', '{"key":"Zm\n9v"}',
    '/*c*/{"key":"Zm9v"}', '\ufeff{"key":"Zm9v"}', '{"key":tru}', '{"key":nul}', '{"key":"Zm9v","limit":-}',
    '{"nope":' + "[" * 20_000 + "]" * 20_000 + "}",
    '{"key":1}', '{"key":true}', '{"key":{}}', '{"key":"Zm9"}', '{"key":"Zm9v="}', '{"key":"Zm9v===="}', '{"key":"Zg"}',
    '{"key":"Zg="}', '{"key":"!!!!"}', '{"key":"Zm 9v"}', '{"key":"\u00e9"}', '{"key":"Z==="}', '{"key":"="}',
    '{"key":"Zm9v","limit":1.0}', '{"key":"Zm9v","limit":1e0}', '{"key":"Zm9v","sort_order":1.0}',
    '{"key":"Zm9v","limit":"1.0"}', '{"key":"Zm9v","limit":1.5}', '{"key":"Zm9v","limit":"x"}', '{"key":"Zm9v","limit":""}',
    '{"key":"Zm9v","limit":true}', '{"key":"Zm9v","limit":{}}', '{"key":"Zm9v","limit":[]}',
    '{"key":"Zm9v","limit":9223372036854775808}', '{"key":"Zm9v","limit":"9223372036854775808"}',
    '{"key":"Zm9v","limit":"-9223372036854775809"}', '{"key":"Zm9v","limit":"01"}', '{"key":"Zm9v","limit":"+1"}',
    '{"key":"Zm9v","limit":"0x10"}', '{"key":"Zm9v","limit":"1 2"}',
    '{"key":"Zm9v","serializable":"true"}', '{"key":"Zm9v","serializable":1}', '{"key":"Zm9v","serializable":0}',
    '{"key":"Zm9v","sort_order":"FOO"}', '{"key":"Zm9v","sort_order":true}', '{"key":"Zm9v","sort_order":1.5}',
    '{"key":"Zm9v","sort_order":[]}', '{"key":"Zm9v","sort_order":99999999999}',
]

# Read by etcd, but by nobody else: see differences.py.
ODD = {
    "a number in a string has no spaces": ['{"key":"Zm9v","limit":" 1"}'],
    "bytes are base64": ['{"key":[102,111,111]}', '{"key":[]}'],
    "a request is one object": ['{"key":"Zm9v"}{}', '{"key":"Zm9v"}garbage'],
    "JSON is at most 32 deep": ['{"nope":' + "[" * 2_000 + "]" * 2_000 + ',"key":"Zm9v"}'],
}

MAINTENANCE = [
    Ask("/v3/maintenance/alarm", {}),
    Ask("/v3/maintenance/alarm", {"action": "GET"}),
    Ask("/v3/maintenance/alarm", {"action": 0, "alarm": "NOSPACE"}),
    Ask("/v3/maintenance/alarm", {"action": "DEACTIVATE", "alarm": "NOSPACE"}),
    Ask("/v3/maintenance/defragment", {}),
]
TOKEN = Ask(RANGE, {"key": "a"}, headers={"Authorization": "nonsense"})

STORIES = {
    "json: read": [put("foo", "bar")] + [Ask(RANGE, body) for body in READ] + [
        Ask(RANGE, None), Ask(RANGE, ""), Ask(RANGE, " \n"), Ask(RANGE, "null"), Ask(RANGE, "{}"),
        Ask(RANGE, '{"Key":"Zm9v"}'), Ask(RANGE, '{"KEY":"Zm9v"}'), Ask(RANGE, '{"key":null}'), Ask(RANGE, '{"key":""}'),
        Ask(RANGE, '{"key":"_-_-"}'),
    ] + [Ask(RANGE, body, compare="code") for bodies in ODD.values() for body in bodies],
    "json: malformed": [Ask(RANGE, body, compare="code") for body in MALFORMED] + [
        Ask("/v3/kv/put", '{"key":"Zm9v","value":"!"}', compare="code"),
        Ask("/v3/kv/put", '{"key":"Zm9v","value":1}', compare="code"),
        Ask("/v3/kv/put", '{"key":"Zm9v","lease":"x"}', compare="code"),
        Ask("/v3/kv/deleterange", '{"key":"Zm9v","prev_kv":"yes"}', compare="code"),
        Ask("/v3/kv/compaction", '{"revision":"one"}', compare="code"),
        Ask("/v3/lease/revoke", '{"ID":[]}', compare="code"),
        Ask("/v3/cluster/member/add", '{"peerURLs":"x"}', compare="code"),
        Ask("/v3/cluster/member/add", '{"peerURLs":[1]}', compare="code"),
        put("foo", "never malformed"),
    ],
    "http": [
        put("foo", "bar"),
        Ask(RANGE, {"key": "foo"}, show_headers=True),
        Ask(RANGE, {}, show_headers=True),
        Ask(RANGE, {"key": "foo"}, headers={"Content-Type": "application/x-www-form-urlencoded"}),
        Ask(RANGE, {"key": "foo"}, headers={"Origin": "http://example.com"}, show_headers=True),
        Ask(RANGE + "?key=eA==", {"key": "foo"}),
        Ask(RANGE, method="GET", show_headers=True),
        Ask(RANGE, {"key": "foo"}, method="PUT"),
        Ask(RANGE, method="DELETE"),
        Ask(RANGE, method="HEAD"),
        Ask(RANGE, method="OPTIONS", show_headers=True),
        Ask(RANGE, method="OPTIONS",
            headers={"Origin": "http://example.com", "Access-Control-Request-Method": "POST"}, show_headers=True),
        Ask("/v3/nothing", {}, show_headers=True),
        Ask("/v3/nothing", method="OPTIONS"),
        Ask("/v3/", {}), Ask("/v3/kv", {}), Ask("/v3/kv/range/", {}), Ask("/v3/KV/range", {}),
        Ask("/v4/kv/range", {}, compare="code"),
        Ask("/v3/kv/txn", {}), Ask("/v3/lease/keepalive", {"ID": 1}),
        Ask("/v3beta/kv/range", {"key": "foo"}), Ask("/v3beta/nothing", {}),
        Ask("/v3alpha/kv/range", {"key": "foo"}), Ask("/v3alpha/kv/txn", {}), Ask("/v3alpha/lease/keepalive", {"ID": 1}),
        Ask("/v3beta/kv/put", {"key": "beta"}),
        Ask("/version", "{}", method="GET", compare="shape"),
        Ask("/version", method="POST", compare="code"),
        Ask("/health", method="GET", compare="shape"),
        Ask("/health?serializable=true", method="GET", compare="shape"),
        Ask("/health?exclude=NOSPACE", method="GET", compare="shape"),
        Ask("/health", method="POST", compare="code"),
    ],
    "members": [
        Ask("/v3/cluster/member/list", {}, compare="shape"),
        Ask("/v3/cluster/member/list", {"linearizable": True}, compare="shape"),
        Ask("/v3/cluster/member/list", None, compare="shape"),
        Ask("/v3beta/cluster/member/list", {}, compare="shape"),
        Ask("/v3/cluster/member/add", {}),
        Ask("/v3/cluster/member/add", {"peerURLs": []}),
        Ask("/v3/cluster/member/add", {"peerURLs": ["nope"]}),
        Ask("/v3/cluster/member/remove", {}),
        Ask("/v3/cluster/member/remove", {"ID": "4711"}),
        Ask("/v3/cluster/member/update", {"ID": "4711", "peerURLs": ["http://127.0.0.1:1"]}),
        Ask("/v3/cluster/member/promote", {"ID": 4711}),
        Ask("/v3/cluster/member/promote", {"ID": "{own id}"}),
    ],
    "maintenance": [
        put("a", "1"),
        Ask("/v3/maintenance/status", {}, compare="shape"),
        Ask("/v3/maintenance/status", None, compare="shape"),
        *MAINTENANCE,
        Ask("/v3/maintenance/alarm", {"action": "NOPE"}, compare="code"),
        Ask("/v3/maintenance/hash", {}, compare="shape"),
        Ask("/v3/maintenance/transfer-leadership", {}, compare="code"),
        Ask("/v3/maintenance/transfer-leadership", {"targetID": 4711}, compare="code"),
        get("a", revision=R(1)),
    ],
    "auth": [
        Ask("/v3/auth/authenticate", '{"name":"root","password":"secret"}'),
        Ask("/v3/auth/authenticate", "{}"),
        Ask("/v3/auth/authenticate", '{"name":1}'),
        Ask("/v3/auth/enable", {}),
        Ask("/v3/auth/disable", {}),
        Ask("/v3/auth/user/list", {}),
        Ask("/v3/auth/role/list", {}),
        Ask("/v3/auth/user/add", "{}"),
        Ask("/v3/auth/user/get", '{"name":"nobody"}'),
        Ask("/v3/auth/user/delete", '{"name":"nobody"}'),
        Ask("/v3/auth/user/changepw", '{"name":"nobody","password":"x"}'),
        Ask("/v3/auth/user/grant", '{"user":"nobody","role":"none"}'),
        Ask("/v3/auth/user/revoke", '{"name":"nobody","role":"none"}'),
        Ask("/v3/auth/role/add", "{}"),
        Ask("/v3/auth/role/get", '{"role":"none"}'),
        Ask("/v3/auth/role/delete", '{"role":"none"}'),
        Ask("/v3/auth/role/grant", '{"name":"none","perm":{"key":"YQ=="}}'),
        Ask("/v3/auth/role/revoke", '{"role":"none","key":"YQ=="}'),
        TOKEN,
    ],
}
