"""OAuth 2.0 clients for Python, as Debian ships them: each logs in, refreshes twice, has its token looked at, revokes it."""
import base64
import json
import os
import sys
import traceback
import urllib.parse
import urllib.request

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback without TLS
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import authlib  # noqa: E402
import requests_oauthlib  # noqa: E402
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession  # noqa: E402
from authlib.jose import JsonWebKey, jwt  # noqa: E402
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient  # noqa: E402
from requests.auth import HTTPBasicAuth  # noqa: E402

url, service, user, password, client, secret = (os.environ[k] for k in ("url", "service", "user", "password", "client", "secret"))
token_url, revoke_url, look_url = url + "/oauth2/token", url + "/oauth2/revoke", url + "/oauth2/introspect"


def introspect(token):
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    body = urllib.parse.urlencode({"token": token}).encode()
    request = urllib.request.Request(look_url, body, {"Authorization": "Basic " + basic})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def run_authlib(did):
    for method in ("client_secret_basic", "client_secret_post"):
        session = AuthlibSession(client, secret, token_endpoint_auth_method=method)
        token = session.fetch_token(token_url, username=user, password=password)
        did("password by " + method)
        for _ in range(2):
            renewed = session.refresh_token(token_url, refresh_token=token["refresh_token"])
            assert renewed["refresh_token"] != token["refresh_token"], "the refresh token did not rotate"
            token = renewed
        did("refresh twice")
        keys = JsonWebKey.import_key_set(json.load(urllib.request.urlopen(url + "/.well-known/jwks.json", timeout=10)))
        claims = jwt.decode(token["access_token"], keys)
        claims.validate()
        assert claims["sub"] == user and claims["iss"] == url, claims
        did("verified by JWKS")
        answer = session.introspect_token(look_url, token=token["access_token"])
        assert answer.status_code == 200 and answer.json()["active"] is True, answer.text
        did("introspection")
        answer = session.get(service + "/me")
        assert answer.status_code == 200 and answer.json()["subject"] == user, answer.text
        did("token in use")
        answer = session.revoke_token(revoke_url, token=token["refresh_token"], token_type_hint="refresh_token")
        assert answer.status_code == 200, answer.text
        assert session.introspect_token(look_url, token=token["access_token"]).json() == {"active": False}
        did("revocation")
    machine = AuthlibSession(client, secret).fetch_token(token_url, grant_type="client_credentials")
    assert introspect(machine["access_token"])["sub"] == client
    did("client_credentials")


def run_requests_oauthlib(did):
    session = requests_oauthlib.OAuth2Session(client=LegacyApplicationClient(client_id=client))
    token = session.fetch_token(token_url, username=user, password=password, client_id=client, client_secret=secret)
    did("password")
    for _ in range(2):
        token = session.refresh_token(token_url, refresh_token=token["refresh_token"], auth=HTTPBasicAuth(client, secret))
    did("refresh twice")
    answer = session.get(service + "/me")
    assert answer.status_code == 200 and answer.json()["subject"] == user, answer.text
    did("token in use")
    machine = requests_oauthlib.OAuth2Session(client=BackendApplicationClient(client_id=client))
    token = machine.fetch_token(token_url, client_id=client, client_secret=secret)
    assert introspect(token["access_token"])["sub"] == client
    did("client_credentials")


def run(name, version, body):
    steps = []
    try:
        body(steps.append)
        print(f"ok {name} {version}: {', '.join(steps)}")
    except Exception as e:  # noqa: BLE001, whatever a client throws is a failure of its line
        detail = "".join(traceback.format_exception_only(type(e), e)).strip().replace("\n", " ")
        print(f"FAILED {name} {version}: after {steps}: {detail}")
        return 1
    return 0


sys.exit(run("authlib", authlib.__version__, run_authlib)
         + run("requests-oauthlib", requests_oauthlib.__version__, run_requests_oauthlib))
