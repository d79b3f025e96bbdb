// The fleet as the browser knows it: one store, fed by the socket and by what is desired, read by every view. Changes are taken in at
// once and told at most every FLUSH_MS: a table of ten thousand rows is made anew four times a second at most, whatever comes in.
// What is kept is bounded by what there is: a node that goes takes its servers along.
import type { FeedNode, ObjectRow, ServerSummary } from "../api/client";
import type { FeedDelta, FeedState, Message } from "./messages";
import { byName } from "../lib/natural";
import { DeclaredNodes } from "./placement";
import { type NodeRow, nodeRow, type OnNode, type ServerRow, serverRow } from "./rows";

export type Link = "connecting" | "live" | "lost" | "signed-out";

export interface Fleet {
  link: Link;
  synced: boolean; // the first state is whole
  desiredKnown: boolean;
  desiredError: Error | undefined; // why the newest version could not be read, while that is tried again
  head: { order: string; snapshot: string; signed: boolean } | undefined;
  servers: readonly ServerRow[]; // by namespace and name
  nodes: readonly NodeRow[]; // by name
  frozen: boolean;
  alertsAt: number; // changes when alerts do
  updatedAt: number; // milliseconds; of the last message
}

export const FLUSH_MS = 250;
const keyOf = (server: { namespace: string; name: string }): string => `${server.namespace}/${server.name}`;
// As far as places make them.
const isSame = (a: ServerRow, b: ServerRow): boolean =>
  a.health === b.health && a.reason === b.reason && a.message === b.message && a.ready === b.ready && a.total === b.total && a.restarts === b.restarts && a.generations.join() === b.generations.join() && a.missing.join() === b.missing.join();

export class FleetStore {
  private readonly nodes = new Map<string, FeedNode>();
  private readonly reported = new Map<string, Map<string, ServerSummary>>(); // node → server key → summary
  private readonly where = new Map<string, Set<string>>(); // server key → nodes
  private readonly desired = new Map<string, ObjectRow>(); // "MCPServer/default/weather"
  private readonly ages = new Map<string, number>(); // as `desired`: when this generation came, in milliseconds
  private desiredSeen = false;
  private declared = new DeclaredNodes();
  private readonly rows = new Map<string, ServerRow>();
  private readonly dirty = new Set<string>();
  private order: string[] | undefined; // of the keys of `rows`; undefined: one came or went
  private nodesDirty = true;
  private down = new Set<string>();
  private readonly moved = new Set<string>(); // nodes that came, went or turned: who is placed there may have a place more or less
  private redeclared = false;
  private known: Map<string, boolean> | undefined; // nodes that have come: whether each is away. undefined: to be made anew
  private stamp = 0;
  private cursor = "";
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private fleet: Fleet = {
    link: "connecting",
    synced: false,
    desiredKnown: false,
    desiredError: undefined,
    head: undefined,
    servers: [],
    nodes: [],
    frozen: false,
    alertsAt: 0,
    updatedAt: 0,
  };
  private pending: Partial<Fleet> = {};

  constructor(private readonly now: () => number = Date.now) {}

  // For useSyncExternalStore.
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  readonly current = (): Fleet => this.fleet;

  // What to say as `since` when the socket is back.
  get since(): string {
    return this.cursor;
  }

  setLink(link: Link): void {
    this.pending.link = link;
    this.flush();
  }

  take(message: Message): void {
    this.pending.updatedAt = this.now();
    switch (message.type) {
      case "hello":
        this.setDown(message.down.nodes, message.down.frozen);
        break;
      case "down":
        this.setDown(message.nodes, message.frozen);
        break;
      case "state":
        this.takeState(message);
        break;
      case "delta":
        this.takeDelta(message);
        break;
      case "head":
        this.pending.head = { order: message.order, snapshot: message.snapshot, signed: message.signed };
        break;
      case "alert":
        this.pending.alertsAt = this.now();
        break;
      case "log":
      case "usage":
        return;
    }
    this.schedule();
  }

