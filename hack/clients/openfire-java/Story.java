import java.lang.reflect.Modifier;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.concurrent.Callable;

import javax.ws.rs.NotAuthorizedException;
import javax.ws.rs.ClientErrorException;
import javax.ws.rs.core.Response;

import org.igniterealtime.restclient.RestApiClient;
import org.igniterealtime.restclient.entity.AuthenticationToken;
import org.igniterealtime.restclient.entity.GroupEntity;
import org.igniterealtime.restclient.entity.MUCRoomEntity;
import org.igniterealtime.restclient.entity.RosterItemEntity;
import org.igniterealtime.restclient.entity.SystemProperty;
import org.igniterealtime.restclient.entity.UserEntity;
import org.igniterealtime.restclient.entity.UserGroupsEntity;
import org.igniterealtime.restclient.entity.UserProperty;
import org.igniterealtime.restclient.enums.SupportedMediaType;

/**
 * A program that manages Openfire with the official Java client, told to this server in XML and in JSON: {@code Story.java before}, a restart of
 * the server, {@code Story.java after}. Every call that the client has is made.
 */
public final class Story {
    static final String DOMAIN = System.getenv("XMPP_DOMAIN");
    static final Path SOURCE = Path.of("hack/clients/openfire-java/Story.java");

    final RestApiClient api;
    final String prefix;
    /**
     * In JSON the client knows the keys alone that lists had before version 1.3.0 of the plugin; and whether it can write a room at all then
     * is chance: its library minds the order in which Java lists the methods of the room's class.
     */
    final boolean xml;

    Story(SupportedMediaType media, AuthenticationToken token) {
        URI url = URI.create(System.getenv("REST_URL"));
        api = new RestApiClient("http://" + url.getHost(), url.getPort(), token, media);
        xml = media == SupportedMediaType.XML;
        prefix = "java-" + media.name().toLowerCase() + "-";
    }

