import type { Caller } from "../auth/caller.js";
import { type Env, fleetOf } from "../env.js";
import { ConfigStore } from "./config.js";
import { DeviceTokenStore } from "./device_tokens.js";
import type { Namespace } from "./rules.js";
import { StateStore } from "./state.js";
import type { Store } from "./store.js";

export function storeFor(namespace: Namespace, env: Env, caller: Caller): Store {
  const fleet = fleetOf(env);
  const node = caller.kind === "device" ? caller.node : undefined;
  switch (namespace) {
    case "CONFIG":
      return new ConfigStore(env.CONFIG, fleet, caller);
    case "SERVER_STATE":
      return new StateStore(env.SERVER_STATE, fleet, node);
    case "DEVICE_TOKENS":
      return new DeviceTokenStore(fleet, caller.name);
  }
}
