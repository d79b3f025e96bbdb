// How soon a node that is silent is down, and what follows from that: three signs of life fit into it, and as many looks. Pure.
import { PING_SECONDS, SWEEP_MS } from "../limits.js";

export interface Rhythm {
  downAfterMs: number; // without a sign of life
  upAfterMs: number; // of steady ones
  sweepMs: number;
  pingSeconds: number;
}

export function rhythmOf(settings: { downAfterSeconds: number; upAfterSeconds: number }): Rhythm {
  const third = Math.floor(settings.downAfterSeconds / 3);
  return {
    downAfterMs: settings.downAfterSeconds * 1000,
    upAfterMs: settings.upAfterSeconds * 1000,
    sweepMs: Math.min(SWEEP_MS, third * 1000),
    pingSeconds: Math.min(PING_SECONDS, third),
  };
}
