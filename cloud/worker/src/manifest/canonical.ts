// The one byte form of an object (crd/canonical.h): RFC 8785 with integers up to 2^53 - 1 only. Test vectors are shared:
// tests/crd/testdata/canonical.json.
import { badRequest } from "../http/envelope.js";

const MOST_DEPTH = 128;

export function canonicalize(value: unknown, path = "", depth = 1): string {
  if (depth > MOST_DEPTH) throw badRequest(`${path}: nested deeper than ${MOST_DEPTH}`);
  switch (typeof value) {
    case "boolean":
      return String(value);
    case "string":
      if (!value.isWellFormed()) throw badRequest(`${path}: is not UTF-8`);
      return JSON.stringify(value);
    case "number":
      if (!Number.isInteger(value)) throw badRequest(`${path}: is not a whole number`);
      if (!Number.isSafeInteger(value)) throw badRequest(`${path}: is beyond 2^53 - 1`);
      return String(value === 0 ? 0 : value);
    case "object": {
      if (value === null) return "null";
      if (Array.isArray(value))
        return `[${value.map((item, index) => canonicalize(item, `${path}[${index}]`, depth + 1)).join(",")}]`;
      // The default order is by UTF-16 code units, which is the one that the RFC wants.
      const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
      return `{${members.map(([key, item]) => `${canonicalize(key, path, depth)}:${canonicalize(item, path === "" ? key : `${path}.${key}`, depth + 1)}`).join(",")}}`;
    }
    default:
      throw badRequest(`${path}: is no JSON value`);
  }
}
