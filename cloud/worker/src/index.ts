import { makeApp } from "./app.js";
import { type Env, fleetOf } from "./env.js";

export { Fleet } from "./fleet/fleet.js";
export { Hub } from "./hub/hub.js";

const app = makeApp();

export default {
  fetch: app.fetch,
  async scheduled(_controller, env) {
    await fleetOf(env).checkMirror();
  },
} satisfies ExportedHandler<Env>;
