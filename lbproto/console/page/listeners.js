// Who is called, by the name of what happens.

export class Listeners {
  #byName = new Map();

  add(name, listener) {
    this.#byName.set(name, [...(this.#byName.get(name) ?? []), listener]);
  }

  tell(name, ...args) {
    for (const listener of this.#byName.get(name) ?? []) listener(...args);
  }
}
