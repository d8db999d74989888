// A conversation: answers are written as they come.

import { h, text } from "./dom.js";
import { clip, number } from "./format.js";

const KEPT = 60; // bubbles
const LONGEST = 50_000; // characters of an answer

export function chatView({ connection, settings }) {
  const example = settings.examples?.chat ?? {};
  const conversationId = `console-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const bubbles = h("div", { class: "bubbles", role: "log", tabindex: "0", "aria-label": "Conversation" });
  const message = h("input", { id: "message", required: true, maxlength: 16_000, autocomplete: "off", value: example.message ?? "" });
  const stop = h("button", { type: "button", disabled: true, onclick: () => connection.request("cancel", { id: conversationId }) }, "Stop");
  const status = h("p", { class: "status", role: "status" }, "");

  function say(kind, words) {
    const bubble = h("div", { class: `bubble ${kind}` }, h("p", {}, words));
    bubbles.append(bubble);
    if (bubbles.children.length > KEPT) bubbles.firstChild.remove();
    bubbles.scrollTop = bubbles.scrollHeight;
    return bubble;
  }

  function ask(event) {
    event.preventDefault();
    if (connection.state !== "online") return void (status.textContent = "Connect first.");
    say("mine", message.value);
    let answer = null;
    connection.request("chat", { conversationId, message: message.value }, ({ event: name, data = {} }) => {
      if (name === "chat_typing") {
        status.textContent = "Typing…";
        stop.disabled = false;
      } else if (name === "chat_message") {
        answer ??= say("theirs", "");
        const words = answer.firstChild;
        if (words.textContent.length < LONGEST) words.textContent += text(data.delta);
        bubbles.scrollTop = bubbles.scrollHeight;
      } else if (name === "chat_stop_typing") {
        status.textContent = "";
        stop.disabled = true;
      } else if (name === "chat_response") {
        answer ??= say("theirs", "");
        if (data.sql) answer.append(h("details", {}, h("summary", {}, "The SQL that ran"), h("pre", { tabindex: "0" }, clip(data.sql, LONGEST))));
        answer.append(h("small", {}, `${number(data.tokens)} tokens`));
      } else if (name.endsWith("error") || name === "insufficient_credits") {
        say("failed", `${clip(data.code ?? name, 40)}: ${clip(data.message, 500)}`);
        stop.disabled = true;
      }
    });
    message.value = "";
  }

  return h("section", { class: "panel" }, h("h2", {}, "Chat"), bubbles, status,
    h("form", { onsubmit: ask, class: "row" }, h("div", { class: "field wide" }, h("label", { for: "message" }, "Question about the data"), message), h("button", { class: "primary" }, "Ask"), stop));
}
