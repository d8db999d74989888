// AsyncAPI's official parser on a document that comes in on standard input.
//
// Prints one JSON line: {problems, version, channels, operations, messages}; problems are errors and
// warnings of the parser, the other things the names of what it has found.

import { text } from "node:stream/consumers";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
const problems = diagnostics.map(({ code, severity, message, path }) => ({
  code,
  severity,
  message,
  path: path.join("."),
}));
const found = document && {
  version: document.version(),
  channels: document.channels().all().map((channel) => channel.address()),
  operations: document.operations().all().map((operation) => operation.id()),
  messages: document.allMessages().all().map((message) => message.name()),
};
console.log(JSON.stringify({ problems, ...found }));
