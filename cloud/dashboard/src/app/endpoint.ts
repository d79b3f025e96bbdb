// Where clients reach a server, for who looks at it from here.
import { workerOrigin } from "../api/origin";
import { host, queryClient } from "../api/queries";
import { type Endpoint, endpointOf } from "../lib/endpoint";
import type { ServerRow } from "../live/rows";

// Who serves the page is known before any view is shown, and stays: no hook, since a table asks for each row.
export const endpointHere = (row: ServerRow): Endpoint => endpointOf(row, workerOrigin, queryClient.getQueryData(host.queryKey)?.host === "node");