  // All that is desired, by shards that were just read, as a change of `changed` (milliseconds) made it.
  setDesired(objects: readonly ObjectRow[], changed = 0): void {
    const next = new Map(objects.map((row) => [`${row.kind}/${row.namespace}/${row.name}`, row]));
    let declares = false;
    const touch = (row: ObjectRow): void => {
      this.touchObject(row);
      declares ||= row.kind === "MCPNode";
    };
    const same = (a: ObjectRow | undefined, b: ObjectRow | undefined) => a?.hash === b?.hash && a?.created === b?.created; // one that could not be read says no time
    for (const [key, row] of this.desired) if (!same(next.get(key), row)) touch(row);
    for (const [key, row] of next) {
      const before = this.desired.get(key);
      if (!same(before, row)) touch(row);
      // The first time all that is known of a later generation is that it is no newer than the last change.
      if (before?.generation !== row.generation) this.ages.set(key, row.generation <= 1 ? Date.parse(row.created) || changed : this.desiredSeen ? this.now() : changed);
    }
    for (const key of this.desired.keys()) if (!next.has(key)) this.ages.delete(key);
    this.desired.clear();
    for (const [key, row] of next) this.desired.set(key, row);
    if (declares) {
      this.declared = new DeclaredNodes(objects.filter(({ kind }) => kind === "MCPNode"));
      this.redeclared = true;
    }
    this.desiredSeen = true;
    this.pending.desiredKnown = true;
    this.pending.desiredError = undefined;
    this.schedule();
  }

  setDesiredError(error: Error): void {
    this.pending.desiredError = error;
    this.schedule();
  }

