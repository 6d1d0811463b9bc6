"""The story of an account, told with slixmpp: `story.py before`, a restart of the server, `story.py after`."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request

import slixmpp
from slixmpp.exceptions import PresenceError

DOMAIN = os.environ["XMPP_DOMAIN"]
HOST, PORT = os.environ["XMPP_ADDR"].rsplit(":", 1)
LIMIT = 15
HALL = f"slix-hall@conference.{DOMAIN}"


class Client(slixmpp.ClientXMPP):
    """A client that remembers what arrives and confirms nothing by itself."""

    def __init__(self, name, password):
        super().__init__(f"{name}@{DOMAIN}", password)
        self.auto_authorize = None
        self.auto_subscribe = False
        self.auto_reconnect = False
        self.enable_direct_tls = False
        self.ca_certs = os.environ["XMPP_CA"]
        self.register_plugin("xep_0198")
        self.register_plugin("xep_0045")
        self.arrived = asyncio.Queue()
        self.started = asyncio.Event()
        self.refused = asyncio.Event()
        self.ended = asyncio.Event()
        self.resumed = asyncio.Event()
        self.stream_error = None
        self.add_event_handler("session_start", lambda _: self.started.set())
        self.add_event_handler("failed_auth", lambda _: self.refused.set())
        self.add_event_handler("stream_error", self.on_stream_error)
        self.add_event_handler("disconnected", lambda _: self.ended.set())
        self.add_event_handler("session_resumed", lambda _: self.resumed.set())
        self.add_event_handler("message", self.arrived.put_nowait)
        self.add_event_handler("groupchat_presence", self.arrived.put_nowait)
        self.add_event_handler("groupchat_subject", self.arrived.put_nowait)
        self.add_event_handler("groupchat_message_error", self.arrived.put_nowait)
        for kind in ("subscribe", "subscribed", "available"):
            self.add_event_handler(f"presence_{kind}", self.arrived.put_nowait)

    def on_stream_error(self, error):
        self.stream_error = error["condition"]

    async def login(self):
        self.connect(HOST, int(PORT))
        waits = [asyncio.create_task(e.wait()) for e in (self.started, self.refused)]
        done, _ = await asyncio.wait(waits, timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
        assert waits[0] in done, f"{self.boundjid} was not let in (refused: {self.refused.is_set()})"
        self.send_presence()
        await self.get_roster()
        return self

    async def next(self, what, want):
        async def look():
            while True:
                stanza = await self.arrived.get()
                if want(stanza):
                    return stanza

        try:
            return await asyncio.wait_for(look(), LIMIT)
        except asyncio.TimeoutError:
            raise AssertionError(f"{self.boundjid} got no {what}") from None

    def presence(self, kind, sender):
        return self.next(f"{kind} from {sender}", lambda s: s["type"] == kind and s["from"].bare == f"{sender}@{DOMAIN}")

    def hear(self, text):
        return self.next(f"message {text!r}", lambda s: s.name == "message" and s["body"] == text)

    async def counted(self, body):
        """Wait until the library counts a message: one that is still in its other queue when the connection breaks, it drops."""
        unacked = self.plugin["xep_0198"].unacked_queue
        async with asyncio.timeout(LIMIT):
            while not any(s.name == "message" and s["body"] == body for _, s in unacked):
                await asyncio.sleep(0)

    def occupant(self, nick, role, code=None):
        return self.next(f"presence of {nick} as {role} with {code}", lambda s: s.name == "presence" and s["from"].resource == nick
                         and s["muc"]["role"] == role and (code is None or code in s["muc"]["status_codes"]))

    async def come_back(self):
        """Reconnect after the connection broke, to the session that was there (XEP-0198)."""
        await asyncio.wait_for(self.ended.wait(), LIMIT)
        self.ended.clear()
        self.connect(HOST, int(PORT))
        await asyncio.wait_for(self.resumed.wait(), LIMIT)

    async def leave(self):
        await self.disconnect()


def kubectl(*args, stdin=None):
    subprocess.run([os.environ["KUBECTL"], "--namespace=chat", *args], input=stdin, text=True, check=True, stdout=subprocess.DEVNULL)


def rest(method, path, body):
    request = urllib.request.Request(
        os.environ["REST_URL"] + path, method=method, data=json.dumps(body).encode(),
        headers={"Authorization": os.environ["REST_SECRET"], "Content-Type": "application/json", "Accept": "application/json"})
    with urllib.request.urlopen(request) as response:
        return response.status


def declare(name, password):
    manifests = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": password}},
        {"apiVersion": "chat-operator.io/v1alpha1", "kind": "ChatUser", "metadata": {"name": name},
         "spec": {"locked": False, "credentials": {"secretRef": {"name": name}}}},
    ]
    kubectl("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    kubectl("wait", "--for=condition=Ready", "--timeout=10s", f"chatuser/{name}")


async def rooms(mira, tobias):
    """Mira makes a room, configures and moderates it, and leaves it to Tobias."""
    room, hers, his = f"slix@conference.{DOMAIN}", mira.plugin["xep_0045"], tobias.plugin["xep_0045"]
    services = await mira.plugin["xep_0030"].get_items(jid=DOMAIN)
    assert f"conference.{DOMAIN}" in [str(jid) for jid, _, _ in services["disco_items"]["items"]], f"no rooms among {services}"
    here, *_ = await hers.join_muc_wait(room, "mira", timeout=LIMIT)
    assert {110, 201} <= set(here["muc"]["status_codes"]), f"not a new room: {here}"
    form = await hers.get_room_config(room)
    form["values"] = {**form["values"], "muc#roomconfig_roomname": "Slix", "muc#roomconfig_moderatedroom": True}
    await hers.set_room_config(room, form)
    listed = await tobias.plugin["xep_0030"].get_items(jid=f"conference.{DOMAIN}")
    assert (room, "Slix") in [(str(jid), name) for jid, _, name in listed["disco_items"]["items"]], f"the room is not listed: {listed}"

    mira.send_message(mto=room, mbody="before you came", mtype="groupchat")
    await mira.hear("before you came")
    hers.set_subject(room, "Slices")
    await mira.next("subject", lambda s: s["subject"] == "Slices")
    there, subject, occupants, history = await his.join_muc_wait(room, "tobias", timeout=LIMIT)
    assert there["muc"]["role"] == "visitor" and subject["subject"] == "Slices", f"{there} {subject}"
    assert [m["body"] for m in history] == ["before you came"], f"the history is {history}"
    assert "mira" in [o["from"].resource for o in occupants], f"with {occupants}"
    await mira.occupant("tobias", "visitor")

    tobias.send_message(mto=room, mbody="may I?", mtype="groupchat")
    await tobias.next("refusal", lambda s: s.name == "message" and s["error"]["condition"] == "forbidden")
    await hers.set_role(room, "tobias", "participant")
    await tobias.occupant("tobias", "participant")
    tobias.send_message(mto=room, mbody="thank you <&> 👋", mtype="groupchat")
    await mira.hear("thank you <&> 👋")
    mira.send_message(mto=f"{room}/tobias", mbody="between us", mtype="chat")
    await tobias.hear("between us")

    await hers.set_role(room, "tobias", "none", reason="enough")
    await tobias.occupant("tobias", "none", 307)
    await his.join_muc_wait(room, "tobias", timeout=LIMIT)
    await hers.set_affiliation(room, "outcast", jid=f"slix-tobias@{DOMAIN}")
    await tobias.occupant("tobias", "none", 301)
    assert [str(jid) for jid in await hers.get_affiliation_list(room, "outcast")] == [f"slix-tobias@{DOMAIN}"]
    try:
        await his.join_muc_wait(room, "tobias", timeout=LIMIT)
        raise AssertionError("who is banned got in")
    except PresenceError as error:
        assert error.condition == "forbidden", f"banned, and told {error}"
    await hers.set_affiliation(room, "member", jid=f"slix-tobias@{DOMAIN}")
    there, *_ = await his.join_muc_wait(room, "tobias", timeout=LIMIT)
    assert (there["muc"]["affiliation"], there["muc"]["role"]) == ("member", "participant"), f"a member came in as {there}"
    hers.leave_muc(room, "mira")
    await tobias.occupant("mira", "none")
    his.leave_muc(room, "tobias")
    await tobias.occupant("tobias", "none", 110)

    await hers.join_muc_wait(HALL, "mira", timeout=LIMIT)
    form = await hers.get_room_config(HALL)
    form["values"] = {**form["values"], "muc#roomconfig_persistentroom": True}
    await hers.set_room_config(HALL, form)
    hers.leave_muc(HALL, "mira")
    await mira.occupant("mira", "none", 110)


async def lasting(mira):
    """The room that lasts is there after the restart, and Mira's, until she destroys it."""
    muc, disco = mira.plugin["xep_0045"], mira.plugin["xep_0030"]
    here, *_ = await muc.join_muc_wait(HALL, "mira", timeout=LIMIT)
    assert here["muc"]["affiliation"] == "owner" and 201 not in here["muc"]["status_codes"], f"after the restart {here}"
    await muc.destroy(HALL)
    await mira.occupant("mira", "none")
    listed = await disco.get_items(jid=f"conference.{DOMAIN}")
    assert HALL not in [str(jid) for jid, _, _ in listed["disco_items"]["items"]], f"destroyed, and listed: {listed}"


