// The one socket of the page. It comes back by itself and says what it saw last; who is signed out is told so and left alone.
import { parseMessage, type Message } from "./messages";
import type { Link } from "./store";

export interface SocketParts {
  open(): WebSocket;
  // Whether the credentials are good: a browser does not say why a socket was refused.
  maySpeak(): Promise<"yes" | "no" | "unknown">;
  since(): string;
  take(message: Message): void;
  link(link: Link): void;
}

const FIRST_MS = 500;
const MOST_MS = 15_000;
const STABLE_MS = 10_000;
const HELLO_MS = 30_000;
const MAY_MS = 10_000; // for the answer whether the credentials are good
const LOOK_AGAIN_MS = 11_000; // the Worker counts ten seconds

export class LiveSocket {
  private socket: WebSocket | undefined;
  private attempt = 0;
  private ended = false;
  private turn = 0; // another one since: what waited has nothing to do any more
  private retry: ReturnType<typeof setTimeout> | undefined;
  private beat: ReturnType<typeof setInterval> | undefined;
  private unsynced = false;
  private look: ReturnType<typeof setTimeout> | undefined;
  private heard = 0;
  private follow: object | undefined;
  private measure: object | undefined;

  constructor(private readonly parts: SocketParts) {}

  start(): void {
    this.ended = false;
    clearTimeout(this.retry);
    this.connect();
  }

  // Now, not after the pause: the network is back, or the page is looked at again.
  hurry(): void {
    if (this.ended || this.socket !== undefined) return;
    this.attempt = 0;
    clearTimeout(this.retry);
    this.connect();
  }

  stop(): void {
    this.ended = true;
    ++this.turn;
    clearTimeout(this.retry);
    clearTimeout(this.look);
    clearInterval(this.beat);
    this.socket?.close(1000);
    this.socket = undefined;
  }

  // Live lines of a server; undefined: none any more. Said again after each reconnect.
  setFollow(follow: { namespace: string; server: string; node?: string } | undefined): void {
    this.follow = follow;
    if (this.socket?.readyState === WebSocket.OPEN) this.say(follow === undefined ? { type: "unfollow" } : { type: "follow", ...follow });
  }

  // What a server uses, or all of a node; undefined: none any more.
  setMeasure(measure: { namespace?: string; server?: string; node?: string } | undefined): void {
    this.measure = measure;
    if (this.socket?.readyState === WebSocket.OPEN) this.say(measure === undefined ? { type: "unmeasure" } : { type: "measure", ...measure });
  }

  private say(message: object): void {
    this.socket?.send(JSON.stringify(message));
  }

  // Who went through many views in a moment is told to wait: what is looked at now is asked for again when that is over.
  private lookAgain(socket: WebSocket, refusal: string): void {
    const what = /^(sync|follow|unfollow|measure|unmeasure): more than/.exec(refusal)?.[1];
    if (what === undefined) return;
    this.unsynced ||= what === "sync";
    clearTimeout(this.look);
    this.look = setTimeout(() => {
      if (this.socket !== socket) return;
      if (this.unsynced) this.say({ type: "sync", since: this.parts.since() });
      this.unsynced = false;
      if (this.follow !== undefined) this.say({ type: "follow", ...this.follow });
      if (this.measure !== undefined) this.say({ type: "measure", ...this.measure });
    }, LOOK_AGAIN_MS);
  }

  private connect(): void {
    ++this.turn;
    this.parts.link("connecting");
    const socket = this.parts.open();
    const opened = Date.now();
    this.socket = socket;
    // Also of one that does not answer to being closed: a browser waits a minute for that.
    const lose = (): void => {
      clearTimeout(patience);
      if (this.socket !== socket) return;
      this.socket = undefined;
      clearInterval(this.beat);
      socket.close(4000);
      if (this.ended) return;
      if (Date.now() - opened > STABLE_MS) this.attempt = 0;
      void this.comeBack();
    };
    // Somebody may take the connection and say nothing.
    const patience = setTimeout(lose, HELLO_MS);
    socket.onmessage = (event: MessageEvent<string>) => {
      if (this.socket !== socket) return;
      this.heard = Date.now();
      const message = parseMessage(event.data);
      if (message === undefined) return;
      if (message.type === "error") return this.lookAgain(socket, message.message);
      if (message.type === "hello") {
        clearTimeout(patience);
        this.greet((message.hints?.pingSeconds ?? 30) * 1000, lose);
      }
      this.parts.take(message);
    };
    socket.onclose = lose;
  }

  private greet(everyMs: number, lose: () => void): void {
    this.parts.link("live");
    this.say({ type: "sync", since: this.parts.since() });
    if (this.follow !== undefined) this.say({ type: "follow", ...this.follow });
    if (this.measure !== undefined) this.say({ type: "measure", ...this.measure });
    clearInterval(this.beat);
    this.beat = setInterval(() => {
      // A cable that was pulled closes nothing.
      if (Date.now() - this.heard > everyMs * 2.5) lose();
      else this.socket?.send("ping");
    }, everyMs);
  }

  private async comeBack(): Promise<void> {
    this.parts.link("lost");
    const turn = this.turn;
    // A request may hang for as long as the system waits for a machine that is gone.
    let bell: ReturnType<typeof setTimeout> | undefined;
    const may = await Promise.race([this.parts.maySpeak(), new Promise<"unknown">((resolve) => (bell = setTimeout(resolve, MAY_MS, "unknown")))]);
    clearTimeout(bell);
    if (turn !== this.turn) return;
    if (may === "no") {
      this.ended = true;
      this.parts.link("signed-out");
      return;
    }
    const most = Math.min(MOST_MS, FIRST_MS * 2 ** this.attempt++);
    this.retry = setTimeout(() => this.connect(), most / 2 + Math.random() * (most / 2));
  }
}
