import assert from "node:assert/strict";
import { test } from "node:test";

import { APIConnectionTimeoutError, APIUserAbortError, BadRequestError, NotFoundError } from "openai";

import { client, GREEDY, MODEL, QUESTION } from "./hub.js";

const openai = client();
const STORY = [{ role: "user", content: "Tell a very long story about a lighthouse." }];

test("an unknown model is not found", async () => {
  const asked = openai.chat.completions.create({ model: "nobody/nothing", messages: QUESTION });

  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /nobody\/nothing/);
    return true;
  });
});

test("a value out of range names its field", async () => {
  const asked = openai.chat.completions.create({ model: MODEL, messages: QUESTION, temperature: 3 });

  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
});

test("a prompt that is too long is a bad request", async () => {
  const messages = [{ role: "user", content: "word ".repeat(9000) }];

  await assert.rejects(openai.chat.completions.create({ model: MODEL, messages }), {
    name: "Error",
    status: 400,
    code: "context_length_exceeded",
  });
});

test("an answer that takes too long is a time-out of the client", async () => {
  const asked = openai.chat.completions.create(
    { ...GREEDY, messages: STORY, max_tokens: 2000 },
    { timeout: 500 },
  );

  await assert.rejects(asked, APIConnectionTimeoutError);
});

test("a deadline that passes is the hub's time-out", async () => {
  const asked = openai.chat.completions.create({
    ...GREEDY,
    messages: STORY,
    max_tokens: 2000,
    deadline_seconds: 0.2,
  });

  await assert.rejects(asked, { status: 504, code: "deadline_exceeded" });
});

test("a stream that is left leaves the hub ready for the next", async () => {
  const stream = await openai.chat.completions.create({
    ...GREEDY,
    messages: STORY,
    max_tokens: 2000,
    stream: true,
  });
  for await (const chunk of stream) {
    if (chunk.choices[0].delta.content) break; // breaking off closes the connection
  }

  const next = await openai.chat.completions.create({ ...GREEDY, messages: QUESTION });
  assert.match(next.choices[0].message.content, /Paris/);
});

test("a request that is aborted ends at once", async () => {
  const abort = new AbortController();
  const asked = openai.chat.completions.create(
    { ...GREEDY, messages: STORY, max_tokens: 2000 },
    { signal: abort.signal },
  );
  abort.abort();

  await assert.rejects(asked, APIUserAbortError);
});
