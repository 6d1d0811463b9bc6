"""A program that manages Openfire with openfire-restapi, told to this server: `story.py before`, a restart of the server, `story.py after`.

Every call that the package has is made, and answered as it expects.
"""

import inspect
import os
import sys
from datetime import datetime, timedelta

from openfire_restapi import OpenfireRestApiClient, exceptions

DOMAIN = os.environ["XMPP_DOMAIN"]
HOST = os.environ["REST_URL"].removesuffix("/plugins/restapi/v1")
ROLES = ("owners", "admins", "members", "outcasts")
VCARD = '<vCard xmlns="vcard-temp"><FN>Mira Okafor</FN><NICKNAME>mira</NICKNAME></vCard>'


class Noted:
    """A part of the client that takes down which of its calls were made."""

    def __init__(self, part, made):
        self.part, self.made = part, made

    def __getattr__(self, name):
        self.made.add(name)
        return getattr(self.part, name)

    def left_out(self):
        calls = {name for name, _ in inspect.getmembers(self.part, inspect.ismethod) if not name.startswith("_")}
        return sorted(calls - self.made)


class Client:
    def __init__(self):
        api = OpenfireRestApiClient(HOST, os.environ["REST_SECRET"])
        self.parts = {name: Noted(part, set()) for name, part in vars(api).items()}

    def __getattr__(self, name):
        return self.parts[name]

    def left_out(self):
        return {name: part.left_out() for name, part in self.parts.items() if part.left_out()}


def same(got, want):
    assert got == want, f"got  {got!r}\nwant {want!r}"


def refused(kind, call, *args, status, **kwargs):
    try:
        answer = call(*args, **kwargs)
    except kind as error:
        assert type(error) is kind and error.response.status_code == status, f"{call.__name__}{args}: {error!r} {error.response.status_code}"
    else:
        raise AssertionError(f"{call.__name__}{args} was not refused: {answer!r}")


def users(api):
    call = api.users
    same(call.add_user("py-mira", "s3cr3t!", name="Mira Okafor", email="mira@mail.example", props={"team": "north"}), True)
    same(call.add_user("py-tobias", "s3cr3t!"), True)
    refused(exceptions.UserAlreadyExistsException, call.add_user, "py-mira", "x", status=409)
    refused(exceptions.IllegalArgumentException, call.add_user, "py mira", "x", status=400)
    mira = {"username": "py-mira", "name": "Mira Okafor", "email": "mira@mail.example", "properties": {"team": "north"}}
    same(call.get_user("Py-Mira"), mira)
    same(call.get_user("py-tobias"), {"username": "py-tobias", "name": "", "properties": {}})
    refused(exceptions.UserNotFoundException, call.get_user, "py-nobody", status=404)
    everybody = call.get_users()
    same(everybody["py-mira"], mira)
    assert "py-tobias" in everybody
    same(list(call.get_users(query="y-MI")), ["py-mira"])
    same(list(call.get_users(property_key="team")), ["py-mira"])
    same(list(call.get_users(property_key="team", property_value="south")), [])
    same(call.update_user("py-mira", password="another", name="M. Okafor", props={"team": "south", "desk": "12"}), True)
    same(call.get_user("py-mira"), {**mira, "name": "M. Okafor", "properties": {"desk": "12", "team": "south"}})
    refused(exceptions.UserNotFoundException, call.update_user, "py-nobody", name="x", status=404)
    same(call.lock_user("py-mira"), True)
    same(call.unlock_user("py-mira"), True)
    refused(exceptions.UserNotFoundException, call.lock_user, "py-nobody", status=404)
    refused(exceptions.UserNotFoundException, call.unlock_user, "py-nobody", status=404)

    tobias = f"py-tobias@{DOMAIN}"
    same(call.get_user_roster("py-mira"), [])
    same(call.add_user_roster_item("py-mira", tobias, nickname="Tobi", subscription=3, groups=["Friends"]), True)
    refused(exceptions.UserAlreadyExistsException, call.add_user_roster_item, "py-mira", tobias, status=409)
    same(call.get_user_roster("py-mira"), [{"jid": tobias, "nickname": "Tobi", "subscriptionType": 3, "groups": ["Friends"]}])
    same(call.update_user_roster_item("py-mira", tobias, subscription=1, groups=["Work"]), True)
    same(call.get_user_roster("py-mira"), [{"jid": tobias, "nickname": "Tobi", "subscriptionType": 1, "groups": ["Work"]}])
    refused(exceptions.UserNotFoundException, call.update_user_roster_item, "py-mira", f"py-nobody@{DOMAIN}", status=404)

    # Another name: the password is that of before, and who has the contact has it still.
    same(call.update_user("py-tobias", newusername="py-tobi"), True)
    same(call.get_user("py-tobi"), {"username": "py-tobi", "name": "", "properties": {}})
    refused(exceptions.UserNotFoundException, call.get_user, "py-tobias", status=404)
    same(call.get_user_roster("py-mira"), [{"jid": f"py-tobi@{DOMAIN}", "nickname": "Tobi", "subscriptionType": 1, "groups": ["Work"]}])
    refused(exceptions.UserAlreadyExistsException, call.update_user, "py-tobi", newusername="py-mira", status=409)
    refused(exceptions.UserNotFoundException, call.update_user, "py-nobody", newusername="py-somebody", status=404)
    same(call.update_user("py-tobi", newusername="py-tobias"), True)

    same(call.delete_user_roster_item("py-mira", tobias), True)
    refused(exceptions.InvalidResponseException, call.delete_user_roster_item, "py-mira", tobias, status=404)

    same(call.get_user_vcard("py-mira"), None)
    same(call.update_user_vcard("py-mira", VCARD), True)
    assert "<FN>Mira Okafor</FN>" in call.get_user_vcard("py-mira")
    same(call.delete_user_vcard("py-mira"), True)
    same(call.get_user_vcard("py-mira"), None)

    same(call.delete_user("py-tobias"), True)
    refused(exceptions.UserNotFoundException, call.delete_user, "py-tobias", status=404)


