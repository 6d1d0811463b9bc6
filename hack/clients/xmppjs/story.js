// The story of an account, told with @xmpp/client: `node story.js before`, a restart of the server, `node story.js after`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { client, xml } from "@xmpp/client";

const { XMPP_DOMAIN: domain, XMPP_ADDR: address, REST_URL, REST_SECRET, KUBECTL } = process.env;
const limit = 15_000;
const muc = "http://jabber.org/protocol/muc";

// A logged-in client that remembers what arrives.
class Client {
  constructor(name, password) {
    this.jid = `${name}@${domain}`;
    this.arrived = [];
    this.waiting = [];
    this.xmpp = client({ service: `xmpp://${address}`, domain, username: name, password, resource: "node" });
    this.xmpp.reconnect.stop();
    this.errors = [];
    this.xmpp.on("error", (error) => this.errors.push(error));
    this.closed = new Promise((resolve) => this.xmpp.on("disconnect", resolve));
    this.xmpp.on("stanza", (stanza) => {
      this.arrived.push(stanza);
      this.waiting.splice(0).forEach((wake) => wake());
    });
  }

  async login() {
    await within(this.xmpp.start(), `${this.jid} was not let in`);
    await this.xmpp.send(xml("presence"));
    return this;
  }

  async next(what, want) {
    const look = async () => {
      for (;;) {
        while (this.arrived.length > 0) {
          const stanza = this.arrived.shift();
          if (want(stanza)) return stanza;
        }
        await new Promise((resolve) => this.waiting.push(resolve));
      }
    };
    return within(look(), `${this.jid} got no ${what}`);
  }

  presence(type, sender) {
    return this.next(`presence ${type ?? "available"} from ${sender}`, (s) =>
      s.is("presence") && s.attrs.type === type && s.attrs.from.split("/")[0] === `${sender}@${domain}`);
  }

  hear(text) {
    return this.next(`message ${text}`, (s) => s.is("message") && s.getChildText("body") === text);
  }

  // What one occupant of a room is, with a status code or without.
  occupant(address, role, code) {
    return this.next(`presence of ${address} as ${role} with ${code}`, (s) => {
      const x = s.getChild("x", `${muc}#user`);
      return s.is("presence") && s.attrs.from === address && x?.getChild("item")?.attrs.role === role &&
        (!code || x.getChildren("status").some((status) => status.attrs.code === code));
    });
  }

  failure(from, condition) {
    return this.next(`${condition} from ${from}`, (s) =>
      s.attrs.from === from && s.attrs.type === "error" && s.getChild("error").getChild(condition));
  }

  send(stanza) {
    return this.xmpp.send(stanza);
  }

  set(address, payload) {
    return within(this.xmpp.iqCaller.set(payload, address), `${this.jid} got no answer from ${address}`);
  }

  get(address, payload) {
    return within(this.xmpp.iqCaller.get(payload, address), `${this.jid} got no answer from ${address}`);
  }

  async roster() {
    const query = await within(this.xmpp.iqCaller.get(xml("query", "jabber:iq:roster")), `${this.jid} got no roster`);
    return Object.fromEntries(query.getChildren("item").map((item) => [item.attrs.jid, item.attrs.subscription]));
  }
}

function within(promise, message) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(message)), limit); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function kubectl(args, input) {
  execFileSync(KUBECTL, ["--namespace=chat", ...args], { input, stdio: ["pipe", "ignore", "inherit"] });
}

async function rest(method, path, body) {
  const response = await fetch(REST_URL + path, {
    method, body: body && JSON.stringify(body),
    headers: { Authorization: REST_SECRET, "Content-Type": "application/json", Accept: "application/json" },
  });
  return response.status;
}

const to = (name) => name.replace(/(?=\/|$)/, `@${domain}`);
const subscription = (type, name) => xml("presence", { type, to: to(name) });
const message = (name, body) => xml("message", { type: "chat", to: to(name) }, xml("body", {}, body));

const items = "http://jabber.org/protocol/disco#items";
const service = `conference.${domain}`, hall = `node-hall@${service}`;
const field = (name, value) => xml("field", { var: name }, xml("value", {}, value));
const configuration = (...fields) => xml("query", `${muc}#owner`,
  xml("x", { xmlns: "jabber:x:data", type: "submit" }, field("FORM_TYPE", `${muc}#roomconfig`), ...fields));

