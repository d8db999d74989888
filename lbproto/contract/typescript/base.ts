// What follows is the same for every contract.

export type EventName = keyof ServerToClientEvents;
export type RequestName = keyof typeof contract.requests;

/** What an event carries. */
export type Payload<K extends EventName> = Parameters<ServerToClientEvents[K]>[0];

/** An event that has come; its name tells what it carries. */
export type Told<K extends EventName> = { [E in K]: { event: E; data: Payload<E> } }[K];

type Requests = typeof contract.requests;
type Stage<E extends RequestName, S extends string> = Requests[E] extends {
  job: { readonly [N in S]: infer K extends EventName };
}
  ? K
  : never;

/** Requests that are served as jobs, with an event that tells of their success. */
export type JobName = {
  [E in RequestName]: [Stage<E, "success">] extends [never] ? never : E;
}[RequestName];

/** What a job tells, its success included; it fails by a `RequestFailed`. */
export type JobEvent<E extends JobName> = Told<
  Stage<E, "start"> | Stage<E, "progress"> | Stage<E, "output"> | Stage<E, "beforeTerminal"> | Stage<E, "success">
>;

type AnswerName<E extends RequestName> = Requests[E]["answers"][number] & EventName;
type FirstName<E extends RequestName> =
  | AnswerName<E>
  | Stage<E, "start">
  | Stage<E, "progress">
  | Stage<E, "output">
  | Stage<E, "success">;

/** What a request is answered with: undefined where it is only acknowledged. */
export type Answer<E extends RequestName> = [FirstName<E>] extends [never] ? undefined : Payload<FirstName<E>>;

export interface Refusal {
  code: ErrorCode;
  message: string;
  /** Whole seconds. */
  retryAfter?: number;
}

/** What became of a request; `event` is the first that answers it, if any does. */
export type Acknowledgement<E extends RequestName> =
  | { ok: true; event?: FirstName<E>; data?: Payload<FirstName<E>> }
  | { ok: false; error: Refusal };

/** The arguments of a request: its payload may be left out where all of it may. */
export type Asking<E extends RequestName> =
  | ({} extends RequestPayloads[E] ? [] : never)
  | [data: RequestPayloads[E]]
  | [data: RequestPayloads[E], acknowledge: (answer: Acknowledgement<E>) => void];

/** `ClientToServerEvents` for `emitWithAck`: every request asks for an acknowledgement. */
export type AcknowledgedEvents = {
  [E in RequestName]: (data: RequestPayloads[E], acknowledge: (answer: Acknowledgement<E>) => void) => void;
};

/** The server has refused a request, or a job has failed. */
export class RequestFailed extends Error {
  override readonly name = "RequestFailed";
  readonly request: RequestName;
  readonly code: ErrorCode;
  /** Seconds after which it may succeed. */
  readonly retryAfter: number | undefined;
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean;

  constructor(request: RequestName, refusal: Refusal) {
    super(refusal.message);
    this.request = request;
    this.code = refusal.code;
    this.retryAfter = refusal.retryAfter;
    // A newer server may have a code that this file does not know.
    this.retryable = (contract.codes as Record<string, { retryable: boolean }>)[refusal.code]?.retryable ?? false;
  }
}

/** Nobody knows what became of a request: its time was up, or the connection was lost. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  readonly request: RequestName;
  readonly reason: "timeout" | "disconnect" | "closed";

  constructor(request: RequestName, reason: "timeout" | "disconnect" | "closed", message: string) {
    super(message);
    this.request = request;
    this.reason = reason;
  }
}
