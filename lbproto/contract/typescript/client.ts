// The client on top of them.

export interface ClientOptions {
  /** Milliseconds that an answer, or a job's first event, may take; by default 20,000. */
  timeout?: number;
  /** Milliseconds that jobs wait for a connection, the first or one that is lost; by default 120,000. */
  patience?: number;
}

export interface JobOptions {
  /** As of `ClientOptions`; by default without end where jobs wait for others. */
  timeout?: number;
  /** Cancels the job. */
  signal?: AbortSignal;
}

type Data = Record<string, unknown>;
type Heard = { ok: true; event?: string; data?: Data } | { ok: false; error: Refusal };

/** What a client uses of a socket, whatever its events are. */
interface Wire {
  readonly active: boolean;
  readonly connected: boolean;
  readonly recovered: boolean;
  emit(event: string, data: Data, acknowledge?: (answer: Heard) => void): void;
  timeout(milliseconds: number): {
    emit(event: string, data: Data, acknowledge: (error: Error | null, answer: Heard) => void): void;
  };
  on(event: string, listener: () => void): void;
  off(event: string, listener: () => void): void;
  onAny(listener: (event: string, data: Data) => void): void;
  offAny(listener: (event: string, data: Data) => void): void;
}

/** A job's stages, as they are looked at while the program runs. */
interface Lifecycle {
  readonly id: string;
  readonly group?: string;
  readonly waiting?: number;
  readonly start?: string;
  readonly progress?: string;
  readonly output?: string;
  readonly beforeTerminal?: string;
  readonly success?: string;
  readonly failure: string;
}

const LONGEST = 2 ** 31 - 1; // milliseconds that a timer can take

function ask(
  wire: Wire,
  request: RequestName,
  event: string,
  data: Data,
  timeout: number,
  settled: (failure: Error | undefined, event?: string, data?: Data) => void,
): void {
  wire.timeout(Math.min(timeout, LONGEST)).emit(event, data, (error, answer) => {
    if (error !== null) {
      const reason = error.message.includes("timed out") ? "timeout" : "disconnect";
      settled(new NoAnswer(request, reason, `${event}: ${error.message}`));
    } else if (answer.ok) {
      settled(undefined, answer.event, answer.data);
    } else {
      settled(new RequestFailed(request, answer.error));
    }
  });
}

/**
 * One job: iterate over it for what it tells, to its end. It fails by throwing there, and is cancelled
 * where the iteration is left early. It is told to one iteration only.
 */
export class Job<E extends JobName> implements AsyncIterable<JobEvent<E>> {
  readonly request: E;
  readonly #wire: Wire;
  readonly #lifecycle: Lifecycle;
  readonly #group: unknown;
  readonly #stages: ReadonlySet<string>;
  readonly #timeout: number;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = (): void => this.cancel();
  readonly #told: JobEvent<E>[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake: () => void = () => {};
  #id: string | undefined;
  #heard = 0; // events so far
  #isAccepted = false;
  #isClosing = false; // what comes before the end has come
  #isCancelled = false;
  #isCancelSent = false;
  #isOver = false;
  #failure: Error | undefined;
  #success: Payload<Stage<E, "success">> | undefined;

