// Cloudflare Access, played: a team that signs people in, and what stands before a Worker. Who has the cookie comes through with a signed assertion,
// anybody else is sent to the team's page, also a script's request, which a browser then refuses (another origin, no CORS).
import { generateKeyPairSync, sign } from "node:crypto";
import { createServer, request as ask } from "node:http";
import { connect } from "node:net";

const AUDIENCE = "aud-of-the-dashboard";
const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
const end = (server) => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve)));

// `settings`: what the Worker is told. `before(worker)` puts it before a Worker; its `signIn` is where a person gets the cookie.
export async function playAccess({ operators, viewers }) {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const kid = "played";
  const team = createServer((request, response) => {
    if (request.url === "/cdn-cgi/access/certs") return void response.setHeader("Content-Type", "application/json").end(JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" }] }));
    response.setHeader("Content-Type", "text/html").end("<h1>Sign in to the team</h1>");
  });
  const issuer = `http://127.0.0.1:${await listen(team)}`;
  const assertion = (email) => {
    const now = Math.floor(Date.now() / 1000);
    const text = `${base64url({ alg: "RS256", kid })}.${base64url({ email, iss: issuer, aud: [AUDIENCE], iat: now, exp: now + 3600 })}`;
    return `${text}.${sign("RSA-SHA256", Buffer.from(text), privateKey).toString("base64url")}`;
  };
  const given = (request) => /(?:^|; )CF_Authorization=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
  const proxies = [];
  const before = async (workerUrl) => {
    const { port } = new URL(workerUrl);
    // Nobody brings an assertion of his own.
    const headersOf = (request, jwt) => ({ ...request.headers, "cf-access-jwt-assertion": jwt });
    const proxy = createServer((request, response) => {
      const url = new URL(request.url, "http://proxy");
      if (url.pathname === "/cdn-cgi/access/authorized") return void response.writeHead(302, { "Set-Cookie": `CF_Authorization=${assertion(url.searchParams.get("as"))}; Path=/; HttpOnly`, Location: "/-/" }).end();
      if (url.pathname === "/cdn-cgi/access/logout") return void response.writeHead(302, { "Set-Cookie": "CF_Authorization=; Path=/; Max-Age=0", Location: `${issuer}/signed-out` }).end();
      const jwt = given(request);
      // "Bypass options requests to origin"
      if (jwt === undefined && request.method !== "OPTIONS") return void response.writeHead(302, { Location: `${issuer}/cdn-cgi/access/login` }).end();
      const upstream = ask({ host: "127.0.0.1", port, method: request.method, path: request.url, headers: jwt === undefined ? request.headers : headersOf(request, jwt) }, (answer) => {
        response.writeHead(answer.statusCode, answer.rawHeaders);
        answer.pipe(response);
      });
      upstream.on("error", () => response.destroy());
      request.pipe(upstream);
    });
    proxy.on("upgrade", (request, socket, head) => {
      const jwt = given(request);
      if (jwt === undefined) return void socket.end(`HTTP/1.1 302 Found\r\nLocation: ${issuer}/\r\nContent-Length: 0\r\n\r\n`);
      const upstream = connect(port, "127.0.0.1", () => {
        upstream.write(`${request.method} ${request.url} HTTP/1.1\r\n${Object.entries(headersOf(request, jwt)).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
        upstream.write(head);
        socket.pipe(upstream).pipe(socket);
      });
      for (const [one, other] of [[socket, upstream], [upstream, socket]]) one.on("error", () => other.destroy()).on("close", () => other.destroy());
    });
    proxies.push(proxy);
    const url = `http://127.0.0.1:${await listen(proxy)}`;
    return { url, signIn: (email) => `${url}/cdn-cgi/access/authorized?as=${encodeURIComponent(email)}` };
  };
  return {
    issuer,
    settings: { access: { team: issuer, audience: [AUDIENCE], operators: { emails: operators }, viewers: { emails: viewers } } },
    before,
    end: async () => void (await Promise.all([team, ...proxies].map(end))),
  };
}