// Mira makes a room, configures and moderates it, and leaves it to Tobias.
async function rooms(mira, tobias) {
  const room = `node@${service}`;
  const enter = (nick) => xml("presence", { to: `${room}/${nick}` }, xml("x", muc));
  const leave = (nick) => xml("presence", { to: `${room}/${nick}`, type: "unavailable" });
  const say = (body) => xml("message", { to: room, type: "groupchat" }, xml("body", {}, body));
  const item = (attrs) => xml("query", `${muc}#admin`, xml("item", attrs));

  const services = await mira.get(domain, xml("query", items));
  assert.ok(services.getChildren("item").some((i) => i.attrs.jid === service), `no rooms among ${services}`);
  await mira.send(enter("mira"));
  await mira.occupant(`${room}/mira`, "moderator", "201");
  await mira.set(room, configuration(field("muc#roomconfig_roomname", "Node"), field("muc#roomconfig_moderatedroom", "1")));
  const listed = await tobias.get(service, xml("query", items));
  assert.ok(listed.getChildren("item").some((i) => i.attrs.jid === room && i.attrs.name === "Node"), `the room is not listed: ${listed}`);

  await mira.send(say("before you came"));
  await mira.hear("before you came");
  await tobias.send(enter("tobias"));
  await tobias.occupant(`${room}/mira`, "moderator");
  await tobias.occupant(`${room}/tobias`, "visitor", "110");
  await tobias.hear("before you came");
  await tobias.next("subject", (s) => s.is("message") && s.getChild("subject"));

  await tobias.send(say("may I?"));
  await tobias.failure(room, "forbidden");
  await mira.set(room, item({ nick: "tobias", role: "participant" }));
  await tobias.occupant(`${room}/tobias`, "participant");
  await tobias.send(say("thank you <&> 👋"));
  await mira.hear("thank you <&> 👋");
  await mira.send(xml("message", { to: `${room}/tobias`, type: "chat" }, xml("body", {}, "between us")));
  await tobias.hear("between us");

  await mira.set(room, item({ nick: "tobias", role: "none" }));
  await tobias.occupant(`${room}/tobias`, "none", "307");
  await tobias.send(enter("tobias"));
  await tobias.occupant(`${room}/tobias`, "visitor", "110");
  await mira.set(room, item({ jid: tobias.jid, affiliation: "outcast" }));
  await tobias.occupant(`${room}/tobias`, "none", "301");
  await tobias.send(enter("tobias"));
  await tobias.failure(`${room}/tobias`, "forbidden");
  const outcasts = await mira.get(room, item({ affiliation: "outcast" }));
  assert.deepEqual(outcasts.getChildren("item").map((i) => i.attrs.jid), [tobias.jid]);
  await mira.set(room, item({ jid: tobias.jid, affiliation: "member" }));
  await tobias.send(enter("tobias"));
  await tobias.occupant(`${room}/tobias`, "participant", "110");
  await mira.send(leave("mira"));
  await tobias.occupant(`${room}/mira`, "none");
  await tobias.send(leave("tobias"));
  await tobias.occupant(`${room}/tobias`, "none", "110");

  await mira.send(xml("presence", { to: `${hall}/mira` }, xml("x", muc)));
  await mira.occupant(`${hall}/mira`, "moderator", "201");
  await mira.set(hall, configuration(field("muc#roomconfig_persistentroom", "1")));
  await mira.send(xml("presence", { to: `${hall}/mira`, type: "unavailable" }));
  await mira.occupant(`${hall}/mira`, "none", "110");
}

// The room that lasts is there after the restart, and Mira's, until she destroys it.
async function lasting(mira) {
  await mira.send(xml("presence", { to: `${hall}/mira` }, xml("x", muc)));
  const here = await mira.occupant(`${hall}/mira`, "moderator", "110");
  const x = here.getChild("x", `${muc}#user`);
  assert.equal(x.getChild("item").attrs.affiliation, "owner");
  assert.ok(!x.getChildren("status").some((s) => s.attrs.code === "201"), `made anew: ${here}`);
  await mira.set(hall, xml("query", `${muc}#owner`, xml("destroy")));
  await mira.occupant(`${hall}/mira`, "none");
  const listed = await mira.get(service, xml("query", items));
  assert.ok(!listed.getChildren("item").some((i) => i.attrs.jid === hall), `destroyed, and listed: ${listed}`);
}

