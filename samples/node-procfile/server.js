// One page that says which release answers, and /healthz; stops at SIGTERM.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import escapeHtml from "escape-html";

const page = readFileSync(new URL("page.html", import.meta.url), "utf8");
const { env } = process;

const facts = () => ({
  app: env.PAAS_APP ?? "node-procfile",
  environment: env.PAAS_ENVIRONMENT ?? "your machine",
  release: env.PAAS_RELEASE ?? "none yet",
  commit: (env.PAAS_COMMIT ?? "not pushed").slice(0, 10),
  node: process.version,
});

const home = () => {
  const rows = Object.entries(facts())
    .map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`)
    .join("");
  return page.replace("{{greeting}}", escapeHtml(env.GREETING ?? "It is live.")).replace("{{facts}}", rows);
};

const server = createServer((request, response) => {
  if (request.url === "/healthz") {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ status: "ok", ...facts() }));
  } else if (request.url === "/") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(home());
  } else {
    response.statusCode = 404;
    response.end("There is no such page.\n");
  }
});

server.listen(Number(env.PORT ?? 8080), "0.0.0.0");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