  /** Made by `Client.job`. */
  constructor(wire: Wire, request: E, data: RequestPayloads[E], options: JobOptions, timeout: number) {
    const lifecycle = (contract.requests[request] as unknown as { job: Lifecycle }).job;
    const { start, progress, output, beforeTerminal, success, failure } = lifecycle;
    const stages = [start, progress, output, beforeTerminal, success, failure];
    this.request = request;
    this.#wire = wire;
    this.#lifecycle = lifecycle;
    this.#group = lifecycle.group === undefined ? undefined : (data as unknown as Data)[lifecycle.group];
    this.#stages = new Set(stages.filter((stage): stage is string => stage !== undefined));
    this.#timeout = timeout;
    const limit = options.timeout ?? (lifecycle.waiting === undefined ? timeout : Infinity);
    if (limit < LONGEST) {
      const late = (): void => this.fail(new NoAnswer(request, "timeout", `${request}: it has not begun in time`));
      this.#timer = setTimeout(late, limit);
    }
    wire.emit(request, data as unknown as Data, (answer) => this.#settle(answer));
    this.#signal = options.signal;
    this.#signal?.addEventListener("abort", this.#abort);
    if (this.#signal?.aborted) this.cancel();
  }

  /** What `cancel` and `attach` take; undefined until an event has told it. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Whether its end is known here. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Have the server end it: it fails with the code `CANCELLED`, unless it has just succeeded. While its id
   * is not known yet, it is ended by its group, if it has one, together with others of that.
   */
  cancel(): void {
    if (this.#isCancelled || this.#isOver) return;
    this.#isCancelled = true;
    if (this.#isAccepted) this.#sendCancel();
  }

  /** What its last event carries; what is told before that is passed over. */
  async result(): Promise<Payload<Stage<E, "success">>> {
    for await (const _ of this);
    return this.#success as Payload<Stage<E, "success">>;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<JobEvent<E>, void, void> {
    try {
      for (;;) {
        for (let told = this.#told.shift(); told !== undefined; told = this.#told.shift()) yield told;
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#isOver) return;
        await new Promise<void>((wake) => (this.#wake = wake));
      }
    } finally {
      this.cancel();
    }
  }

  /** For `Client`: an event has come, of this job or of another. */
  hear(event: string, data: Data): void {
    const { success, failure, beforeTerminal } = this.#lifecycle;
    if (!this.#isAccepted || this.#isOver || !this.#stages.has(event) || !this.#isOwn(event, data)) return;
    this.#heard += 1;
    if (event === beforeTerminal) this.#isClosing = true;
    if (event === failure) return this.fail(new RequestFailed(this.request, data as unknown as Refusal));
    this.#told.push({ event, data } as unknown as JobEvent<E>);
    if (event === success) this.#end(undefined, data as unknown as Payload<Stage<E, "success">>);
    else this.#wake();
    if (this.#isCancelled && !this.#isOver) this.#sendCancel();
  }

  /** For `Client`: it will tell no more. */
  fail(error: Error): void {
    if (!this.#isOver) this.#end(error);
  }

  /** For `Client`: the connection is gone, and with it the acknowledgement. */
  disconnect(): void {
    if (!this.#isAccepted) this.fail(this.#lost("it is not known to have begun"));
  }

  /** For `Client`: the session is another one, or has lost what it was told; so the job has to be taken up. */
  attach(): void {
    if (!this.#isAccepted || this.#isOver) return;
    if (this.#id === undefined) return this.fail(this.#lost("its id was not told yet"));
    const after = this.#heard;
    ask(this.#wire, this.request, "attach", { id: this.#id, after }, this.#timeout, (error, _, attached) => {
      if (error !== undefined) this.fail(error);
      else if (Number(attached?.["after"]) !== after) this.fail(this.#lost("some of it is not kept any more"));
    });
  }

  #end(failure: Error | undefined, success?: Payload<Stage<E, "success">>): void {
    this.#isOver = true;
    this.#failure = failure;
    this.#success = success;
    this.#signal?.removeEventListener("abort", this.#abort);
    clearTimeout(this.#timer);
    this.#wake();
  }

  #settle(answer: Heard): void {
    clearTimeout(this.#timer);
    if (!answer.ok) return this.fail(new RequestFailed(this.request, answer.error));
    this.#isAccepted = true;
    const { event, data } = answer;
    if (event === undefined || data === undefined) return;
    if (!this.#isOver) this.hear(event, data);
    else if (this.#isOwn(event, data) && this.#id !== undefined) this.#sendCancel(); // nobody waits any more
  }

  #lost(why: string): NoAnswer {
    return new NoAnswer(this.request, "disconnect", `${this.request}: the connection was lost, and ${why}`);
  }

  #sendCancel(): void {
    const id = this.#id ?? this.#group;
    if (this.#isCancelSent || id === undefined) return;
    this.#isCancelSent = true;
    this.#wire.emit("cancel", { id });
  }

  /** Whether an event of this kind tells of this job: by its id, or by its group, of which one runs at a time. */
  #isOwn(event: string, data: Data): boolean {
    const { id, group, failure, beforeTerminal } = this.#lifecycle;
    const named = data[id];
    if (typeof named === "string" && this.#id !== undefined) return named === this.#id;
    if (group !== undefined && data[group] !== this.#group) return false;
    if (typeof named === "string") this.#id = named;
    else if (event === failure && beforeTerminal !== undefined) return this.#isClosing; // else another's refusal
    return true;
  }
}

/**
 * Typed requests and jobs over a stock socket. Every request settles: with its answer, or by a
 * `RequestFailed` or a `NoAnswer`. Other events are the socket's own: `socket.on("connected", …)`.
 */
export class Client {
  readonly socket: Socket<ServerToClientEvents, ClientToServerEvents>;
  readonly #wire: Wire;
  readonly #timeout: number;
  readonly #patience: number;
  readonly #jobs = new Set<Job<JobName>>();
  #waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket<ServerToClientEvents, ClientToServerEvents>, options: ClientOptions = {}) {
    this.socket = socket;
    this.#wire = socket as unknown as Wire;
    this.#timeout = options.timeout ?? 20_000;
    this.#patience = options.patience ?? 120_000;
    this.#wire.onAny(this.#hear);
    this.#wire.on("connect", this.#connected);
    this.#wire.on("disconnect", this.#disconnected);
    this.#wire.on("connect_error", this.#refused);
  }

  /** Ask for something that is answered at once. */
  request<E extends Exclude<RequestName, JobName>>(
    event: E,
    ...[data]: {} extends RequestPayloads[E] ? [data?: RequestPayloads[E]] : [data: RequestPayloads[E]]
  ): Promise<Answer<E>> {
    return new Promise((resolve, reject) => {
      ask(this.#wire, event, event, (data ?? {}) as unknown as Data, this.#timeout, (error, _, told) => {
        if (error === undefined) resolve(told as unknown as Answer<E>);
        else reject(error);
      });
    });
  }

  /** Ask for something that takes long. */
  job<E extends JobName>(event: E, data: RequestPayloads[E], options: JobOptions = {}): Job<E> {
    const job = new Job(this.#wire, event, data, options, this.#timeout);
    this.#jobs.add(job as unknown as Job<JobName>);
    if (!this.#wire.connected) this.#wait();
    return job;
  }

  /** Listen to the socket no more; jobs that are not over fail here, and go on at the server. */
  close(): void {
    this.#wire.offAny(this.#hear);
    this.#wire.off("connect", this.#connected);
    this.#wire.off("disconnect", this.#disconnected);
    this.#wire.off("connect_error", this.#refused);
    this.#fail("closed", "the client was closed");
  }

  readonly #hear = (event: string, data: Data): void => {
    if (event === "answers_lost") this.#attach();
    for (const job of this.#jobs) {
      if (!job.isOver) job.hear(event, data ?? {});
      if (job.isOver) this.#jobs.delete(job);
    }
  };

  readonly #connected = (): void => {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    if (!this.#wire.recovered) this.#attach();
  };

  readonly #disconnected = (): void => {
    for (const job of this.#jobs) job.disconnect();
    this.#refused();
  };

  readonly #refused = (): void => {
    if (!this.#wire.active) return this.#fail("disconnect", "the connection is closed");
    this.#wait();
  };

  #attach(): void {
    for (const job of this.#jobs) job.attach();
  }

  /** Jobs fail in a while, unless there is a connection until then. */
  #wait(): void {
    this.#waiting ??= setTimeout(
      () => this.#fail("disconnect", "there is no connection"),
      Math.min(this.#patience, LONGEST),
    );
  }

  #fail(reason: "disconnect" | "closed", message: string): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    for (const job of this.#jobs) job.fail(new NoAnswer(job.request, reason, `${job.request}: ${message}`));
    this.#jobs.clear();
  }
}
