// The tokens that the tests know. Their hashes stand in settings.ts.
export const OPERATOR = "operator-token-of-the-tests-0123456789abcdef";
export const VIEWER = "viewer-token-of-the-tests-0123456789abcdef";
export const EXPIRED = "expired-token-of-the-tests-0123456789abcdef";
export const TEAM = "https://team.cloudflareaccess.com";
export const AUDIENCE = "aud-of-the-tests";
