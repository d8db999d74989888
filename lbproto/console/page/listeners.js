// Who is called, by the name of what happens.

export class Listeners {
  #byName = new Map();

  /** Returns what takes the listener away again. */
  add(name, listener) {
    const those = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, those.add(listener));
    return () => those.delete(listener);
  }

  tell(name, ...args) {
    for (const listener of this.#byName.get(name) ?? []) listener(...args);
  }
}
