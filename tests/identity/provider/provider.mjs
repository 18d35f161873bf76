// A real OpenID provider (npm's certified oidc-provider) on 127.0.0.1. Whoever signs in says who that is:
// the login "sub-1 ada@example.com verified" has this subject and this e-mail address, verified.
//   node provider.mjs PORT REDIRECT_URI
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [port, redirectUri] = process.argv.slice(2);
const require = createRequire(`${process.cwd()}/`);
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "paas",
      client_secret: "a secret of the client",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  cookies: { keys: ["of the tests"] },
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["preferred_username"] },
  async findAccount(_, id) {
    const [subject, email, verified] = decodeURIComponent(id).split(" ");
    const claims = { sub: id, email, email_verified: verified === "verified" };
    return { accountId: id, claims: () => ({ ...claims, preferred_username: subject }) };
  },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