async function before() {
  kubectl(["apply", "--filename=-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: [
    { apiVersion: "v1", kind: "Secret", metadata: { name: "node-mira" }, stringData: { password: "Mira's word" } },
    { apiVersion: "chat-operator.io/v1alpha1", kind: "ChatUser", metadata: { name: "node-mira" },
      spec: { locked: false, credentials: { secretRef: { name: "node-mira" } } } },
  ] }));
  kubectl(["wait", "--for=condition=Ready", "--timeout=10s", "chatuser/node-mira"]);
  assert.equal(await rest("POST", "/users", { username: "node-tobias", password: "Tobias's word" }), 201);
  const mira = await new Client("node-mira", "Mira's word").login();
  const tobias = await new Client("node-tobias", "Tobias's word").login();

  await mira.send(subscription("subscribe", "node-tobias"));
  await tobias.presence("subscribe", "node-mira");
  await tobias.send(subscription("subscribed", "node-mira"));
  await mira.presence("subscribed", "node-tobias");
  await mira.presence(undefined, "node-tobias");
  await tobias.send(subscription("subscribe", "node-mira"));
  await mira.presence("subscribe", "node-tobias");
  await mira.send(subscription("subscribed", "node-tobias"));
  await tobias.presence("subscribed", "node-mira");
  await tobias.presence(undefined, "node-mira");

  await mira.send(message("node-tobias", "Guten Morgen <&> 👋"));
  await tobias.hear("Guten Morgen <&> 👋");
  await tobias.send(message("node-mira", "ça va"));
  await mira.hear("ça va");

  // The connection breaks, and the library resumes the session (XEP-0198).
  const heard = [mira, tobias].map((c) => {
    const bodies = [];
    c.xmpp.on("stanza", (s) => s.is("message") && bodies.push(s.getChildText("body")));
    return bodies;
  });
  const resumed = new Promise((resolve) => mira.xmpp.streamManagement.on("resumed", resolve));
  mira.xmpp.reconnect.start();
  await mira.send(message("node-tobias", "into the tunnel"));
  mira.xmpp.socket.socket.destroy(); // the one under TLS
  for (let i = 0; i < 5; i++) await tobias.send(message("node-mira/node", `number ${i}`));
  await within(resumed, "mira's session was not resumed");
  mira.xmpp.reconnect.stop();
  await mira.send(message("node-tobias", "out of it"));
  await tobias.send(message("node-mira", "there you are"));
  await tobias.hear("out of it");
  await mira.hear("there you are");
  assert.deepEqual(heard, [[0, 1, 2, 3, 4].map((i) => `number ${i}`).concat("there you are"), ["into the tunnel", "out of it"]]);

  await rooms(mira, tobias);
  kubectl(["get", "chatroom", "node-hall"]);

  const wrong = new Client("node-mira", "another word");
  await assert.rejects(within(wrong.xmpp.start(), "no answer to a wrong password"), { condition: "not-authorized" });
  await Promise.all([mira, tobias].map((c) => c.xmpp.stop()));
}

async function after() {
  const mira = await new Client("node-mira", "Mira's word").login();
  assert.equal((await mira.roster())[to("node-tobias")], "both");
  const tobias = await new Client("node-tobias", "Tobias's word").login();
  await mira.presence(undefined, "node-tobias");
  await lasting(mira);

  kubectl(["patch", "chatuser", "node-mira", "--type=merge", '--patch={"spec":{"locked":true}}']);
  await within(mira.closed, "a locked account's session stays");
  assert.ok(mira.errors.some((e) => e.condition === "not-authorized"), `locked, and told ${mira.errors}`);
  assert.equal(await rest("DELETE", "/users/node-tobias"), 200);
  await within(tobias.closed, "a deleted account's session stays");
  kubectl(["delete", "chatuser,secret", "node-mira"]);
}

await { before, after }[process.argv[2]]();
process.exit(0);
