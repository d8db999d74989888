// What a server can be asked and what it sends, read from its AsyncAPI document.

const entries = (object) => Object.entries(object ?? {});

/** What a schema's values are called. */
export function typeOf(schema) {
  const types = (schema.anyOf ?? [schema]).map((each) => each.$ref?.split("/").pop() ?? each.type ?? (each.enum ? "one of some" : "anything"));
  return types.join(" or ");
}

export class Contract {
  #document;

  constructor(document) {
    this.#document = document;
    const operations = Object.values(document.operations ?? {}).map((operation) => this.#entry(operation));
    this.title = document.info?.title ?? "";
    this.requests = operations.filter((entry) => entry.isRequest);
    this.events = operations.filter((entry) => !entry.isRequest);
    this.rooms = entries(document.channels)
      .filter(([name]) => name.startsWith("room."))
      .map(([, channel]) => ({ ...channel["x-lbproto"], description: channel.description ?? "" }));
    this.plugins = [...new Set(operations.map((entry) => entry.plugin))];
  }

  /** Whether it can be asked that. */
  has(event) {
    return this.requests.some((entry) => entry.event === event);
  }

  /** A schema, with what it refers to in place of the reference. */
  resolve(schema) {
    const name = schema?.$ref?.split("/").pop();
    return (name === undefined ? schema : this.#document.components?.schemas?.[name]) ?? {};
  }

  #entry(operation) {
    const told = operation["x-lbproto"] ?? {};
    const schema = this.#document.components?.schemas?.[told.schema] ?? {};
    return {
      event: told.event ?? operation.title ?? "",
      isRequest: operation.action === "receive",
      plugin: told.plugin ?? "",
      summary: operation.summary ?? "",
      description: operation.description ?? "",
      price: told.price,
      job: told.job,
      overflow: told.overflow,
      schema,
    };
  }
}
