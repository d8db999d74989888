// The rooms this session is in, those it may join, and who comes and leaves.

import { h, show } from "./dom.js";
import { clip, number, time } from "./format.js";

const TOLD = 20;

export function roomsView({ connection, contract }) {
  const examples = contract.rooms.map((room) => room.example).filter(Boolean);
  const name = h("input", { id: "room", required: true, maxlength: 128, value: examples[0] ?? "", autocomplete: "off", class: "code" });
  const status = h("p", { class: "status", role: "status" });
  const mine = h("ul", { class: "rows" });
  const news = h("ul", { class: "rows quiet" });
  const joined = new Map();

  connection.onState(({ state }) => {
    if (state !== "offline") return;
    joined.clear();
    draw();
  });
  connection.onEvent(() => { joined.clear(); draw(); }, "session_lost");
  connection.onEvent(({ data }) => { joined.set(data?.room, data?.subscriberCount); draw(); }, "subscribed");
  connection.onEvent(({ data }) => { joined.delete(data?.room); draw(); }, "unsubscribed");
  connection.onEvent(({ data }) => tell(`${clip(data?.userId, 60)} joined ${clip(data?.room, 128)}`, data?.joinedAt), "user_joined_room");
  connection.onEvent(({ data }) => tell(`${clip(data?.userId, 60)} left ${clip(data?.room, 128)}`, data?.leftAt), "user_left_room");

  async function join(event) {
    event.preventDefault();
    if (connection.state !== "online") return void (status.textContent = "Connect first.");
    const answer = await connection.request("subscribe", { room: name.value });
    status.textContent = answer?.data?.code ? `${clip(answer.data.code, 40)}: ${clip(answer.data.message, 300)}` : "";
  }

  function tell(words, when) {
    news.prepend(h("li", {}, `${time(when)} ${words}`));
    if (news.children.length > TOLD) news.lastChild.remove();
  }

  function draw() {
    const rows = [...joined].map(([room, count]) => h("li", {}, h("code", {}, clip(room, 128)), h("span", { class: "tag" }, `${number(count)} in it`),
      h("button", { type: "button", "aria-label": `Leave ${clip(room, 128)}`, onclick: () => connection.request("unsubscribe", { room }) }, "Leave")));
    show(mine, rows.length ? rows : h("li", { class: "quiet" }, "In none but your own."));
  }

  draw();
  return h("section", { class: "panel" }, h("h2", {}, "Rooms"),
    h("form", { onsubmit: join, class: "row" }, h("div", { class: "field wide" }, h("label", { for: "room" }, "Room"), name), h("button", { class: "primary" }, "Join")), status,
    h("h3", {}, "You are in"), mine, h("h3", {}, "Rooms there can be"),
    h("ul", { class: "rows" }, contract.rooms.map((room) => h("li", {}, h("code", {}, clip(room.pattern, 128)), h("span", { class: "tag" }, room.plugin),
      room.automatic && h("span", { class: "tag" }, "joined by itself"), room.example && h("button", { type: "button", onclick: () => { name.value = room.example; name.focus(); } }, room.example)))),
    h("h3", {}, "Who comes and leaves"), news);
}
