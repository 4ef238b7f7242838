// Starts oidc-provider with one client and whoever signs in as a clinician: PORT REDIRECT HOME as arguments.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";
import { generateKeyPairSync } from "node:crypto";

const installed = createRequire(path.join(process.env.INTEROP_NODE, "package.json"));
const { Provider } = await import(pathToFileURL(installed.resolve("oidc-provider")).href);
const [port, redirect, home] = process.argv.slice(2);
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: [{ ...key, use: "sig", alg: "RS256", kid: "interop" }] },
  cookies: { keys: ["only-for-the-test"] },
  clients: [{
    client_id: "safelight", client_secret: "only-for-the-test", redirect_uris: [redirect],
    post_logout_redirect_uris: [home], grant_types: ["authorization_code", "refresh_token"], response_types: ["code"],
    scope: "openid offline_access",
  }],
  scopes: ["openid", "offline_access"],
  issueRefreshToken: async () => true,
  findAccount: async (_, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  extraTokenClaims: async () => ({ roles: ["clinician"] }),
  features: {
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: async () => "https://films.example.org",
      useGrantedResource: async () => true,
      getResourceServerInfo: async () => ({
        scope: "openid", audience: "https://films.example.org", accessTokenFormat: "jwt", accessTokenTTL: 3600,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
});
provider.listen(Number(port), "127.0.0.1");