    static void same(Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError("got  " + got + "\nwant " + want);
        }
    }

    static void status(Response answer, int want) {
        if (answer.getStatus() != want) {
            throw new AssertionError("got  " + answer + "\nwant " + want);
        }
    }

    static void refused(String exception, Callable<?> call) throws Exception {
        Object answer;
        try {
            answer = call.call();
        } catch (ClientErrorException e) {
            if (!e.getMessage().contains("exception=" + exception + ",")) {
                throw new AssertionError("want " + exception, e);
            }
            return;
        }
        throw new AssertionError("not refused with " + exception + ": " + answer);
    }

    void users() throws Exception {
        String mira = prefix + "mira", tobias = prefix + "tobias", nobody = prefix + "nobody";
        UserEntity user = new UserEntity(mira, "Mira Okafor", "mira@mail.example", "s3cr3t!");
        user.setProperties(List.of(new UserProperty("team", "north"), new UserProperty("desk", "12")));
        status(api.createUser(user), 201);
        status(api.createUser(user), 409);
        status(api.createUser(new UserEntity(tobias, null, null, "s3cr3t!")), 201);
        status(api.createUser(new UserEntity(nobody, null, null, null)), 400);
        same(shown(api.getUser(mira)), mira + " Mira Okafor mira@mail.example null [desk=12, team=north]");
        refused("UserNotFoundException", () -> api.getUser(nobody));
        user.setName("M. Okafor");
        user.setProperties(List.of(new UserProperty("team", "south")));
        status(api.updateUser(user), 200);
        same(shown(api.getUser(mira)), mira + " M. Okafor mira@mail.example null [team=south]");
        status(api.updateUser(new UserEntity(nobody, "x", null, null)), 404);
        var all = api.getUsers().getUsers();
        var found = api.getUsers(Map.of("search", prefix + "mi")).getUsers();
        if (xml) {
            same(all.stream().map(UserEntity::getUsername).filter(name -> name.startsWith(prefix)).toList(), List.of(mira, tobias));
            same(found.stream().map(Story::shown).toList(), List.of(shown(api.getUser(mira))));
        }
        status(api.lockoutUser(mira), 201);
        status(api.unlockUser(mira), 200);
        status(api.lockoutUser(nobody), 404);

        RosterItemEntity item = new RosterItemEntity(tobias + "@" + DOMAIN, "Tobi", 3);
        item.setGroups(List.of("Friends"));
        status(api.addRosterEntry(mira, item), 201);
        status(api.addRosterEntry(mira, item), 409);
        item.setGroups(List.of("Work", "Friends"));
        item.setSubscriptionType(1);
        status(api.updateRosterEntry(mira, item), 200);
        var roster = api.getRoster(mira).getRoster();
        if (xml) {
            same(roster.size(), 1);
            RosterItemEntity got = roster.get(0);
            same(got.getJid() + " " + got.getNickname() + " " + got.getSubscriptionType() + " " + got.getGroups(),
                item.getJid() + " Tobi 1 [Friends, Work]");
        }
        status(api.deleteRosterEntry(mira, item.getJid()), 200);
        status(api.deleteRosterEntry(mira, item.getJid()), 404);
        status(api.deleteUser(tobias), 200);
        status(api.deleteUser(tobias), 404);
    }

    static String shown(UserEntity user) {
        TreeSet<String> properties = new TreeSet<>();
        for (UserProperty p : user.getProperties()) {
            properties.add(p.getKey() + "=" + p.getValue());
        }
        return user.getUsername() + " " + user.getName() + " " + user.getEmail() + " " + user.getPassword() + " " + properties;
    }

    void groups() throws Exception {
        String mira = prefix + "mira", ops = prefix + "ops", night = prefix + "night";
        GroupEntity group = new GroupEntity(ops, "People on call", List.of(mira), List.of("ada@other.example", prefix + "tobias"));
        status(api.createGroup(group), 201);
        status(api.createGroup(group), 409);
        // As the client's own examples have it, without either list.
        status(api.createGroup(new GroupEntity(prefix + "day", "Day shift")), 201);
        status(api.createGroup(new GroupEntity("", "Nameless")), 400);
        same(shown(api.getGroup(ops)), ops + " People on call [" + mira + "@" + DOMAIN + "] [ada@other.example, " + prefix + "tobias@" + DOMAIN + "]");
        refused("GroupNotFoundException", () -> api.getGroup(prefix + "none"));
        group.setDescription("on call");
        group.setMembers(List.of("ada@other.example"));
        status(api.updateGroup(group), 200);
        same(shown(api.getGroup(ops)), ops + " on call [" + mira + "@" + DOMAIN + "] [ada@other.example]");
        status(api.updateGroup(new GroupEntity(prefix + "none", "x")), 404);
        var all = api.getGroups().getGroups();
        if (xml) {
            same(all.stream().map(GroupEntity::getName).filter(name -> name.startsWith(prefix)).toList(), List.of(prefix + "day", ops));
        }

        status(api.addUserToGroup(mira, night), 201);
        status(api.addUserToGroups(mira, new UserGroupsEntity(List.of(night, prefix + "day"))), 201);
        same(api.getUserGroups(mira).getGroupNames(), List.of(prefix + "day", night, ops));
        status(api.deleteUserFromGroup(mira, night), 200);
        status(api.deleteUserFromGroup(mira, prefix + "none"), 404);
        same(api.getUserGroups(mira).getGroupNames(), List.of(prefix + "day", ops));
        status(api.deleteGroup(night), 200);
        status(api.deleteGroup(prefix + "day"), 200);
        status(api.deleteGroup(night), 404);
    }

    static String shown(GroupEntity group) {
        return group.getName() + " " + group.getDescription() + " " + group.getAdmins() + " " + group.getMembers();
    }

    void rooms() throws Exception {
        String atrium = prefix + "atrium", ops = prefix + "ops", ada = "ada@other.example";
        MUCRoomEntity room = new MUCRoomEntity();
        room.setRoomName(atrium);
        room.setNaturalName("The Atrium");
        room.setDescription("Open floor");
        room.setSubject("Plants");
        room.setMaxUsers(40);
        room.setPersistent(true);
        room.setPublicRoom(true);
        room.setCreationDate(new Date());
        room.setModificationDate(new Date());
        room.setBroadcastPresenceRoles(List.of("moderator", "participant"));
        room.setOwners(List.of(prefix + "mira@" + DOMAIN));
        room.setMembers(List.of(prefix + "tobias@" + DOMAIN));
        room.setOwnerGroups(List.of(ops)); // those of the other affiliations it cannot read back
        status(api.createChatRoom(room), 201);
        status(api.createChatRoom(room), 409);
        MUCRoomEntity got = api.getChatRoom(atrium);
        same(got.getRoomName() + " " + got.getNaturalName() + " " + got.getDescription() + " " + got.getMaxUsers() + " " + got.isPersistent() + " " + got.isMembersOnly(),
            atrium + " The Atrium Open floor 40 true false");
        same(got.getOwners() + " " + got.getOwnerGroups() + " " + got.getMembers() + " " + got.getBroadcastPresenceRoles(),
            room.getOwners() + " [" + ops + "] " + room.getMembers() + " [moderator, participant]");
        if (Math.abs(got.getCreationDate().getTime() - System.currentTimeMillis()) > 300_000) {
            throw new AssertionError("created " + got.getCreationDate());
        }
        room.setNaturalName("The Hall");
        room.setModerated(true);
        status(api.updateChatRoom(room), 200);
        same(api.getChatRoom(atrium).getNaturalName() + api.getChatRoom(atrium).isModerated(), "The Halltrue");
        refused("RoomNotFoundException", () -> api.getChatRoom(prefix + "nowhere"));
        try {
            same(api.getChatRooms().getMucRooms().stream().anyMatch(r -> r.getRoomName().equals(atrium)), true);
        } catch (NullPointerException e) {
            // Its own: it cannot read a room whose admins are a group, and the sample has one.
            same(e.getMessage().contains("Collection.add"), true);
        }
        same(api.getChatRooms(Map.of("type", "all", "search", prefix + "atri")).getMucRooms().stream().map(MUCRoomEntity::getRoomName).toList(), List.of(atrium));
        var inside = api.getChatRoomParticipants(atrium).getParticipants();
        same(inside == null || inside.isEmpty(), true);

        status(api.addOwner(atrium, ada), 201);
        status(api.deleteOwner(atrium, ada), 200);
        status(api.addAdmin(atrium, ada), 201);
        status(api.deleteAdmin(atrium, ada), 200);
        status(api.addMember(atrium, ada), 201);
        status(api.deleteMember(atrium, ada), 200);
        status(api.addOutcast(atrium, ada), 201);
        status(api.deleteOutcast(atrium, ada), 200);
        status(api.deleteOutcast(atrium, ada), 409);
        status(api.addOwnerGroup(atrium, ops), 201);
        status(api.deleteOwnerGroup(atrium, ops), 200);
        status(api.addAdminGroup(atrium, ops), 201);
        status(api.deleteAdminGroup(atrium, ops), 200);
        status(api.addMemberGroup(atrium, ops), 201);
        status(api.deleteMemberGroup(atrium, ops), 200);
        status(api.addOutcastGroup(atrium, ops), 201);
        status(api.deleteOutcastGroup(atrium, ops), 200);
        status(api.deleteChatRoom(prefix + "nowhere"), 404);
    }

    void others() throws Exception {
        SystemProperty motto = new SystemProperty(prefix + "motto", "be kind");
        status(api.createSystemProperty(motto), 201);
        same(api.getSystemProperty(motto.getKey()).getValue(), "be kind");
        motto.setValue("be quick");
        status(api.updateSystemProperty(motto), 200);
        var properties = api.getSystemProperties().getProperties();
        if (xml) {
            same(properties.stream().filter(p -> p.getKey().equals(motto.getKey())).map(SystemProperty::getValue).toList(), List.of("be quick"));
        }
        status(api.deleteSystemProperty(motto.getKey()), 200);
        status(api.deleteSystemProperty(motto.getKey()), 404);
        refused("PropertyNotFoundException", () -> api.getSystemProperty(motto.getKey()));

        api.getSessions();
        var hers = api.getSessions(prefix + "mira").getSessions();
        same(hers == null || hers.isEmpty(), true);
        status(api.deleteSessions(prefix + "mira"), 200);
    }

    static void strangers(SupportedMediaType media) throws Exception {
        for (AuthenticationToken token : List.of(new AuthenticationToken("guess"), new AuthenticationToken("java-xml-mira", "guess"))) {
            try {
                new Story(media, token).api.getUsers();
            } catch (NotAuthorizedException e) {
                continue;
            }
            throw new AssertionError("a stranger got in");
        }
    }

    void after() throws Exception {
        same(shown(api.getUser(prefix + "mira")), prefix + "mira M. Okafor mira@mail.example null [team=south]");
        same(api.getGroup(prefix + "ops").getMembers(), List.of("ada@other.example"));
        if (xml) {
            same(api.getChatRoom(prefix + "atrium").getNaturalName(), "The Hall");
            status(api.deleteChatRoom(prefix + "atrium"), 200);
        }
        status(api.deleteGroup(prefix + "ops"), 200);
        status(api.deleteUser(prefix + "mira"), 200);
    }

    static void nothingLeftOut() throws Exception {
        String source = Files.readString(SOURCE);
        for (var method : RestApiClient.class.getDeclaredMethods()) {
            if (Modifier.isPublic(method.getModifiers()) && !method.getName().equals("getRestClient") && !source.contains("api." + method.getName() + "(")) {
                throw new AssertionError("not called: " + method.getName());
            }
        }
    }

    public static void main(String[] args) throws Exception {
        nothingLeftOut();
        for (SupportedMediaType media : SupportedMediaType.values()) {
            Story story = new Story(media, new AuthenticationToken(System.getenv("REST_SECRET")));
            if (args[0].equals("after")) {
                story.after();
                continue;
            }
            story.users();
            story.groups();
            if (story.xml) {
                story.rooms();
            }
            story.others();
            strangers(media);
        }
    }
}