async def before():
    declare("slix-mira", "Mira's word")
    assert rest("POST", "/users", {"username": "slix-tobias", "password": "Tobias's word"}) == 201
    mira = await Client("slix-mira", "Mira's word").login()
    tobias = await Client("slix-tobias", "Tobias's word").login()

    mira.send_presence_subscription(pto=f"slix-tobias@{DOMAIN}", ptype="subscribe")
    await tobias.presence("subscribe", "slix-mira")
    tobias.send_presence_subscription(pto=f"slix-mira@{DOMAIN}", ptype="subscribed")
    await mira.presence("subscribed", "slix-tobias")
    await mira.presence("available", "slix-tobias")
    tobias.send_presence_subscription(pto=f"slix-mira@{DOMAIN}", ptype="subscribe")
    await mira.presence("subscribe", "slix-tobias")
    mira.send_presence_subscription(pto=f"slix-tobias@{DOMAIN}", ptype="subscribed")
    await tobias.presence("subscribed", "slix-mira")
    await tobias.presence("available", "slix-mira")

    mira.send_message(mto=f"slix-tobias@{DOMAIN}", mbody="Guten Morgen <&> 👋", mtype="chat")
    await tobias.hear("Guten Morgen <&> 👋")
    tobias.send_message(mto=f"slix-mira@{DOMAIN}", mbody="ça va", mtype="chat")
    await mira.hear("ça va")

    heard = {client: [] for client in (mira, tobias)}
    for client, bodies in heard.items():
        client.add_event_handler("message", lambda m, bodies=bodies: bodies.append(m["body"]))
    mira.send_message(mto=tobias.boundjid, mbody="into the tunnel", mtype="chat")
    await mira.counted("into the tunnel")
    mira.transport.abort()
    for number in range(5):
        tobias.send_message(mto=mira.boundjid, mbody=f"number {number}", mtype="chat")
    await mira.come_back()
    mira.send_message(mto=tobias.boundjid, mbody="out of it", mtype="chat")
    tobias.send_message(mto=mira.boundjid, mbody="there you are", mtype="chat")
    await tobias.hear("out of it")
    await mira.hear("there you are")
    assert heard[mira] == [f"number {number}" for number in range(5)] + ["there you are"], f"after the cut mira heard {heard[mira]}"
    assert heard[tobias] == ["into the tunnel", "out of it"], f"after the cut tobias heard {heard[tobias]}"

    await rooms(mira, tobias)
    kubectl("get", "chatroom", "slix-hall")

    wrong = Client("slix-mira", "another word")
    wrong.connect(HOST, int(PORT))
    await asyncio.wait_for(wrong.refused.wait(), LIMIT)
    await asyncio.gather(mira.leave(), tobias.leave())


async def after():
    mira = await Client("slix-mira", "Mira's word").login()
    assert mira.client_roster[f"slix-tobias@{DOMAIN}"]["subscription"] == "both", "the roster is another after the restart"
    tobias = await Client("slix-tobias", "Tobias's word").login()
    await mira.presence("available", "slix-tobias")
    await lasting(mira)

    kubectl("patch", "chatuser", "slix-mira", "--type=merge", '--patch={"spec":{"locked":true}}')
    await asyncio.wait_for(mira.ended.wait(), LIMIT)
    assert mira.stream_error == "not-authorized", f"locked, and told {mira.stream_error}"
    assert rest("DELETE", "/users/slix-tobias", {}) == 200
    await asyncio.wait_for(tobias.ended.wait(), LIMIT)
    kubectl("delete", "chatuser,secret", "slix-mira")


asyncio.run({"before": before, "after": after}[sys.argv[1]]())
