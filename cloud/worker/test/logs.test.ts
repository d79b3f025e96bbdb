import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { bindings, call, clockAt, deviceToken, freshAccount, FUTURE, VIEWER } from "./kit.js";
import { parseChunkName, unpack } from "../src/logs/chunk.js";
import { mergeLines, timeKey } from "../src/logs/merge.js";

freshAccount();

const at = (second: number, fraction = "") => `2035-01-01T12:00:${String(second).padStart(2, "0")}${fraction}Z`;
interface Row {
  time: string;
  server?: string;
  text: string;
}
const ndjson = (rows: Row[]) =>
  rows.map((row) => `${JSON.stringify({ namespace: "default", server: "a", stream: "stderr", ...row })}\n`).join("");
const pack = {
  zstd: (text: string) => new Uint8Array(zstdCompressSync(Buffer.from(text))),
  gzip: (text: string) => new Uint8Array(gzipSync(Buffer.from(text))),
};

function upload(
  node: string,
  token: string,
  name: string,
  rows: Row[],
  packing: "zstd" | "gzip" = "zstd",
  bytes = pack[packing](ndjson(rows)),
) {
  const times = rows.map((row) => row.time).sort();
  return call("PUT", `/v1/logs/${node}/${name}`, {
    as: token,
    body: bytes,
    headers: {
      "Content-Type": `application/${packing}`,
      "Mcpfleet-First": times[0] ?? at(0),
      "Mcpfleet-Last": times.at(-1) ?? at(0),
    },
  });
}
const query = async (text: string) => call("GET", `/v1/logs?since=2035-01-01T11:00:00Z&${text}`, { as: VIEWER });
const texts = (answered: { result: { text: string }[] }) => answered.result.map((row) => row.text);

describe("uploading", () => {
  it("stores a chunk byte for byte under its name, once, and acknowledges repeats", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    const bytes = pack.zstd(ndjson([{ time: at(1), text: "one" }]));
    expect((await upload("edge-1", token, "boot1-7", [{ time: at(1), text: "" }], "zstd", bytes)).result).toEqual({
      name: "logs/edge-1/2035/01/01/boot1-7",
      repeat: false,
    });
    clock.advance(86_400_000); // a repeat finds the same object on the next day
    expect((await upload("edge-1", token, "boot1-7", [{ time: at(1), text: "" }], "zstd", bytes)).result).toEqual({
      name: "logs/edge-1/2035/01/01/boot1-7",
      repeat: true,
    });
    const object = await bindings.LOGS.get("logs/edge-1/2035/01/01/boot1-7");
    expect(new Uint8Array(await object!.arrayBuffer())).toEqual(bytes);
    expect(await upload("edge-1", token, "boot1-7", [{ time: at(1), text: "other" }])).toMatchObject({ status: 409 });
    expect((await bindings.LOGS.list()).objects).toHaveLength(1);
  });

  it.each([
    ["a name without a number", "boot1", {}, 400],
    ["a number with leading zeros", "boot1-007", {}, 400],
    ["bytes that are not compressed", "boot1-1", { body: "plain" }, 400],
    ["more than a mebibyte", "boot1-1", { body: new Uint8Array(1024 * 1024 + 1) }, 413],
    [
      "times that end before they begin",
      "boot1-1",
      { headers: { "Mcpfleet-First": at(2), "Mcpfleet-Last": at(1) } },
      400,
    ],
    [
      "times in the future",
      "boot1-1",
      { headers: { "Mcpfleet-First": at(2), "Mcpfleet-Last": "2035-01-01T13:00:00Z" } },
      400,
    ],
    ["no times", "boot1-1", { headers: {} }, 400],
  ])("refuses %s", async (_, name, given, status) => {
    clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    const answered = await call("PUT", `/v1/logs/edge-1/${name}`, {
      as: token,
      body: pack.zstd(ndjson([{ time: at(1), text: "x" }])),
      headers: { "Mcpfleet-First": at(1), "Mcpfleet-Last": at(1) },
      ...given,
    });
    expect(answered.status).toBe(status);
    expect((await bindings.LOGS.list()).objects).toEqual([]);
  });

  it("is capped per node, and a repeat is not counted", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    // Settings of the tests: 2 MB a minute.
    const noise = (seed: number) => {
      const bytes = new Uint8Array(900_000);
      for (let i = 0; i < bytes.length; i += 4) bytes[i] = (i * 31 + seed) & 255;
      bytes.set([0x1f, 0x8b]);
      return bytes;
    };
    for (const seq of [1, 2, 2])
      expect((await upload("edge-1", token, `b-${seq}`, [], "gzip", noise(seq))).status).toBe(200);
    expect((await upload("edge-1", token, "b-3", [], "gzip", noise(3))).status).toBe(429);
    expect((await upload("edge-2", await deviceToken("edge-2"), "b-1", [], "gzip", noise(4))).status).toBe(200);
    clock.advance(60_000);
    expect((await upload("edge-1", token, "b-3", [], "gzip", noise(3))).status).toBe(200);
  });
});