def groups(api):
    call, of = api.groups, api.users
    mira, ada = f"py-mira@{DOMAIN}", "ada@other.example"
    same(call.add_group("Py Ops", "People on call", admins=["py-mira"], members=[ada]), True)
    refused(exceptions.GroupAlreadyExistsException, call.add_group, "Py Ops", "x", status=409)
    refused(exceptions.IllegalArgumentException, call.add_group, "", "x", status=400)
    same(call.get_group("Py Ops"), {"name": "Py Ops", "description": "People on call", "admins": [mira], "members": [ada], "shared": False})
    same(call.get_groups()["Py Ops"], {"name": "Py Ops", "description": "People on call", "shared": False})
    refused(exceptions.GroupNotFoundException, call.get_group, "py ops", status=404)
    same(call.update_group("Py Ops", "on call", members=[ada, "py-tobias"]), True)
    same(call.get_group("Py Ops"), {"name": "Py Ops", "description": "on call", "admins": [], "members": [ada, f"py-tobias@{DOMAIN}"], "shared": False})
    refused(exceptions.GroupNotFoundException, call.update_group, "py ops", "x", status=404)

    same(of.get_user_groups("py-mira"), [])
    same(of.add_user_group("py-mira", "Py Ops"), True)
    same(of.add_user_groups("py-mira", ["Py Ops", "Py Night/Shift"]), True)
    same(of.get_user_groups("py-mira"), ["Py Night/Shift", "Py Ops"])
    same(call.get_group("Py Night/Shift")["members"], [mira])
    same(of.remove_user_group("py-mira", "Py Ops"), True)
    refused(exceptions.GroupNotFoundException, of.remove_user_group, "py-mira", "py-none", status=404)
    refused(exceptions.GroupNotFoundException, of.remove_user_groups, "py-mira", ["py-none", "Py Night/Shift"], status=404)
    same(of.get_user_groups("py-mira"), [])
    same(of.remove_user_groups("py-mira", ["Py Night/Shift"]), True)
    refused(exceptions.UserNotFoundException, of.get_user_groups, "py-nobody", status=404)
    same(call.delete_group("Py Night/Shift"), True)
    refused(exceptions.GroupNotFoundException, call.delete_group, "Py Night/Shift", status=404)


def rooms(api):
    call = api.rooms
    mira, tobias, gone = f"py-mira@{DOMAIN}", f"py-tobias@{DOMAIN}", exceptions.RoomNotFoundException
    same(call.add_room("Py-Atrium", "The Atrium", "Open floor", subject="Plants", maxusers=40, owners=[mira], members=[tobias], member_groups=["Py Ops"],
                       broadcastroles=["moderator", "participant"]), True)
    refused(exceptions.AlreadyExistsException, call.add_room, "py-atrium", "x", "x", owners=[mira], status=409)
    room = call.get_room("py-atrium")
    want = {"roomName": "py-atrium", "naturalName": "The Atrium", "description": "Open floor", "maxUsers": 40, "persistent": True, "publicRoom": True,
            "membersOnly": False, "owners": [mira], "admins": [], "members": [tobias], "outcasts": [], "memberGroups": ["Py Ops"],
            "broadcastPresenceRoles": ["moderator", "participant"]}
    same({name: room[name] for name in want}, want)
    assert abs(datetime.now() - room["creationDate"]) < timedelta(minutes=5), room["creationDate"]
    assert "py-atrium" in call.get_rooms() and "py-atrium" in call.get_rooms(typeof="all", query="ATRI", expand_groups=True)
    same(call.get_rooms(query="no such room"), {})
    same(call.update_room("py-atrium", "The Hall", "Closed floor", owners=[mira], public=False), True)
    room = call.get_room("py-atrium")
    same((room["naturalName"], room["publicRoom"], room["members"]), ("The Hall", False, []))
    assert "py-atrium" not in call.get_rooms() and "py-atrium" in call.get_rooms(typeof="all")
    for ask in (call.get_room, call.get_room_participants, call.get_room_occupants, call.get_room_message_history, call.delete_room):
        refused(gone, ask, "py-nowhere", status=404)
    same(call.get_room_participants("py-atrium"), [])
    same(call.get_room_occupants("py-atrium"), [])
    same(call.get_room_message_history("py-atrium"), [])

    for role in ROLES:
        same(call.grant_user_role("py-atrium", "py-ada", role), True)
        assert f"py-ada@{DOMAIN}" in call.get_users_with_role("py-atrium", role)
    same(call.revoke_user_role("py-atrium", "py-ada", "outcasts"), True)
    for role in ROLES:
        same(call.grant_group_role("py-atrium", "Py Ops", role), True)
        same(call.revoke_group_role("py-atrium", "Py Ops", role), True)
        same(call.bulk_grant_users_role("py-atrium", role, [f"py-ada@{DOMAIN}"]), True)
        assert f"py-ada@{DOMAIN}" in call.get_users_with_role("py-atrium", role)
    same(call.replace_users_with_role("py-atrium", "members", [tobias]), True)
    same(call.get_users_with_role("py-atrium", "members"), [tobias])
    same(call.invite("py-atrium", "py-mira", reason="Come by"), True)
    same(call.bulk_invite("py-atrium", ["py-mira", tobias, "Py Ops"], reason="Come by"), True)

    results = call.bulk_add_rooms([{"roomName": f"py-room{i}", "naturalName": f"Room {i}", "description": "", "persistent": True, "owners": [mira]} for i in range(3)])
    same([r["roomName"] for r in results["success"]], [f"py-room{i}" for i in range(3)])
    same((results["failure"], results["other"]), ([], []))
    for i in range(3):
        same(call.delete_room(f"py-room{i}"), True)
    same(call.add_chat_service("py-workshop", "Small rooms"), True)
    refused(exceptions.AlreadyExistsException, call.add_chat_service, "py-workshop", "x", status=409)
    assert {"conference", "py-workshop"} <= {service["serviceName"] for service in call.get_chat_services()}


