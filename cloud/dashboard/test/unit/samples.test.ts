import { describe, expect, it } from "vitest";
import { validate } from "../../../worker/src/manifest/validate";
import { parseManifest } from "../../src/lib/manifest";
import { SAMPLES } from "../../src/lib/samples";

describe("an example to begin with", () => {
  it.each(SAMPLES)("$name has nothing wrong, as the Worker judges it", ({ text }) => {
    const { objects, faults } = parseManifest(text);
    expect(faults).toEqual([]);
    expect(objects).toHaveLength(1);
    expect(objects.flatMap(({ value }) => validate(value))).toEqual([]);
  });
});
