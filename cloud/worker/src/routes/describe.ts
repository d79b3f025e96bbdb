// How routes describe their answers in the OpenAPI description. The shapes of results are those of the schemas.
import { z } from "@hono/zod-openapi";

const Problem = z
  .object({
    result: z.null(),
    success: z.literal(false),
    errors: z.array(z.object({ code: z.int(), message: z.string() })),
    messages: z.array(z.string()),
  })
  .openapi("Problem");
const problem = (description: string) => ({ description, content: { "application/json": { schema: Problem } } });

const problems = {
  400: problem("the request is not valid"),
  401: problem("no credentials, or wrong ones"),
  403: problem("not allowed"),
  404: problem("not there"),
  409: problem("in conflict with what is there"),
  410: problem("it was there and ended"),
  412: problem("a condition did not hold"),
  413: problem("too large"),
  422: problem("too much to do at once"),
  428: problem("needs a condition"),
  429: problem("too many requests; see Retry-After"),
  503: problem("try again later"),
};

export function answer(description: string, result: z.ZodType = z.unknown()) {
  const schema = z.object({
    result,
    success: z.literal(true),
    errors: z.array(z.unknown()),
    messages: z.array(z.unknown()),
    result_info: z.unknown().optional(),
  });
  return { 200: { description, content: { "application/json": { schema } } }, ...problems };
}

export function bytesAnswer(description: string) {
  return {
    200: { description, content: { "application/octet-stream": { schema: z.string() } } },
    304: { description: "the ETag that was named is the newest" },
    ...problems,
  };
}
