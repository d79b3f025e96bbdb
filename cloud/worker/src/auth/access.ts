// Cloudflare Access: the JWT that it puts in front of each request. Verified here as well, so that a request that came
// around Access is nobody's (developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/validating-json).
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import { z } from "zod";
import type { Settings } from "../env.js";
import { CODE, Refusal, unauthenticated } from "../http/envelope.js";
import type { Caller, Role } from "./caller.js";

type KeySet = ReturnType<typeof createRemoteJWKSet>;
const keySets = new Map<string, KeySet>();

// Keys rotate: an unknown key id asks again, at most every 30 s, and everything is asked anew after 10 min.
export function keysAt(url: string): KeySet {
  let keys = keySets.get(url);
  if (keys === undefined) {
    keys = createRemoteJWKSet(new URL(url), { cooldownDuration: 30_000, cacheMaxAge: 600_000, timeoutDuration: 5000 });
    keySets.set(url, keys);
  }
  return keys;
}

export function forgetKeys(): void {
  keySets.clear();
}

// The payload of a valid token. Refuses with 401 what is not one, with 503 when the keys can't be had: never lets in.
export async function verify(
  token: string,
  jwksUri: string,
  issuer: string,
  audience: string | string[],
  algorithms: string[],
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keysAt(jwksUri), {
      issuer,
      audience,
      algorithms,
      requiredClaims: ["exp"],
      clockTolerance: 5,
    });
    return payload;
  } catch (error) {
    const refused =
      error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout) && error.code !== "ERR_JOSE_GENERIC";
    if (refused) throw unauthenticated();
    throw new Refusal(503, CODE.authentication, "the keys of the identity provider can't be read", {
      "Retry-After": "5",
    });
  }
}

const Claims = z.object({
  email: z.string().max(254).optional(),
  common_name: z.string().max(256).optional(), // of a service token
  groups: z.array(z.string()).optional(),
  custom: z.object({ groups: z.array(z.string()).optional() }).optional(),
  exp: z.number(),
});

export function roleOf(
  access: NonNullable<Settings["access"]>,
  claims: Pick<z.infer<typeof Claims>, "email" | "common_name" | "groups" | "custom">,
): Role | null {
  const groups = new Set([...(claims.groups ?? []), ...(claims.custom?.groups ?? [])]);
  const email = claims.email?.toLowerCase();
  const isIn = (members: (typeof access)["operators"]) =>
    (email !== undefined && members.emails.some((each) => each.toLowerCase() === email)) ||
    members.groups.some((group) => groups.has(group)) ||
    (email === undefined && claims.common_name !== undefined && members.serviceTokens.includes(claims.common_name));
  if (isIn(access.operators)) return "operator";
  return isIn(access.viewers) ? "viewer" : null;
}

export async function accessCaller(assertion: string, settings: Settings): Promise<Caller> {
  const { access } = settings;
  if (access === undefined) throw unauthenticated();
  const team = access.team.replace(/\/+$/, "");
  const payload = await verify(assertion, `${team}/cdn-cgi/access/certs`, team, access.audience, ["RS256"]);
  const claims = Claims.safeParse(payload);
  const name = claims.success ? (claims.data.email ?? claims.data.common_name) : undefined;
  if (!claims.success || !name) throw unauthenticated();
  return { kind: "person", role: roleOf(access, claims.data), name, via: "access", expires: claims.data.exp * 1000 };
}
