// Where clients reach a server: at its own host name where it has one, else at this origin, which routes to its node.
export function endpointOf({ namespace, name, desired }: { namespace: string; name: string; desired: { hostname: string } | undefined }): string {
  const path = `/${namespace}/${name}/mcp`;
  return desired?.hostname ? `https://${desired.hostname}${path}` : path;
}
