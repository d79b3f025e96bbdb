// What an alert means and what to do about it: a sentence of each for every kind that the Worker raises (cloud/worker/src/alerts/evaluate.ts).
import type { Alert } from "../api/client";

export type AlertKind = Alert["kind"];
export interface Words {
  means: string;
  act: string;
}

// Whose subject is a node, or something of one.
export const OF_NODE: ReadonlySet<string> = new Set<AlertKind>(["NodeOffline", "CloneSuspected", "TokenExpires", "ManyAlerts"]);

export const ALERT_WORDS: Readonly<Record<AlertKind, Words>> = {
  NodeOffline: {
    means: "The node gives no sign of life; what it runs goes on by itself, as far as the machine does.",
    act: "Look whether the machine is on and reaches the network, and what mcplet logs there (journalctl -u mcplet).",
  },
  ServerNotReady: {
    means: "The server has not been Ready for some minutes, and nobody wanted it so.",
    act: "Open it: the first of its conditions that is not well says what it waits for.",
  },
  CrashLoop: {
    means: "The server ends again and again; it is started less often each time.",
    act: "Open it for its exit code and its last lines on stderr, then mend its manifest or roll back.",
  },
  ToolPinViolated: {
    means: "The server offers other tools than those that were pinned, so somebody changed what clients are told.",
    act: "Compare under Tools. If the change is meant, pin anew with mcpctl tools lock; if not, suspend the server.",
  },
  TokenExpires: {
    means: "The token by which this node speaks to the Worker ends soon; without one the node is cut off.",
    act: "Rotate it in the node’s page while the node is online: it gets a new one and stores it by itself.",
  },
  ApiTokenExpires: {
    means: "A token of a person or a script ends soon, and what uses it is refused from then on.",
    act: "Put a new one into the Worker’s settings (tokens), hand it on, and take the old one out.",
  },
  ForeignHead: {
    means: "KV’s copy of the head was not the Worker’s: somebody else wrote there. Nodes never saw it, and it was put right.",
    act: "Roll the API tokens of the Cloudflare account and see in its audit log who it was.",
  },
  DownListFrozen: {
    means: "More than a third of the nodes vanished at once: rather the network than the nodes. Nothing is moved meanwhile.",
    act: "Look at your network and at Cloudflare’s status first. It ends by itself when the nodes are back.",
  },
  CloneSuspected: {
    means: "Two machines seem to use the credentials of this node, as after a copied disk.",
    act: "Revoke the node, replace the secrets that it could open, and enrol it anew: mcplet join with --new-keys.",
  },
  ManyAlerts: {
    means: "More servers of this node are in trouble than alerts are raised for.",
    act: "Look at the node rather than at each server: disk, memory, its runtimes, its network.",
  },
  WebhooksUnsigned: {
    means: "Receivers can’t tell the Worker’s messages from those of anybody else who knows their URL.",
    act: "Set the secret WEBHOOK_KEY (wrangler secret put WEBHOOK_KEY) and check the signature at the receiver.",
  },
};

// undefined: of a Worker that is newer than this page.
export const wordsOf = (kind: string): Words | undefined => (Object.hasOwn(ALERT_WORDS, kind) ? ALERT_WORDS[kind as AlertKind] : undefined);
