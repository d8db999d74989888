// AsyncAPI's official parser on documents in files, which are its arguments.
//
// Prints one JSON line for each: {problems, version, channels, operations, messages}. Problems are
// what the parser has to say, the other things the names of what it has found.

import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const parser = new Parser();
for (const path of process.argv.slice(2)) {
  const { document, diagnostics } = await parser.parse(await readFile(path, "utf8"));
  const problems = diagnostics.map(({ code, severity, message, path }) => ({
    code,
    severity, // 0 for an error, 1 for a warning; 2 and 3 are hints
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
}