  // Tells now what was taken in.
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    let changed = this.dirty.size > 0;
    for (const key of this.dirty) this.remake(key);
    if (this.redeclared || this.moved.size > 0) for (const key of [...this.rows.keys()]) if (!this.dirty.has(key) && this.mayMove(key)) changed = this.remake(key, isSame) || changed;
    this.redeclared = false;
    this.moved.clear();
    this.dirty.clear();
    this.fleet = {
      ...this.fleet,
      ...this.pending,
      ...(changed ? { servers: this.inOrder() } : {}),
      ...(this.nodesDirty ? { nodes: this.nodeRows() } : {}),
    };
    this.nodesDirty = false;
    this.pending = {};
    for (const listener of this.listeners) listener();
  }

  // Most changes are of rows that are there: then their order is, too.
  private inOrder(): ServerRow[] {
    this.order ??= [...this.rows.values()].sort((a, b) => byName(a.namespace, b.namespace) || byName(a.name, b.name)).map(({ key }) => key);
    return this.order.map((key) => this.rows.get(key)!);
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  private touchObject(row: ObjectRow): void {
    if (row.kind === "MCPServer") this.dirty.add(keyOf(row));
    if (row.kind === "MCPNode") this.nodesDirty = true;
  }

  private moveNode(node: string): void {
    this.known = undefined;
    this.moved.add(node);
  }

  private mayMove(key: string): boolean {
    const desired = this.desired.get(`MCPServer/${key}`);
    if (desired === undefined) return false;
    return this.redeclared || desired.replicas !== null || !desired.nodes?.length || desired.nodes.some((node) => this.moved.has(node));
  }

  private touchNode(node: string): void {
    this.nodesDirty = true;
    for (const key of this.reported.get(node)?.keys() ?? []) this.dirty.add(key);
  }

  private setDown(nodes: readonly string[], frozen: boolean): void {
    const next = new Set(nodes);
    const turned = [...new Set([...next, ...this.down])].filter((node) => next.has(node) !== this.down.has(node));
    this.down = next;
    for (const node of turned) {
      this.touchNode(node);
      this.moveNode(node);
    }
    this.pending.frozen = frozen;
  }

  private setNode(node: FeedNode): void {
    const before = this.nodes.get(node.node);
    this.nodes.set(node.node, node);
    this.nodesDirty = true;
    if (before?.connected !== node.connected) this.touchNode(node.node);
    if (before?.connected !== node.connected || (before.lastSeen === 0) !== (node.lastSeen === 0)) this.moveNode(node.node);
  }

  private put(node: string, server: ServerSummary): void {
    let own = this.reported.get(node);
    if (own === undefined) this.reported.set(node, (own = new Map()));
    const key = keyOf(server);
    own.set(key, server);
    let places = this.where.get(key);
    if (places === undefined) this.where.set(key, (places = new Set()));
    places.add(node);
    this.dirty.add(key);
    this.nodesDirty = true;
  }

  private drop(node: string, key: string): void {
    this.reported.get(node)?.delete(key);
    const places = this.where.get(key);
    places?.delete(node);
    if (places?.size === 0) this.where.delete(key);
    this.dirty.add(key);
    this.nodesDirty = true;
  }

  private forget(node: string): void {
    for (const key of [...(this.reported.get(node)?.keys() ?? [])]) this.drop(node, key);
    this.reported.delete(node);
    this.nodes.delete(node);
    this.nodesDirty = true;
    this.moveNode(node);
  }

  private takeState(state: FeedState): void {
    for (const { node, servers } of state.nodes) {
      this.setNode(node);
      if (servers === null) continue;
      const there = new Set(servers.map(keyOf));
      for (const key of [...(this.reported.get(node.node)?.keys() ?? [])]) if (!there.has(key)) this.drop(node.node, key);
      for (const server of servers) this.put(node.node, server);
    }
    if (!state.last) return;
    const names = new Set(state.names);
    for (const node of [...this.nodes.keys()]) if (!names.has(node)) this.forget(node);
    this.cursor = state.cursor;
    this.pending.synced = true;
  }

  private takeDelta(delta: FeedDelta): void {
    if (delta.node === null) this.forget(delta.name);
    else {
      this.setNode(delta.node);
      for (const [namespace, name] of delta.gone as [string, string][]) this.drop(delta.name, `${namespace}/${name}`);
      for (const server of delta.set) this.put(delta.name, server);
    }
    // A delta of an older status, or of a node without one, must not take the cursor back.
    const [boot, at] = delta.cursor.split(".");
    const [ours, last] = this.cursor.split(".");
    if (boot !== ours || Number(at) > Number(last)) this.cursor = delta.cursor;
  }

  private isOffline(node: string): boolean {
    return this.down.has(node) || this.nodes.get(node)?.connected === false;
  }

  // Whether it has changed. A row that is the `same` as before is kept.
  private remake(key: string, same: (before: ServerRow, row: ServerRow) => boolean = () => false): boolean {
    const desired = this.desired.get(`MCPServer/${key}`);
    const places = this.where.get(key);
    if (desired === undefined && places === undefined) {
      if (this.rows.delete(key)) this.order = undefined;
      return true;
    }
    const on: OnNode[] = [];
    for (const node of places ?? []) {
      const summary = this.reported.get(node)?.get(key);
      if (summary !== undefined) on.push({ node, offline: this.isOffline(node), summary });
    }
    if (!this.rows.has(key)) this.order = undefined;
    this.known ??= new Map([...this.nodes.values()].filter(({ lastSeen }) => lastSeen > 0).map(({ node }) => [node, this.isOffline(node)]));
    const before = this.rows.get(key);
    const row = serverRow(key, on, desired, this.stamp + 1, { declared: this.declared, down: this.down, known: this.known }, this.ages.get(`MCPServer/${key}`));
    if (before !== undefined && same(before, row)) return false;
    ++this.stamp;
    this.rows.set(key, row);
    return true;
  }

  private nodeRows(): NodeRow[] {
    const names = new Set(this.nodes.keys());
    for (const row of this.desired.values()) if (row.kind === "MCPNode") names.add(row.name);
    return [...names].sort(byName).map((name) => nodeRow(name, this.nodes.get(name), [...(this.reported.get(name)?.values() ?? [])], this.down.has(name), this.desired.get(`MCPNode//${name}`)));
  }
}