describe("reading", () => {
  it("merges chunks of all nodes by time to the nanosecond, in both packings", async () => {
    clockAt(FUTURE);
    const one = await deviceToken("edge-1");
    const two = await deviceToken("edge-2");
    await upload("edge-1", one, "b-1", [
      { time: at(3, ".000000002"), text: "4" },
      { time: at(1), text: "1" },
    ]);
    await upload(
      "edge-2",
      two,
      "b-1",
      [
        { time: at(2), text: "2" },
        { time: at(3, ".000000001"), text: "3" },
      ],
      "gzip",
    );
    await upload("edge-1", one, "b-2", [{ time: at(4, ".5"), text: "5" }]);
    const answered = await query("limit=100");
    expect(texts(answered)).toEqual(["1", "2", "3", "4", "5"]);
    expect(answered.result[2]).toEqual({
      time: at(3, ".000000001"),
      node: "edge-2",
      namespace: "default",
      server: "a",
      stream: "stderr",
      text: "3",
    });
    expect(answered.info).toEqual({ count: 5, cursor: "", missing: 0, bad: 0 });
  });

  it("filters by node, server, text and time", async () => {
    clockAt(FUTURE);
    await upload("edge-1", await deviceToken("edge-1"), "b-1", [
      { time: at(1), server: "a", text: "apple" },
      { time: at(2), server: "b", text: "banana" },
      { time: at(3), server: "a", text: "ban ana" },
    ]);
    await upload("edge-2", await deviceToken("edge-2"), "b-1", [{ time: at(1), server: "a", text: "berry" }]);
    expect(texts(await query("node=edge-2"))).toEqual(["berry"]);
    expect(texts(await query("namespace=default&server=b"))).toEqual(["banana"]);
    expect(texts(await query("contains=ban"))).toEqual(["banana", "ban ana"]);
    expect(texts(await query(`until=${at(2)}`))).toEqual(["apple", "berry"]);
    expect(texts(await call("GET", `/v1/logs?since=${at(2)}`, { as: VIEWER }))).toEqual(["banana", "ban ana"]);
    expect((await query("until=2035-01-01T10:00:00Z")).status).toBe(400);
    expect((await query("cursor=abc")).status).toBe(400);
  });

  it("pages without losing or repeating a line, also at equal times", async () => {
    clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    const expected: string[] = [];
    for (let chunk = 0; chunk < 5; ++chunk) {
      const rows = Array.from({ length: 9 }, (_, i) => ({ time: at(chunk * 2 + (i % 3)), text: `${chunk}/${i}` }));
      expected.push(...rows.map((row) => row.text));
      await upload("edge-1", token, `b-${chunk}`, rows);
    }
    const seen: string[] = [];
    let cursor = "";
    for (let page = 0; page < 40; ++page) {
      const answered = await query(`limit=4${cursor === "" ? "" : `&cursor=${cursor}`}`);
      expect(answered.result.length).toBeLessThanOrEqual(4);
      seen.push(...texts(answered));
      cursor = answered.info.cursor as string;
      if (cursor === "") break;
    }
    expect([...seen].sort()).toEqual([...expected].sort());
    expect(cursor).toBe("");
  });

  it("goes on without a chunk that is gone or damaged, and says so", async () => {
    clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    await upload("edge-1", token, "b-1", [{ time: at(1), text: "1" }]);
    await upload("edge-1", token, "b-2", [{ time: at(2), text: "2" }]);
    await upload(
      "edge-1",
      token,
      "b-3",
      [{ time: at(3), text: "3" }],
      "zstd",
      new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]),
    );
    await upload(
      "edge-1",
      token,
      "b-4",
      [{ time: at(4), text: "4" }],
      "zstd",
      pack.zstd(
        `{"text":1}\nnot json\n${ndjson([{ time: at(4), text: "4" }])}${ndjson([{ time: "yesterday", text: "5" }])}`,
      ),
    );
    await bindings.LOGS.delete("logs/edge-1/2035/01/01/b-2");
    const answered = await query("limit=100");
    expect(texts(answered)).toEqual(["1", "4"]);
    expect(answered.info).toMatchObject({ missing: 2, bad: 3 });
  });
});

describe("parts of it", () => {
  it("names of chunks hold a boot id with dashes", () => {
    expect(parseChunkName("3f2a-91c0-12")).toEqual({ boot: "3f2a-91c0", seq: 12 });
    expect(parseChunkName("../x-1")).toBeUndefined();
  });
  it("a bomb is not unpacked", () => {
    expect(unpack(new Uint8Array(gzipSync(Buffer.alloc(40 * 1024 * 1024))))).toBeUndefined();
    expect(unpack(new Uint8Array(zstdCompressSync(Buffer.alloc(40 * 1024 * 1024))))).toBeUndefined();
    expect(unpack(pack.gzip("x"))).toBe("x");
  });
  it("times sort as text", () => {
    const times = [
      "2026-01-01T00:00:00Z",
      "2026-01-01T00:00:00.000000001Z",
      "2026-01-01T00:00:00.1Z",
      "2026-01-01T02:00:01+02:00",
      "2026-01-01T00:00:02Z",
    ];
    expect([...times].reverse().sort((a, b) => (timeKey(a) < timeKey(b) ? -1 : 1))).toEqual(times);
    expect(timeKey("soon")).toBe("");
  });
  it("no more chunks are read than a page needs", async () => {
    const chunks = Array.from({ length: 50 }, (_, i) => ({
      node: "n",
      boot: "b",
      seq: i,
      first: i * 1000,
      last: i * 1000,
    }));
    let read = 0;
    const merged = await mergeLines(
      chunks,
      async (chunk) => {
        ++read;
        return {
          lines: [
            {
              line: {
                time: new Date(chunk.first).toISOString(),
                namespace: "",
                server: "",
                stream: "",
                text: String(chunk.seq),
              },
              index: 0,
            },
          ],
          bad: 0,
        };
      },
      { after: "", from: 0, until: 1e6, limit: 3, wanted: () => true },
    );
    expect([merged.lines.map((placed) => placed.line.text), merged.more, read]).toEqual([["0", "1", "2"], true, 3]);
  });
});