def system(api):
    call = api.system
    same(call.add_prop("py.motto", "be kind"), True)
    same(call.get_prop("py.motto"), "be kind")
    same(call.update_prop("py.motto", "be quick"), True)
    same(call.get_props()["py.motto"], "be quick")
    same(call.delete_prop("py.motto"), True)
    for ask in (call.get_prop, call.delete_prop):
        refused(exceptions.PropertyNotFoundException, ask, "py.motto", status=404)
    refused(exceptions.PropertyNotFoundException, call.update_prop, "py.motto", "x", status=404)
    same(sorted(call.get_concurrent_sessions()), ["clusterSessions", "localSessions"])
    for check in (call.check_liveness, call.check_deadlock_liveness, call.check_properties_liveness, call.check_readiness, call.check_server_readiness,
                  call.check_cluster_readiness, call.check_plugins_readiness, call.check_connections_readiness):
        same(check(), True)
    same(call.check_connections_readiness("SOCKET_C2S", False), True)
    same(call.check_connections_readiness("NONSENSE", False), False)


def sessions(api):
    call = api.sessions
    same(call.get_user_sessions("py-mira"), [])
    assert isinstance(call.get_sessions(), list)
    same(call.close_user_sessions("py-mira"), True)


def messages(api):
    same(api.messages.send_broadcast("Back at nine"), True)
    same(api.messages.get_unread_messages(f"py-mira@{DOMAIN}"), 2)  # the invitations to the room


def security(api):
    call = api.security
    hour = timedelta(hours=1)
    log = call.get_audit_logs(start_time=datetime.now() - hour, end_time=datetime.now() + hour, limit=1000)
    made = [entry for entry in log if entry["summary"] == "created new user py-mira"]
    assert made and abs(datetime.now() - made[0]["timestamp"]) < hour, log
    same([entry["logId"] for entry in call.get_audit_logs(username=made[0]["username"], offset=1, limit=1)], [call.get_audit_logs(username=made[0]["username"])[1]["logId"]])
    same(call.get_audit_logs(username="py-nobody"), [])


def clustering(api):
    call = api.clustering
    assert call.get_status() in ("SENIOR AND ONLY MEMBER", "Senior member", "Junior member", "Starting up", "Disabled")
    assert isinstance(call.get_nodes(), dict)
    refused(exceptions.ClusterNodeNotFoundException, call.get_node, "py-node", status=404)


def strangers(_):
    for auth in ("guess", ("py-mira", "another")):
        refused(exceptions.ImproperlyConfiguredException, OpenfireRestApiClient(HOST, auth).users.get_users, status=401)


def before():
    api = Client()
    for part in (users, groups, rooms, system, sessions, messages, security, clustering, strangers):
        part(api)
    same(api.left_out(), {})


def after():
    api = Client()
    same(api.users.get_user("py-mira")["properties"], {"desk": "12", "team": "south"})
    same(api.groups.get_group("Py Ops")["members"], ["ada@other.example", f"py-tobias@{DOMAIN}"])
    same(api.rooms.get_room("py-atrium")["naturalName"], "The Hall")
    same(api.rooms.delete_room("py-atrium"), True)
    same(api.groups.delete_group("Py Ops"), True)
    same(api.users.delete_user("py-mira"), True)


if __name__ == "__main__":
    {"before": before, "after": after}[sys.argv[1]]()
