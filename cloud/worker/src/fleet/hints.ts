// What a node is told of how often to come: the larger the fleet, the thinner the stream of requests. Pure.

export interface Hints {
  // Text "ping" on the socket this often; the answer "pong" costs nothing and is our sign of life.
  pingSeconds: number;
  // How often to read the head while the socket is up, in case a push was lost.
  pollConnectedSeconds: number;
  // And while it is not: a random time within these two. In a fleet of some hundred nodes that is often enough to be
  // up without a socket: a node is down after three times pingSeconds without a request.
  pollUnconnectedSeconds: [number, number];
  // Reconnect at a random time within this: a deploy drops all sockets at once.
  reconnectSpreadSeconds: number;
}

const CONNECTS_PER_SECOND = 50;
const READS_PER_SECOND = 20;

export function hintsFor(nodes: number, pingSeconds: number): Hints {
  const least = Math.min(900, Math.max(pingSeconds, Math.ceil(nodes / READS_PER_SECOND)));
  return {
    pingSeconds,
    pollConnectedSeconds: 900,
    pollUnconnectedSeconds: [least, least * 2],
    reconnectSpreadSeconds: Math.min(300, Math.max(1, Math.ceil(nodes / CONNECTS_PER_SECOND))),
  };
}
